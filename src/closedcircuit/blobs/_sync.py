# SPDX-License-Identifier: Apache-2.0
"""The operating system's ways to make data durable. Linux and macOS differ; nothing else here does."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Callable

_F_FULLFSYNC = 51  # macOS fcntl(2): F_FULLFSYNC; there, fsync(2) leaves data in the drive's cache


def sync_data(fd: int) -> None:
    """Make a file's bytes and length durable. Raises OSError."""
    if sys.platform == "darwin":
        try:
            fcntl.fcntl(fd, _F_FULLFSYNC)
        except OSError as error:
            if error.errno not in {errno.ENOTSUP, errno.EINVAL, errno.ENOTTY}:
                raise
            os.fsync(fd)  # file systems over a network do not know it
    else:
        os.fdatasync(fd)


def _find_syncfs() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if function is None:
        return None
    function.argtypes = [ctypes.c_int]
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes functions are callable, and typed by the lines above


_syncfs = _find_syncfs()
HAS_SYNCFS = _syncfs is not None


def sync_file_system(fd: int) -> None:
    """Make everything on the file system that `fd` lies on durable (syncfs(2); errors are told since Linux 5.8)."""
    if _syncfs is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
