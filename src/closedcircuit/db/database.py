# SPDX-License-Identifier: Apache-2.0
"""One SQLite file, used by several processes.

The promise:

* **Durability.** A `write` that returned survives kill -9. A power cut may take back the last few of them, newest
  first, never a part of one; with `durable=True` it takes back neither this one nor any before it.
* **Isolation.** `write` is one serial transaction among all processes. `read` sees one moment; `view` sees one
  moment over several reads. Readers never wait for the writer.
* **Threads.** Every method may be called from any thread. Writers of one process take turns.
* **Who retries.** The caller: `Busy` means that nothing happened, and that the same call may work later.
* **Replacement.** When another process puts a rebuilt file in this one's place (`swap.Replacement`), the next call
  notices and uses the new file; a write never goes to the old one.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from closedcircuit.base.errors import Busy, StorageError
from closedcircuit.db._connect import connect, told_as_ours
from closedcircuit.db._migrate import bring_up_to_date

T = TypeVar("T")
_Identity = tuple[int, int]  # device and inode
Value = int | float | str | bytes | None
_IDLE_READERS = 8
"""Connections kept open between reads; more readers at once open more and close them again."""


class Tx:
    """One open transaction. Of the thread that got it, and dead once the function that got it returned."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    def read(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, this transaction's own changes included."""
        return self._conn.execute(sql, params).fetchall()

    def one(self, sql: str, params: Sequence[Value] = ()) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        row: tuple[Any, ...] | None = self._conn.execute(sql, params).fetchone()
        return row

    def execute(self, sql: str, params: Sequence[Value] = ()) -> int:
        """Run one statement; return how many rows it changed."""
        return self._conn.execute(sql, params).rowcount

    def executemany(self, sql: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run one statement for each row of values; return how many rows it changed."""
        return self._conn.executemany(sql, rows).rowcount

    def insert(self, sql: str, params: Sequence[Value] = ()) -> int:
        """Run an insert; return the new row's integer key."""
        return int(self._conn.execute(sql, params).lastrowid or 0)


class Database:
    """A file of facts. Opening creates it, or brings it up to date after leaving a copy (`<name>.v<N>.bak`).

    Raises CatalogueError when the file is damaged, another program's or from a newer version; StorageError when its
    folder is not there.

    `_lock` guards the pool of readers. `_writer_lock` guards the writing connection and is held for a whole write, so
    nothing slow but SQL belongs into the function given to `write`.
    """

    def __init__(self, path: Path, *, busy_s: float = 5.0) -> None:
        self.path = path
        self._busy_s = busy_s
        self._lock = threading.Lock()
        self._writer_lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._readers_file: _Identity | None = None  # the file that they are open on
        self._writer: sqlite3.Connection | None = None
        self._writer_file: _Identity | None = None
        with told_as_ours(path):
            self._prepare()

    def read(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """All rows of one query, as of one moment."""
        with told_as_ours(self.path), self._reader() as conn:
            return conn.execute(sql, params).fetchall()

    def view(self, fn: Callable[[Tx], T]) -> T:
        """Run several reads that see the same moment."""
        with told_as_ours(self.path), self._reader() as conn:
            conn.execute("begin")
            result = fn(Tx(conn))
            conn.execute("rollback")
            return result

    def write(self, fn: Callable[[Tx], T], *, durable: bool = False) -> T:
        """Run `fn` in one transaction and commit; roll back and re-raise when it raises.

        Raises Busy when another process, or another thread of this one, holds the lock for longer than `busy_s`.
        `durable`: synced before returning (some milliseconds), for what must survive a power cut: a listed deletion,
        a new account.
        """
        if not self._writer_lock.acquire(timeout=self._busy_s):
            raise Busy("Another thread is writing to the database for too long.", remedy="It is tried again.")
        try:
            with told_as_ours(self.path):
                conn = self._begin(durable=durable)
                try:
                    result = fn(Tx(conn))
                    conn.execute("commit")
                except BaseException:
                    if conn.in_transaction:
                        conn.execute("rollback")
                    raise
                return result
        finally:
            self._writer_lock.release()

    def close(self) -> None:
        """Close what is idle. A call after this opens the file again."""
        with self._writer_lock:
            self._close_writer()
        with self._lock:
            self._close_readers()

    # -------------------------------------------------------------------------------------------- the file

    def _prepare(self) -> None:
        """Create the file or bring it up to date."""
        if not self.path.parent.is_dir():
            raise StorageError(
                f"The folder {self.path.parent} is not there.", remedy="Create it, or mount the disk that it is on."
            )
        with file_lock(self.path, exclusive=True):
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            conn = connect(self.path, busy_s=self._busy_s, writing=True)
            try:
                bring_up_to_date(conn, self.path)
            finally:
                conn.close()

    def _connect(self, *, writing: bool) -> tuple[sqlite3.Connection, _Identity | None]:
        if not self.path.exists():
            self._prepare()  # somebody removed it: an empty index is better than none, and a rebuild fills it
        with file_lock(self.path, exclusive=False):
            return connect(self.path, busy_s=self._busy_s, writing=writing), _identity(self.path)

    def _begin(self, *, durable: bool) -> sqlite3.Connection:
        while True:
            if self._writer is None or self._writer_file != _identity(self.path):
                self._close_writer()
                self._writer, self._writer_file = self._connect(writing=True)
            conn = self._writer
            # In WAL mode a commit under `full` syncs the whole log, and with it all that was committed before.
            conn.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            conn.execute("begin immediate")
            # Asked again under the write lock, because whoever swaps the file holds that lock until it is swapped.
            if self._writer_file == _identity(self.path):
                return conn
            conn.execute("rollback")

    @contextmanager
    def _reader(self) -> Generator[sqlite3.Connection]:
        conn: sqlite3.Connection | None = None
        with self._lock:
            file = _identity(self.path)
            if self._readers_file != file:
                self._close_readers()
            elif self._readers:
                conn = self._readers.pop()
        if conn is None:
            conn, file = self._connect(writing=False)
        try:
            yield conn
        except BaseException:
            conn.close()
            raise
        with self._lock:
            if not self._readers:
                self._readers_file = file
            keep = file == self._readers_file and len(self._readers) < _IDLE_READERS
            if keep:
                self._readers.append(conn)
        if not keep:
            conn.close()

    def _close_readers(self) -> None:
        for conn in self._readers:
            conn.close()
        self._readers.clear()

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@contextmanager
def file_lock(path: Path, *, exclusive: bool) -> Generator[None]:
    """Hold `<path>.lock`: shared while a connection is made, exclusive while the file is created, migrated or swapped.

    An advisory lock of the kernel: gone with the process that held it.
    """
    fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
