# SPDX-License-Identifier: Apache-2.0
"""One file of facts: transactions, other processes, damage, migrations, replacement."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from closedcircuit.base.errors import Busy, CatalogueError, StorageError
from closedcircuit.db import Database, Replacement, Tx, _migrate
from closedcircuit.db.fakes import damage, locked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "facts.db"


def put(name: str, value: str = "v"):
    return lambda tx: tx.execute("insert or replace into setting values (?, ?)", (name, value))


def names(db: Database) -> list[str]:
    return [row[0] for row in db.read("select name from setting order by name")]


# ------------------------------------------------------------------------------------------------ transactions


def test_a_write_is_all_or_nothing(path: Path) -> None:
    db = Database(path)

    def half(tx: Tx) -> None:
        put("a")(tx)
        assert tx.one("select name from setting") == ("a",)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.write(half)
    assert names(db) == []
    assert db.write(put("b"), durable=True) == 1
    assert names(db) == ["b"]
    with pytest.raises(CatalogueError):
        db.write(lambda tx: tx.execute("insert into setting values ('c', null)"))
    with pytest.raises(sqlite3.OperationalError):  # a mistake of ours stays one
        db.write(lambda tx: tx.execute("insert into nonsense values (1)"))
    assert names(db) == ["b"]


def test_a_view_sees_one_moment(path: Path) -> None:
    db = Database(path)
    db.write(put("a"))

    def look(tx: Tx) -> list[int]:
        first = len(tx.read("select * from setting"))
        db.write(put("b"))
        return [first, len(tx.read("select * from setting"))]

    assert db.view(look) == [1, 1]
    assert names(db) == ["a", "b"]


def test_readers_cannot_write(path: Path) -> None:
    db = Database(path)
    with pytest.raises((sqlite3.OperationalError, StorageError)):
        db.read("insert into setting values ('a', 'b')")
    assert names(db) == []


def test_locked_for_too_long_is_busy_and_reads_go_on(path: Path) -> None:
    db = Database(path, busy_s=0.05)
    db.write(put("a"))
    with locked(path):
        with pytest.raises(Busy):
            db.write(put("b"))
        assert names(db) == ["a"]
    db.write(put("b"))
    assert names(db) == ["a", "b"]


def test_threads_take_turns(path: Path) -> None:
    db = Database(path)

    def count(tx: Tx) -> None:
        row = tx.one("select value from setting where name = 'n'")
        put("n", str(int(row[0]) + 1 if row else 1))(tx)

    def work() -> None:
        for _ in range(50):
            db.write(count)
            names(db)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.read("select value from setting") == [("200",)]


def test_processes_start_together_on_a_new_file(path: Path) -> None:
    code = f"""
from pathlib import Path
from closedcircuit.db import Database
import sys
db = Database(Path({str(path)!r}), busy_s=30)
for n in range(20):
    db.write(lambda tx: tx.execute("insert into setting values (?, 'x')", (f"{{sys.argv[1]}}-{{n}}",)))
"""
    started = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(3)]
    assert [p.wait(60) for p in started] == [0, 0, 0]
    assert len(names(Database(path))) == 60


def test_the_file_is_private(path: Path) -> None:
    db = Database(path)
    db.write(put("a"))
    for file in path.parent.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


# ------------------------------------------------------------------------------------------------ refusals and damage


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Database(tmp_path / "missing" / "facts.db")


@pytest.mark.parametrize("size", [100, 5000, None])
def test_a_damaged_file_names_the_remedy(path: Path, size: int | None) -> None:
    db = Database(path)
    for n in range(500):
        db.write(put(f"name-{n}", "x" * 100))
    db.close()
    damage(path, size=size)
    with pytest.raises(CatalogueError) as caught:
        Database(path).read("select * from setting")
    assert "closedcircuit footage rebuild" in caught.value.remedy


def test_damage_in_the_middle_is_told_when_it_is_met(path: Path) -> None:
    db = Database(path)
    db.write(
        lambda tx: tx.executemany("insert into setting values (?, ?)", [(f"{n:05}", "x" * 100) for n in range(5000)])
    )
    db.close()
    damage(path, from_byte=path.stat().st_size // 2, size=100_000)
    with pytest.raises(CatalogueError) as caught:
        Database(path).read("select sum(length(value)) from setting")
    assert "closedcircuit footage rebuild" in caught.value.remedy


def test_another_programs_database_is_left_alone(path: Path) -> None:
    conn = sqlite3.connect(path)
    conn.execute("create table theirs (x)")
    conn.commit()
    conn.close()
    with pytest.raises(CatalogueError, match="not one of Closed Circuit"):
        Database(path)
    with pytest.raises(CatalogueError, match="not one of Closed Circuit"):
        Replacement(path).swap_in([], lambda: None)


def test_a_newer_file_is_refused_politely(path: Path) -> None:
    Database(path).close()
    conn = sqlite3.connect(path)
    conn.execute(f"pragma user_version = {_migrate.latest() + 1}")
    conn.close()
    with pytest.raises(CatalogueError, match="newer") as caught:
        Database(path)
    assert ".bak" in caught.value.remedy
    with pytest.raises(CatalogueError, match="newer"):
        Replacement(path).swap_in([], lambda: None)


# ------------------------------------------------------------------------------------------------ migrations


def structure(conn: sqlite3.Connection) -> dict[str, str]:
    rows = conn.execute("select type || ' ' || name, sql from sqlite_schema where sql is not null")
    return {name: re.sub(r"\s+", "", re.sub(r"--[^\n]*", "", sql)) for name, sql in rows}


def test_migrations_lead_to_the_document() -> None:
    by_steps = sqlite3.connect(":memory:", isolation_level=None)
    for number, sql in sorted(_migrate.migrations().items()):
        _migrate._run(by_steps, sql, number)
    at_once = sqlite3.connect(":memory:", isolation_level=None)
    _migrate._run(at_once, _migrate.schema(), _migrate.latest())
    assert structure(by_steps) == structure(at_once)
    assert len(structure(at_once)) > 15
    for pragma in ("application_id", "user_version"):
        assert by_steps.execute(f"pragma {pragma}").fetchone() == at_once.execute(f"pragma {pragma}").fetchone()
    by_steps.close()
    at_once.close()


def test_version_1_comes_along(path: Path) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    _migrate._run(conn, _migrate.migrations()[1], 1)
    conn.executescript(
        """
        insert into camera values (1, 'door', 5);
        insert into stream values (1, 1, 'main', 3, 60);
        insert into hour_key values (1, 1, x'0102030405060708', 0, 200);
        insert into coding values (1, x'90');
        insert into disk values (1, 'disk');
        insert into segment values (1, 10, 0, 60, 99, 1, x'0000000000000001', 1);
        insert into segment values (1, 70, 1, 60, 99, 1, x'0000000000000002', 1);
        insert into segment values (1, 130, 2, 60, 99, 1, x'0000000000000003', 1);
        insert into segment_body values (4294967296, 'run', 1, 9, null, x'01');
        insert into segment_body values (4294967297, 'run', 1, 9, zeroblob(32), x'01');
        insert into segment_body values (4294967298, 'run', 1, 9, null, x'01');
        insert into growing values (1, 130, 2);
        """
    )
    conn.close()
    db = Database(path)
    assert db.read("select name, added_90k, removed_90k from camera") == [("door", 5, None)]
    assert db.read("select * from unhashed") == [(1, 10, 0)]  # finished, and nobody knows its hash
    assert path.with_name("facts.db.v1.bak").exists()


def test_migrations_are_numbered_without_holes() -> None:
    assert sorted(_migrate.migrations()) == list(range(1, _migrate.latest() + 1))


def test_every_table_has_its_sentence_and_every_column_a_type() -> None:
    text = _migrate.schema()
    for match in re.finditer(r"^create table (\w+)", text, re.MULTILINE):
        before = text[: match.start()].rstrip().splitlines()[-1]
        assert before.startswith("--"), match[1]
    assert text.count("create table") == len(re.findall(r"^\) strict", text, re.MULTILINE))


def test_a_copy_is_kept_before_a_migration(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = Database(path)
    db.write(put("kept"))
    db.close()
    present = _migrate.migrations()
    extended = present | {
        _migrate.latest() + 1: "create table extra (x integer) strict;\ninsert into extra values (7);\n"
    }
    before = _migrate.latest()
    monkeypatch.setattr(_migrate, "migrations", lambda: extended)
    db = Database(path)
    assert db.read("select x from extra") == [(7,)]
    assert names(db) == ["kept"]
    copy = sqlite3.connect(path.with_name(f"facts.db.v{before}.bak"))
    assert copy.execute("select name from setting").fetchall() == [("kept",)]
    assert copy.execute("pragma user_version").fetchone() == (before,)
    copy.close()
    db.close()
    monkeypatch.setattr(_migrate, "migrations", lambda: present)
    with pytest.raises(CatalogueError, match="newer"):
        Database(path)


def test_a_failing_migration_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(path).close()
    version = _migrate.latest()
    broken = _migrate.migrations() | {
        version + 1: "create table extra (x integer) strict;\ninsert into nonsense values (1);\n"
    }
    monkeypatch.setattr(_migrate, "migrations", lambda: broken)
    with pytest.raises(sqlite3.OperationalError):
        Database(path)
    monkeypatch.undo()
    assert Database(path).read("select count(*) from sqlite_schema where name = 'extra'") == [(0,)]


# ------------------------------------------------------------------------------------------------ replacement


def test_others_go_on_with_the_new_file(path: Path) -> None:
    recorder, web = Database(path), Database(path)
    recorder.write(put("old"))
    assert names(web) == ["old"]
    replacement = Replacement(path)
    replacement.database.write(put("new"))
    assert replacement.swap_in([], lambda: None) == []
    assert names(web) == ["new"]
    recorder.write(put("newer"))
    assert names(web) == names(recorder) == names(Database(path)) == ["new", "newer"]
    recorder.close()
    web.close()
    assert names(Database(path)) == ["new", "newer"]
    assert names(Database(path.with_name("facts.db.before-rebuild"))) == ["old"]


def test_a_write_never_goes_to_the_file_that_is_being_replaced(path: Path) -> None:
    recorder = Database(path, busy_s=10)
    recorder.write(put("before"))
    replacement = Replacement(path)
    inside = threading.Event()

    def write_while_locked() -> None:
        inside.wait(10)
        recorder.write(put("meanwhile"))

    writer = threading.Thread(target=write_while_locked)
    writer.start()
    replacement.swap_in(["setting"], inside.set)
    writer.join()
    assert names(Database(path)) == ["before", "meanwhile"]


def test_swapping_waits_for_a_writer_and_gives_up(path: Path) -> None:
    Database(path).write(put("a"))
    replacement = Replacement(path, busy_s=0.05)
    with locked(path), pytest.raises(Busy):
        replacement.swap_in(["setting"], lambda: None)
    assert names(Database(path)) == ["a"]
    assert Replacement(path).swap_in(["setting"], lambda: None) == ["setting"]
    assert names(Database(path)) == ["a"]


def test_a_destroyed_file_can_be_replaced(path: Path) -> None:
    db = Database(path)
    db.write(put("a"))
    db.close()
    damage(path)
    replacement = Replacement(path)
    assert replacement.read_old("select * from setting") is None
    replacement.database.write(put("fresh"))
    assert replacement.swap_in(["setting"], lambda: None) == []
    assert names(Database(path)) == ["fresh"]


def test_what_can_be_read_of_a_damaged_table_is_carried(path: Path) -> None:
    db = Database(path)
    db.write(
        lambda tx: tx.executemany("insert into setting values (?, ?)", [(f"{n:05}", "x" * 100) for n in range(5000)])
    )
    db.close()
    damage(path, from_byte=path.stat().st_size // 2, size=50_000)
    assert Replacement(path).swap_in(["setting", "hold"], lambda: None) == ["hold"]
    carried = names(Database(path))
    assert 500 < len(carried) < 5000
    assert carried == sorted(carried)


def test_a_missing_file_can_be_replaced(path: Path) -> None:
    replacement = Replacement(path)
    replacement.database.write(put("fresh"))
    replacement.swap_in(["setting"], lambda: None)
    assert names(Database(path)) == ["fresh"]


def test_a_removed_file_is_made_again(path: Path) -> None:
    db = Database(path)
    db.write(put("a"))
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    assert names(db) == []
    db.write(put("b"))
    assert names(db) == ["b"]


def test_a_log_left_behind_by_a_removed_file_is_not_replayed(path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from closedcircuit.db import Database
db = Database(Path({str(path)!r}))
db.write(lambda tx: tx.executemany("insert into setting values (?, 'x')", [(str(n),) for n in range(1000)]))
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 9
    assert path.with_name("facts.db-wal").stat().st_size > 0
    path.unlink()
    db = Database(path)
    assert names(db) == []
    db.write(put("a"))
    assert names(Database(path)) == ["a"]


def test_what_was_written_survives_kill_9(path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from closedcircuit.db import Database
db = Database(Path({str(path)!r}))
db.write(lambda tx: tx.execute("insert into setting values ('a', 'x')"))
def half(tx):
    tx.execute("insert into setting values ('b', 'x')")
    os._exit(9)
db.write(half)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 9
    assert names(Database(path)) == ["a"]
