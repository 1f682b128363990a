# SPDX-License-Identifier: Apache-2.0
"""One segment on a local disk: the writer's side and the readers'."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from closedcircuit.base.durable import checkpoint
from closedcircuit.base.errors import DiskFull, NotFound, StorageError
from closedcircuit.blobs._sync import sync_data
from closedcircuit.blobs.promise import Buffer, OpenSegment, SegmentFile
from closedcircuit.model import SegmentName

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BUFFERS_MAX = 1024
"""IOV_MAX on Linux and macOS (POSIX asks for 16): more go in several calls."""


def ours(error: OSError, doing: str) -> StorageError | NotFound:
    """Return the tree's error for the operating system's."""
    if error.errno in _FULL:
        return DiskFull(
            f"The disk is full: {doing}.", remedy="Shorten retention, release holds, or add a disk (Storage page)."
        )
    if error.errno == errno.ENOENT:
        return NotFound(f"It is not there: {doing}.")
    return StorageError(
        f"The disk failed: {doing} ({error.strerror}).",
        remedy="Look at the kernel's messages (dmesg) and the disk's health (smartctl).",
    )


class DiskSegment(SegmentFile):
    """A segment being written to a local file. `_fd_lock` keeps a sync beside the writer from a closed descriptor."""

    def __init__(self, name: SegmentName, path: Path, fd: int, on_close: Callable[[DiskSegment], None]) -> None:
        self.name = name
        self.size_bytes = 0
        self._path = path
        self._fd = fd
        self._on_close = on_close
        self._fd_lock = threading.Lock()
        self.dirty = False  # set by the writer after a write, cleared by the sync thread before it syncs

    def append(self, buffers: Sequence[Buffer]) -> int:
        """Write at the end, whole or not at all.

        crash inside: a torn tail; start-up truncates it to the last whole fragment.
        """
        checkpoint("blobs.append")
        total = sum(map(len, buffers))
        try:
            written = os.writev(self._fd, buffers) if len(buffers) <= _BUFFERS_MAX else 0
            if written < total:
                self._write_rest(buffers, written)
        except OSError as error:
            self._take_back()
            raise ours(error, f"writing {self._path}") from error
        self.size_bytes += total
        self.dirty = True
        return total

    def _write_rest(self, buffers: Sequence[Buffer], skip: int) -> None:
        """Go on after a short write (a signal, or the last free block): the next call tells why, or goes through."""
        rest: list[Buffer] = []
        for buffer in buffers:
            if skip < len(buffer):
                rest.append(memoryview(buffer)[skip:])
            skip = max(0, skip - len(buffer))
        while rest:
            written = os.writev(self._fd, rest[:_BUFFERS_MAX])
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if written:
                rest[0] = memoryview(rest[0])[written:]

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size_bytes)
            os.lseek(self._fd, self.size_bytes, os.SEEK_SET)
        except OSError as error:
            # A disk that refuses to shorten a file is gone. The torn tail stays for the repair of the next start.
            raise ours(error, f"taking back a torn write of {self._path}") from error

    def sync(self) -> bool:
        """Make durable what was appended; False if there was nothing. From the sync thread. Raises OSError."""
        with self._fd_lock:
            if self._fd < 0 or not self.dirty:
                return False
            self.dirty = False
            try:
                sync_data(self._fd)
            except OSError:
                self.dirty = True
                raise
            return True

    def close(self) -> None:
        """Sync and close.

        crash before: at most what was appended since the last sync is lost, and only if the power went too.
        """
        checkpoint("blobs.close")
        with self._fd_lock:
            if self._fd < 0:
                return
            fd, self._fd = self._fd, -1
            try:
                sync_data(fd)
            except OSError as error:
                raise ours(error, f"syncing {self._path}") from error
            finally:
                os.close(fd)
                self._on_close(self)


class DiskReader(OpenSegment):
    """A segment open for reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ours(error, f"opening {path}") from error

    def pread(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes."""
        parts: list[bytes] = []
        try:
            while size > 0:
                part = os.pread(self._fd, size, offset)
                if not part:
                    break
                parts.append(part)
                offset += len(part)
                size -= len(part)
        except OSError as error:
            raise ours(error, f"reading {self._path}") from error
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def size(self) -> int:
        """Bytes now."""
        return os.fstat(self._fd).st_size

    def fileno(self) -> int:
        """Return the descriptor, for sendfile(2); valid until `close`."""
        return self._fd

    def close(self) -> None:
        """Close; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
