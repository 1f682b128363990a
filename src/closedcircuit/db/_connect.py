# SPDX-License-Identifier: Apache-2.0
"""Connections to SQLite, and its errors in our words. The only module of the room that knows result codes."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from closedcircuit.base.errors import Busy, CatalogueError, DiskFull, StorageError

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_DISK = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})
REBUILD = "Stop Closed Circuit, then run `closedcircuit footage rebuild`: it makes the index again from the footage."
WAL_BYTES_KEPT = 64 << 20
"""The write-ahead log is cut back to this after a checkpoint, so that one long transaction does not keep its space."""


def connect(path: Path, *, busy_s: float, writing: bool) -> sqlite3.Connection:
    """Open `path`, which exists. May be used from any thread, by one at a time.

    WAL, so that readers and the one writer never wait for each other. `synchronous=NORMAL`: a power cut may take back
    the last transactions, never tear one; what must not be taken back is written with `durable=True`.
    """
    conn = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=busy_s,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        conn.execute("pragma journal_mode = wal")
        conn.execute("pragma synchronous = normal")
        conn.execute("pragma foreign_keys = on")
        conn.execute(f"pragma journal_size_limit = {WAL_BYTES_KEPT}")
        conn.execute("pragma cache_size = -8192")  # KiB; no mmap, where a failing disk would be a SIGBUS
        if not writing:
            conn.execute("pragma query_only = on")
    except sqlite3.Error:
        conn.close()
        raise
    return conn


@contextmanager
def told_as_ours(path: Path) -> Generator[None]:
    """Turn SQLite's errors into those of the tree; a mistake in our own SQL stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        full = getattr(error, "sqlite_errorcode", None)
        code = None if full is None else full & 0xFF
        if code in _BUSY:
            raise Busy(
                f"The database {path.name} was locked by another program for too long.",
                remedy="Nothing is lost; it is tried again. If it stays, look for a program that has the file open.",
            ) from error
        if code in _DAMAGED:
            raise CatalogueError(f"The database {path} is damaged ({error}).", remedy=REBUILD) from error
        if code == sqlite3.SQLITE_FULL:
            raise DiskFull(
                f"There is no space left to write {path}.", remedy="Free space on the disk of the data folder."
            ) from error
        if code in _DISK:
            raise StorageError(
                f"The database {path} cannot be read or written ({error}).",
                remedy="Check that the data folder is mounted, and owned by the user who runs Closed Circuit.",
            ) from error
        if code == sqlite3.SQLITE_CONSTRAINT:
            raise CatalogueError(f"The database refused a row: {error}.") from error
        raise
