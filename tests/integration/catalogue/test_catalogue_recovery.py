# SPDX-License-Identifier: Apache-2.0
"""After crashes: torn files are mended, and the index is what the footage says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.base.errors import CatalogueError, WrongDisk
from closedcircuit.blobs import Disk, Disks, path_of
from closedcircuit.blobs.disk import MARKER
from closedcircuit.blobs.fakes import MemoryDisk
from closedcircuit.catalogue import Catalogue, rebuild, repair
from closedcircuit.catalogue.fakes import segment_file
from closedcircuit.db import Database
from closedcircuit.db.fakes import damage
from closedcircuit.model import Camera, Cause, Gap, Hold, Segment, Source, SpanKind

T0 = 1_800_000_000 * TICKS
S = TICKS


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0 + 3600 * S)


@pytest.fixture
def ids() -> SeededIds:
    return SeededIds()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    (tmp_path / "disk").mkdir()
    return Disk(Disks.adopt(tmp_path / "disk", disk_id="disk"), tmp_path / "disk")


@pytest.fixture
def catalogue(tmp_path: Path, clock: ManualClock) -> Catalogue:
    return Catalogue(Database(tmp_path / "facts.db"), clock)


def all_of(catalogue: Catalogue, camera: str = "door", stream: str = "main") -> list[Segment]:
    return catalogue.segments(camera, stream, 0, 1 << 60, 10_000)


def grown(segment: Segment, fragments: int) -> Segment:
    """The row as it was after so many fragments."""
    kept = segment.fragments[:fragments]
    return msgspec.structs.replace(
        segment,
        fragments=kept,
        sha256=None,
        size_bytes=kept[-1].offset + kept[-1].size,
        end_90k=kept[-1].start_90k + kept[-1].duration_90k,
    )


# ------------------------------------------------------------------------------------------------ repair


def test_nothing_to_do_is_nothing_done(disk, catalogue, ids) -> None:
    catalogue.upsert([segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(5)])
    before = all_of(catalogue)
    report = repair(disk, catalogue)
    assert (report.indexed, report.removed, report.truncated, report.sentences) == (0, 0, 0, [])
    assert all_of(catalogue) == before


def test_files_that_the_index_does_not_know_are_indexed_with_their_gaps(disk, catalogue, ids) -> None:
    known = segment_file(disk, T0, ids=ids)
    catalogue.upsert([known])
    lost = segment_file(disk, T0 + 16 * S, ids=ids, before=[(T0 + 6 * S, T0 + 16 * S, "unreachable", "no route")])
    sub = segment_file(disk, T0 + 16 * S, ids=ids, name=("door", "sub"))
    report = repair(disk, catalogue)
    assert report.indexed == 2
    assert "2 files" in report.sentences[0]
    assert all_of(catalogue) == [known, lost]  # to the last fragment and the hash
    assert all_of(catalogue, stream="sub") == [sub]
    ledger = catalogue.ledger("door", T0, T0 + 22 * S)
    assert [(s.kind, s.cause, s.detail) for s in ledger.spans] == [
        (SpanKind.RECORDED, None, ""),
        (SpanKind.LOST, Cause.UNREACHABLE, "no route"),
        (SpanKind.RECORDED, None, ""),
    ]
    assert repair(disk, catalogue).indexed == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 38_000), row_fragments=st.integers(0, 3), zeros=st.booleans())
def test_any_torn_tail_is_cut_to_whole_fragments(tmp_path_factory, cut: int, row_fragments: int, zeros: bool) -> None:
    folder = tmp_path_factory.mktemp("torn")
    ids = SeededIds()
    disk = Disk(Disks.adopt(folder), folder)
    catalogue = Catalogue(Database(folder / "facts.db"), ManualClock(T0 + 3600 * S))
    before = [(T0 - 5 * S, T0, "process-down", "")]
    whole = segment_file(disk, T0, ids=ids, before=before)
    file = disk.path / path_of(whole)
    size = max(0, whole.size_bytes - cut)
    if zeros:  # the length reached the disk, the last pages did not
        size -= size % 4096
    os.truncate(file, size)
    if zeros:
        os.truncate(file, whole.size_bytes)
    if row_fragments:
        catalogue.upsert([grown(whole, row_fragments)])
    kept = [f for f in whole.fragments if f.offset + f.size <= size]

    report = repair(disk, catalogue)

    if not kept:
        assert not file.exists()
        assert report.removed == 1
        assert all_of(catalogue) == []
    else:
        assert file.stat().st_size == kept[-1].offset + kept[-1].size
        (row,) = all_of(catalogue)
        assert row.fragments == tuple(kept)
        assert row.size_bytes == file.stat().st_size
        assert row.sha256 is not None
        assert (row.sha256 == whole.sha256) == (len(kept) == 3)
        assert row.end_90k == kept[-1].start_90k + kept[-1].duration_90k
        assert catalogue.growing() == []
    if kept or size >= whole.init_bytes:
        ledger = catalogue.ledger("door", T0 - 5 * S, T0)
        assert ledger.by_cause == {Cause.PROCESS_DOWN: 5 * S}
    again = repair(disk, catalogue)
    assert (again.indexed, again.removed, again.truncated) == (0, 0, 0)
    catalogue.db.close()


def test_what_is_being_written_is_left_alone(disk, catalogue, ids) -> None:
    whole = segment_file(disk, T0, ids=ids)
    data = (disk.path / path_of(whole)).read_bytes()
    disk.delete([whole])
    file = disk.create(whole)
    file.append([data[:-100]])
    catalogue.upsert([grown(whole, 1)])
    assert repair(disk, catalogue).sentences == []
    assert (disk.path / path_of(whole)).stat().st_size == len(data) - 100
    assert all_of(catalogue) == [grown(whole, 1)]
    file.close()
    assert repair(disk, catalogue).truncated == 1


def test_a_row_without_a_file_is_lost_and_not_deleted(disk, catalogue, ids) -> None:
    gone = segment_file(disk, T0, ids=ids)
    catalogue.upsert([grown(gone, 2)])
    disk.delete([gone])
    assert repair(disk, catalogue).missing == 1
    assert all_of(catalogue) == []
    assert catalogue.ledger("door", T0, T0 + 4 * S).by_cause in ({}, {Cause.UNKNOWN: 4 * S})
    assert catalogue.db.read("select * from gap") == []


def test_a_finished_file_that_changed_is_told_and_left(disk, catalogue, ids) -> None:
    rows = [segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(2)]
    catalogue.upsert(rows)
    os.truncate(disk.path / path_of(rows[0]), 100)
    report = repair(disk, catalogue)
    assert (report.changed, report.removed, report.truncated) == (1, 0, 0)
    assert "100 bytes" in report.sentences[0]
    assert (disk.path / path_of(rows[0])).exists()
    assert all_of(catalogue) == rows


def test_rows_of_another_disk_are_left_alone(disk, catalogue, ids) -> None:
    elsewhere = segment_file(MemoryDisk("other"), T0, ids=ids)
    catalogue.upsert([grown(elsewhere, 2)])
    assert repair(disk, catalogue).missing == 0
    assert all_of(catalogue) == [grown(elsewhere, 2)]


def test_an_unreadable_file_is_left_and_told(disk, catalogue, ids) -> None:
    whole = segment_file(disk, T0, ids=ids)
    file = disk.path / path_of(whole)
    file.write_bytes(b"\xa5" * 100)
    report = repair(disk, catalogue)
    assert report.unreadable == 1
    assert file.exists()
    assert "left as it is" in report.sentences[0]


def test_a_file_that_was_moved_under_another_camera_is_no_footage_of_it(disk, catalogue, ids) -> None:
    from closedcircuit.base.errors import MediaError
    from closedcircuit.catalogue.scanning import scan

    whole = segment_file(disk, T0, ids=ids)
    moved = msgspec.structs.replace(whole, camera="till")
    target = disk.path / path_of(moved)
    target.parent.mkdir(parents=True)
    (disk.path / path_of(whole)).rename(target)
    with pytest.raises(MediaError, match="door/main"):
        scan(disk, moved, tail=False)
    assert repair(disk, catalogue).unreadable == 1
    assert target.exists()


def test_repair_looks_at_few_files_of_a_large_archive(catalogue, ids) -> None:
    disk = MemoryDisk("disk")
    opened: list[object] = []
    rows = [segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(200)]
    catalogue.upsert(rows[:-2])
    catalogue.upsert([grown(rows[-2], 1)])
    real = disk.open
    disk.open = lambda name: (opened.append(name.start_90k), real(name))[1]  # type: ignore[method-assign]
    assert repair(disk, catalogue).indexed == 2
    assert len(set(opened)) == 2
    assert all_of(catalogue) == rows


def test_a_wrong_disk_is_not_repaired(disk, catalogue, ids) -> None:
    catalogue.upsert([grown(segment_file(disk, T0, ids=ids), 1)])
    (disk.path / MARKER).unlink()
    with pytest.raises(WrongDisk):
        repair(disk, catalogue)
    assert len(all_of(catalogue)) == 1


# ------------------------------------------------------------------------------------------------ rebuild


def site(disk: Disk, catalogue: Catalogue, ids: SeededIds) -> list[Segment]:
    """Two cameras, a gap, a hold, a setting."""
    rows = [segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(10)]
    rows.append(segment_file(disk, T0 + 70 * S, ids=ids, before=[(T0 + 60 * S, T0 + 70 * S, "broken", "no key frame")]))
    rows += [segment_file(disk, T0 + n * 6 * S, ids=ids, name=("till", "main")) for n in range(3)]
    rows += [segment_file(disk, T0 + n * 6 * S, ids=ids, name=("till", "sub")) for n in range(3)]
    catalogue.announce(Camera(id="door", name="Door", main=Source(address="x"), added_90k=T0 - 30 * S))
    catalogue.upsert(rows)
    catalogue.add_gaps(
        [
            Gap("door", T0 - 30 * S, T0, Cause.DELETED, "after 30 days"),
            Gap("door", T0 + 60 * S, T0 + 70 * S, Cause.BROKEN, "no key frame"),
        ]
    )
    catalogue.dismiss("till", T0 + 40 * S)
    catalogue.add_hold(Hold(id="h1", camera="door", start_90k=T0, end_90k=T0 + S, reason="police", made_90k=T0))
    catalogue.db.write(lambda tx: tx.execute("insert into setting values ('keep_days', '30')"))
    return rows


def everything(catalogue: Catalogue) -> object:
    cameras = ("door", "till")
    return (
        [all_of(catalogue, c, s) for c in cameras for s in ("main", "sub")],
        [catalogue.ledger(c, 0, T0 + 3600 * S) for c in cameras],
        [catalogue.keys_in_use(c) for c in cameras],
        catalogue.bytes_by_camera(),
        catalogue.bytes_by_disk(),
        catalogue.holds(),
        catalogue.db.read("select * from setting"),
    )


def test_a_rebuilt_index_says_the_same(disk, catalogue, ids, clock, tmp_path) -> None:
    rows = site(disk, catalogue, ids)
    before = everything(catalogue)
    said: list[str] = []
    report = rebuild(Disks([("disk", disk.path, 0)]), tmp_path / "facts.db", clock, said.append)
    assert everything(catalogue) == before  # through the connections that were open all the time
    assert everything(Catalogue(Database(tmp_path / "facts.db"), clock)) == before
    assert (report.files, report.segments, report.hashes) == (len(rows), len(rows), len(rows))
    assert report.bytes == sum(r.size_bytes for r in rows)
    assert report.carried == ["account", "session", "setting", "hold"]
    assert said
    assert f"{len(rows)} segments" in report.sentence()
    json.loads(msgspec.json.encode(report))


def test_an_old_file_of_version_1_says_when_cameras_were_added(disk, catalogue, ids, clock, tmp_path) -> None:
    site(disk, catalogue, ids)
    catalogue.db.write(lambda tx: tx.execute("alter table camera drop column removed_90k"))
    catalogue.db.close()
    rebuild(Disks([("disk", disk.path, 0)]), tmp_path / "facts.db", clock)
    again = Catalogue(Database(tmp_path / "facts.db"), clock)
    assert again.db.read("select added_90k, removed_90k from camera where name = 'door'") == [(T0 - 30 * S, None)]


@pytest.mark.parametrize("how", ["removed", "damaged"])
def test_from_the_footage_alone(disk, catalogue, ids, clock, tmp_path, how) -> None:
    rows = site(disk, catalogue, ids)
    catalogue.db.close()
    path = tmp_path / "facts.db"
    if how == "damaged":
        damage(path)
        with pytest.raises(CatalogueError, match="damaged"):
            Database(path)
    else:
        path.unlink()
    report = rebuild(Disks([("disk", disk.path, 0)]), path, clock)
    again = Catalogue(Database(path), clock)
    assert [msgspec.structs.replace(r, sha256=None) for r in rows[:11]] == all_of(again)
    ledger = again.ledger("door", 0, T0 + 76 * S)
    assert (ledger.from_90k, ledger.to_90k) == (T0, T0 + 76 * S)
    assert ledger.by_cause == {Cause.BROKEN: 10 * S}
    assert (report.hashes, report.not_carried == []) == (0, how == "removed")
    assert again.growing() == []


def test_rebuilding_changes_no_file_and_leaves_torn_ones_to_the_repair(disk, catalogue, ids, clock, tmp_path) -> None:
    rows = site(disk, catalogue, ids)
    torn, empty, foreign = (disk.path / path_of(r) for r in (rows[3], rows[4], rows[5]))
    os.truncate(torn, rows[3].size_bytes - 1)
    os.truncate(empty, 0)
    foreign.write_bytes(b"not a film")
    contents = {p: p.read_bytes() for p in disk.path.rglob("*.mp4")}
    report = rebuild(Disks([("disk", disk.path, 0)]), tmp_path / "facts.db", clock)
    assert (report.torn, report.empty, report.unreadable) == (1, 1, 1)
    assert path_of(rows[5]).name in report.unreadable_paths[0]
    assert {p: p.read_bytes() for p in disk.path.rglob("*.mp4")} == contents
    assert [s.start_90k for s in catalogue.growing()] == [rows[3].start_90k]
    assert repair(disk, catalogue).truncated == 1
    assert catalogue.growing() == []


def test_a_missing_disk_stops_a_rebuild(disk, catalogue, ids, clock, tmp_path) -> None:
    site(disk, catalogue, ids)
    before = everything(catalogue)
    with pytest.raises(WrongDisk):
        rebuild(Disks([("disk", disk.path, 0), ("other", tmp_path / "nowhere", 0)]), tmp_path / "facts.db", clock)
    assert everything(catalogue) == before


def test_what_is_recorded_while_rebuilding_is_not_forgotten(disk, catalogue, ids, clock, tmp_path) -> None:
    site(disk, catalogue, ids)
    clock.step(-3000)  # the site's footage is of now
    late: list[Segment] = []

    def record_meanwhile(_: str) -> None:
        if not late:
            late.append(segment_file(disk, clock.now_90k(), ids=ids))
            catalogue.upsert(late)  # into the old index

    rebuild(Disks([("disk", disk.path, 0)]), tmp_path / "facts.db", clock, record_meanwhile)
    found = all_of(Catalogue(Database(tmp_path / "facts.db"), clock))
    assert len(found) == 12
    assert late[0].kid in {s.kid for s in found}


# ------------------------------------------------------------------------------------------------ killed at every step

KILLED = """
import os, sys
from pathlib import Path
from closedcircuit.base import ManualClock, SeededIds, durable
from closedcircuit.blobs import Disk, Disks
from closedcircuit.catalogue import Catalogue, rebuild, repair
from closedcircuit.catalogue.fakes import segment_file
from closedcircuit.db import Database
root, what, at = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
T0 = 1_800_000_000 * 90_000
clock = ManualClock(T0 + 3600 * 90_000)
steps = []
def hook(name):
    steps.append(name)
    if len(steps) == at:
        os._exit(9)
disk = Disk("disk", root)
if what == "record":
    durable.hook = hook
    catalogue = Catalogue(Database(root / "facts.db"), clock)
    for n in range(2):
        catalogue.upsert([segment_file(disk, T0 + n * 6 * 90_000, ids=SeededIds(str(n).encode()))])
elif what == "delete":
    catalogue = Catalogue(Database(root / "facts.db"), clock)
    durable.hook = hook
    doomed = catalogue.doom(catalogue.segments("door", "main", 0, 1 << 60))
    hook("keeper.unlink")
    disk.delete(doomed)
    hook("keeper.rows")
    catalogue.deleted(doomed)
elif what == "rebuild":
    durable.hook = hook
    rebuild(Disks([("disk", root, 0)]), root / "facts.db", clock)
"""


def die(root: Path, what: str, at: int) -> bool:
    """Whether it was killed, and not finished before."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(root), what, str(at)], timeout=60, check=False)
    assert done.returncode in {0, 9}
    return done.returncode == 9


def kills(limit: int = 60):
    return range(1, limit)


@pytest.mark.slow
def test_recording_survives_being_killed_at_every_step(tmp_path, clock) -> None:
    for at in kills():
        root = tmp_path / str(at)
        root.mkdir()
        Disks.adopt(root, disk_id="disk")
        died = die(root, "record", at)
        disk, catalogue = Disk("disk", root), Catalogue(Database(root / "facts.db"), clock)
        repair(disk, catalogue)
        rows = all_of(catalogue)
        files = {name.kid: size for name, size in disk.walk()}
        assert {r.kid: r.size_bytes for r in rows} == files
        assert all(r.fragments and r.sha256 for r in rows)
        if not died:
            assert len(rows) == 2
            return
    pytest.fail("it never got to the end")


@pytest.mark.slow
def test_deleting_survives_being_killed_at_every_step(tmp_path, clock, ids) -> None:
    for at in kills():
        root = tmp_path / str(at)
        root.mkdir()
        Disks.adopt(root, disk_id="disk")
        disk, catalogue = Disk("disk", root), Catalogue(Database(root / "facts.db"), clock)
        catalogue.upsert([segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(3)])
        catalogue.db.close()
        died = die(root, "delete", at)
        doomed = catalogue.doomed()  # what the keeper does when it starts
        disk.delete(doomed)
        catalogue.deleted(doomed)
        files, rows = list(disk.walk()), all_of(catalogue)
        assert len(files) == len(rows)
        assert len(rows) in {0, 3}
        ledger = catalogue.ledger("door", T0, T0 + 18 * S)
        assert ledger.total_90k == 18 * S
        assert ledger.by_cause == ({} if rows else {Cause.DELETED: 18 * S})
        if not died:
            assert rows == []
            return
    pytest.fail("it never got to the end")


@pytest.mark.slow
def test_rebuilding_survives_being_killed_at_every_step(tmp_path, clock, ids) -> None:
    for at in kills():
        root = tmp_path / str(at)
        root.mkdir()
        Disks.adopt(root, disk_id="disk")
        disk, catalogue = Disk("disk", root), Catalogue(Database(root / "facts.db"), clock)
        site(disk, catalogue, ids)
        before = everything(catalogue)
        catalogue.db.close()
        died = die(root, "rebuild", at)
        assert everything(catalogue) == before
        catalogue.db.close()
        rebuild(Disks([("disk", root, 0)]), root / "facts.db", clock)
        assert everything(catalogue) == before
        catalogue.db.close()
        if not died:
            return
    pytest.fail("it never got to the end")
