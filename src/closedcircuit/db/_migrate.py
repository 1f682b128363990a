# SPDX-License-Identifier: Apache-2.0
"""From whatever version a file has to the present one."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from closedcircuit.base.durable import checkpoint, fsync_dir
from closedcircuit.base.errors import CatalogueError
from closedcircuit.db._connect import REBUILD

APPLICATION_ID = int.from_bytes(b"CCTI")


def latest() -> int:
    """Return the version that this program writes: the number of its last migration."""
    return max(migrations())


def migrations() -> dict[int, str]:
    """Every migration's SQL by the version that it leads to."""
    folder = resources.files(__package__).joinpath("migrations")
    return {int(f.name[:3]): f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".sql")}


def schema() -> str:
    """Return the document `schema.sql`."""
    return resources.files(__package__).joinpath("schema.sql").read_text("utf-8")


def bring_up_to_date(conn: sqlite3.Connection, path: Path) -> int:
    """Create or migrate, in one transaction a step; return the version found (0: it was new or empty).

    The caller holds the lock file, so that processes starting together do this one after the other.
    crash inside: SQLite rolls the step back; the next start goes on from the version that the file then has.
    """
    version = check(conn, path)
    newest = latest()
    if version == newest:
        return version
    if version == 0:
        _run(conn, schema(), newest)
        return 0
    _keep_a_copy(conn, path, version)
    for number, sql in sorted(migrations().items()):
        if number > version:
            checkpoint(f"db.migrate:{number}")
            _run(conn, sql, number)
    return version


def check(conn: sqlite3.Connection, path: Path) -> int:
    """Return the file's version; refuse another program's file, and one that a newer Closed Circuit wrote."""
    version = int(conn.execute("pragma user_version").fetchone()[0])
    owner = int(conn.execute("pragma application_id").fetchone()[0])
    tables = conn.execute("select count(*) from sqlite_schema").fetchone()[0]
    if owner != APPLICATION_ID and (tables or version or owner):
        raise CatalogueError(f"{path} is a database, but not one of Closed Circuit.", remedy=f"Move it away. {REBUILD}")
    if version > latest():
        raise CatalogueError(
            f"{path} was written by a newer Closed Circuit: its version is {version}; this program knows {latest()}.",
            remedy="Install the newer version again; or put back the copy that it made before it changed the file, "
            f"{path.name}.v<number>.bak, and run `closedcircuit footage rebuild` to index what was recorded since.",
        )
    return version


def _run(conn: sqlite3.Connection, sql: str, version: int) -> None:
    conn.execute("begin immediate")
    try:
        for statement in _statements(sql):
            conn.execute(statement)
        conn.execute(f"pragma user_version = {version}")
        conn.execute("commit")
    except BaseException:
        if conn.in_transaction:
            conn.execute("rollback")
        raise


def _statements(sql: str) -> Iterator[str]:
    # executescript() commits whatever transaction is open, so statements are cut apart here.
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if ";" in line and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _keep_a_copy(conn: sqlite3.Connection, path: Path, version: int) -> None:
    """Leave `facts.db.v<version>.bak` beside the file. A crash leaves a `.part` that the next attempt replaces."""
    part = path.with_name(f"{path.name}.v{version}.bak.part")
    part.unlink(missing_ok=True)
    copy = sqlite3.connect(part)
    try:
        conn.backup(copy)
    finally:
        copy.close()
    fd = os.open(part, os.O_RDONLY)
    try:
        os.fchmod(fd, 0o600)
        os.fsync(fd)
    finally:
        os.close(fd)
    checkpoint("db.backup")
    part.rename(path.with_name(f"{path.name}.v{version}.bak"))
    fsync_dir(path.parent)
