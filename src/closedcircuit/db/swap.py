# SPDX-License-Identifier: Apache-2.0
"""Putting a rebuilt database in the place of the present one, which may be damaged and in use."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from closedcircuit.base.durable import checkpoint, fsync_dir
from closedcircuit.base.errors import Busy, CatalogueError
from closedcircuit.db._connect import connect, told_as_ours
from closedcircuit.db._migrate import check
from closedcircuit.db.database import Database, Tx, Value, file_lock


class Replacement:
    """A fresh database that is filled beside `path` and then takes its place.

    `database` is the fresh one; fill it. `swap_in` then locks the old one against writers, carries tables over, lets
    the caller catch up with what happened meanwhile, and renames. Other processes go on with the new file at their next
    call (`Database`), so nothing has to be stopped. The old file stays as `<name>.before-rebuild`.

    One thread. A crash before the swap leaves the old file as it was, and a `.rebuild` file that the next attempt
    replaces.
    """

    def __init__(self, path: Path, *, busy_s: float = 30.0) -> None:
        self.path = path
        self._busy_s = busy_s
        self._fresh = path.with_name(path.name + ".rebuild")
        for suffix in ("", "-wal", "-shm", ".lock"):
            self._fresh.with_name(self._fresh.name + suffix).unlink(missing_ok=True)
        self.database = Database(self._fresh, busy_s=busy_s)

    def read_old(self, sql: str, params: Sequence[Value] = ()) -> list[tuple[Any, ...]] | None:
        """Ask the old file; None where it is missing or too damaged to answer."""
        old = self._open_old()
        if old is None:
            return None
        try:
            return old.execute(sql, params).fetchall()
        except sqlite3.DatabaseError:
            return None
        finally:
            old.close()

    def swap_in(self, tables: Sequence[str], catch_up: Callable[[], None]) -> list[str]:
        """Carry `tables` over, call `catch_up` while nobody can write to the old file, and take its place.

        Returns the tables of `tables` that could be read. Raises Busy when a writer of the old file does not let go.
        """
        old = self._open_old()
        try:
            if old is not None:
                old = self._lock_writers_out(old)
            carried = [] if old is None else [t for t in tables if self._carry(old, t)]
            catch_up()
            self._seal()
            with file_lock(self.path, exclusive=True):
                self._rename()
        finally:
            if old is not None:
                # After the rename: SQLite then sees that its file has moved, and leaves the new one's log alone.
                old.close()
        return carried

    def _open_old(self) -> sqlite3.Connection | None:
        if not self.path.exists():
            return None
        conn: sqlite3.Connection | None = None
        try:
            conn = connect(self.path, busy_s=self._busy_s, writing=True)
            conn.execute("pragma foreign_keys = off")
            check(conn, self.path)
        except sqlite3.DatabaseError:
            if conn is not None:
                conn.close()
            return None
        except CatalogueError:
            if conn is not None:
                conn.close()
            raise  # another program's, or from a newer version: not ours to replace
        return conn

    def _lock_writers_out(self, old: sqlite3.Connection) -> sqlite3.Connection | None:
        try:
            with told_as_ours(self.path):
                old.execute("pragma wal_checkpoint(truncate)")  # so that the file alone is nearly all of it
                old.execute("begin immediate")
        except Busy:
            old.close()
            raise
        except CatalogueError:
            old.close()
            return None  # so damaged that nobody else can write to it either
        return old

    def _carry(self, old: sqlite3.Connection, table: str) -> bool:
        """Copy what can be read of the columns that both have; say whether that was all.

        A row that the fresh file's checks refuse is damage, and left behind.
        """
        rows: list[tuple[Any, ...]] = []
        columns: list[str] = []
        whole = True
        try:
            there = {row[1] for row in old.execute(f"pragma table_info({table})")}
            columns = [str(r[1]) for r in self.database.read(f"pragma table_info({table})") if r[1] in there]
            if columns:
                rows.extend(old.execute(f"select {', '.join(columns)} from {table}"))  # noqa: S608 - own names
        except sqlite3.DatabaseError:
            whole = False
        if not columns:
            return False

        def copy(tx: Tx) -> None:
            marks = ", ".join("?" * len(columns))
            sql = f"insert or ignore into {table} ({', '.join(columns)}) values ({marks})"  # noqa: S608 - own names
            tx.executemany(sql, rows)

        try:
            self.database.write(copy)
        except CatalogueError:
            return False
        return whole

    def _seal(self) -> None:
        """Make the fresh file complete without a log beside it, and durable."""
        self.database.close()
        with told_as_ours(self._fresh):
            conn = sqlite3.connect(self._fresh, isolation_level=None)
            try:
                conn.execute("pragma wal_checkpoint(truncate)")
                conn.execute("pragma journal_mode = delete")
            finally:
                conn.close()
        fd = os.open(self._fresh, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _rename(self) -> None:
        """Under the lock file.

        crash before the log is unlinked: the old database, whole;
        crash after it: the old database without its newest transactions, or damaged as it was: rebuild again;
        crash after the rename: the new one.
        """
        before = self.path.with_name(self.path.name + ".before-rebuild")
        before.unlink(missing_ok=True)
        if self.path.exists():
            before.hardlink_to(self.path)
        # The log and its index go by the file's name: left here, SQLite would replay the old log into the new file.
        checkpoint("db.swap-log")
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        checkpoint("db.swap-rename")
        self._fresh.rename(self.path)
        fsync_dir(self.path.parent)
        self._fresh.with_name(self._fresh.name + ".lock").unlink(missing_ok=True)
