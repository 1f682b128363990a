# SPDX-License-Identifier: Apache-2.0
"""Writing small files so that they are either there whole or not at all, after a crash as well.

`checkpoint` is the seam for the tests that kill at every step: each durable step calls it with its name, and it does
nothing unless a test set `hook`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

hook: Callable[[str], None] | None = None
"""Set by crash tests only; called with the name of the step that comes next."""


def checkpoint(step: str) -> None:
    """Name the durable step that comes next; a crash test dies here."""
    if hook is not None:
        hook(step)


def fsync_dir(path: Path) -> None:
    """Make names in a folder durable (a new file's name is part of its folder)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `data` in one step that survives a power cut.

    crash before the rename: the old file, and a `.part` beside it that the next write replaces;
    crash after it: the new file.
    """
    part = path.with_name(path.name + ".part")
    checkpoint(f"durable.write:{path.name}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(fd, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    checkpoint(f"durable.rename:{path.name}")
    part.rename(path)
    checkpoint(f"durable.fsync-dir:{path.name}")
    fsync_dir(path.parent)


def append_durably(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Append and fsync. A crash may leave a part of `data` at the end: readers must skip a torn last record."""
    new = not path.exists()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    if new:
        fsync_dir(path.parent)
