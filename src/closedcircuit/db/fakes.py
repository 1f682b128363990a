# SPDX-License-Identifier: Apache-2.0
"""Faults of a database on demand, for the tests of whoever uses one.

A real `Database` on a temporary folder is quick enough that no imitation of it is needed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the write lock as another process would: every `write` inside raises Busy, reads go on."""
    conn = sqlite3.connect(path, isolation_level=None)
    try:
        conn.execute("begin immediate")
        yield
        conn.execute("rollback")
    finally:
        conn.close()


def damage(path: Path, *, from_byte: int = 0, size: int | None = None) -> None:
    """Overwrite a part of the file (all of it unless told) as a failing disk would. Close the database first."""
    length = path.stat().st_size - from_byte if size is None else size
    with path.open("r+b") as file:
        file.seek(from_byte)
        file.write(b"\xa5" * length)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
