# SPDX-License-Identifier: Apache-2.0
"""Deleting all of a camera: in small transactions, never what is held, and a hold that comes later still counts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from closedcircuit.base import TICKS, ManualClock
from closedcircuit.blobs import Disk, Disks
from closedcircuit.catalogue import Catalogue, Policy
from closedcircuit.catalogue.catalogue import DOOM_BATCH
from closedcircuit.catalogue.fakes import footage, segment, segment_file
from closedcircuit.db import Database
from closedcircuit.model import Cause, Hold, Segment
from closedcircuit.recording import Keeper

T0 = 1_800_000_000 * TICKS
S = TICKS
MINUTE = 60 * S


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0 + 40 * 86_400 * S)


@pytest.fixture
def catalogue(tmp_path: Path, clock: ManualClock) -> Catalogue:
    return Catalogue(Database(tmp_path / "facts.db"), clock)


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    Disks.adopt(tmp_path, disk_id="disk")
    return Disks([("disk", tmp_path, 0)])


@pytest.fixture
def keeper(catalogue: Catalogue, disks: Disks, tmp_path: Path, clock: ManualClock) -> Keeper:
    return Keeper(catalogue, disks, tmp_path / "keys", clock)


def hold(start: int, end: int, hold_id: str = "h1", camera: str = "door") -> Hold:
    return Hold(id=hold_id, camera=camera, start_90k=start, end_90k=end, reason="police", made_90k=T0)


def kids(segments: list[Segment]) -> set[bytes]:
    return {s.kid for s in segments}


def test_everything_of_a_camera_but_what_is_held(catalogue, ids) -> None:
    rows = list(footage("door", T0, 2, ids=ids))
    subs = [segment(T0 + n * MINUTE, ids=ids, stream="sub", grows=n == 9) for n in range(10)]
    catalogue.upsert([*rows, *subs, segment(T0, ids=ids, camera="till")])
    catalogue.add_hold(hold(T0 + 10 * MINUTE, T0 + 20 * MINUTE))
    catalogue.add_hold(hold(T0 + 5 * MINUTE + 1, T0 + 5 * MINUTE + 2, "h2"))
    catalogue.add_hold(hold(T0, T0 + 90 * MINUTE, "h3", "till"))
    assert catalogue.doom_camera("door") == 120 - 11 + 10 - 1
    listed = catalogue.doomed(1000)
    assert len(listed) == 118
    assert not kids(listed) & kids([*rows[10:20], rows[5], subs[5]])
    assert {s.camera for s in listed} == {"door"}
    assert catalogue.doom_camera("door") == 0
    assert catalogue.doom_camera("nobody") == 0


def test_it_goes_in_bounded_steps(catalogue, ids, monkeypatch) -> None:
    monkeypatch.setattr("closedcircuit.catalogue.catalogue.DOOM_BATCH", 7)
    rows = list(footage("door", T0, 1, ids=ids))
    twins = [segment(rows[6].start_90k, ids=ids) for _ in range(9)]  # more than a step begin at once
    catalogue.upsert([*rows, *twins])
    sizes: list[int] = []
    real = catalogue.db.write

    def write(fn, *, durable=False):
        before = catalogue.db.read("select count(*) from doomed")[0][0]
        result = real(fn, durable=durable)
        sizes.append(catalogue.db.read("select count(*) from doomed")[0][0] - before)
        if len(sizes) == 3:  # somebody holds the end of it meanwhile
            span = T0 + 58 * MINUTE, T0 + 99 * MINUTE
            real(lambda tx: tx.execute("insert into hold values ('h', 'door', ?, ?, '', 0)", span))
        return result

    catalogue.db.write = write  # type: ignore[method-assign]
    assert catalogue.doom_camera("door") == 69 - 2
    assert max(sizes) == 7
    assert not kids(catalogue.doomed(1000)) & kids(rows[58:])
    assert DOOM_BATCH <= 5000


def test_growing(catalogue, ids) -> None:
    assert not catalogue.is_growing("door")
    row = segment(T0, ids=ids, grows=True)
    catalogue.upsert([row, segment(T0, ids=ids, camera="till")])
    assert catalogue.is_growing("door")
    assert not catalogue.is_growing("till")


def test_a_hold_made_before_the_unlinking_wins(catalogue, disks, keeper, ids) -> None:
    disk = disks["disk"]
    rows = [segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(6)]
    catalogue.upsert(rows)
    assert catalogue.doom_camera("door") == 6
    disk.delete([rows[3]])  # the keeper had come so far, and crashed
    catalogue.add_hold(hold(rows[2].start_90k, rows[4].end_90k))
    keeper.round(Policy())
    left = catalogue.segments("door", "main", 0, 1 << 60)
    assert kids(left) == kids([rows[2], rows[4]])  # the one whose file was gone is no footage
    assert {name.kid for name, _ in disk.walk()} == kids(left)
    assert catalogue.doomed() == []
    spans = catalogue.ledger("door", T0, rows[5].end_90k).spans
    assert [s.cause for s in spans] == [Cause.DELETED, None, Cause.DELETED, None, Cause.DELETED]
    catalogue.remove_hold("h1")
    keeper.round(Policy())
    assert kids(catalogue.segments("door", "main", 0, 1 << 60)) == kids(left)  # it is not deleted by that alone


def test_a_hold_between_listing_and_unlinking_wins_too(catalogue, disks, keeper, ids) -> None:
    rows = [segment_file(disks["disk"], T0 + n * 6 * S, ids=ids) for n in range(3)]
    catalogue.upsert(rows)
    catalogue.doom_camera("door")
    real = catalogue.doomed

    def doomed(limit: int = 256) -> list[Segment]:
        found = real(limit)
        catalogue.add_hold(hold(T0, T0 + 1))  # after the keeper has looked what to delete
        return found

    catalogue.doomed = doomed  # type: ignore[method-assign]
    keeper.round(Policy())
    assert kids(catalogue.segments("door", "main", 0, 1 << 60)) == {rows[0].kid}
    assert len(list(disks["disk"].walk())) == 1


def test_pardoning_what_is_all_held_is_progress(catalogue, disks, keeper, ids, monkeypatch) -> None:
    monkeypatch.setattr("closedcircuit.recording.retention.BATCH", 2)
    rows = [segment_file(disks["disk"], T0 + n * 6 * S, ids=ids) for n in range(5)]
    catalogue.upsert(rows)
    catalogue.doom_camera("door")
    catalogue.add_hold(hold(T0, rows[3].end_90k))
    keeper.round(Policy())
    assert kids(catalogue.segments("door", "main", 0, 1 << 60)) == kids(rows[:4])


# ------------------------------------------------------------------------------------------------ hashes


def nameless(catalogue: Catalogue, disk: Disk, ids, count: int) -> list[Segment]:
    """Files of which a rebuild did not know the hashes; return them as they were recorded."""
    rows = [segment_file(disk, T0 + n * 6 * S, ids=ids) for n in range(count)]
    catalogue.upsert([_without(row) for row in rows], finished=True)
    return rows


def _without(row: Segment) -> Segment:
    return msgspec.structs.replace(row, sha256=None)


def test_hashes_come_back_a_little_at_a_time(catalogue, disks, keeper, ids, monkeypatch) -> None:
    rows = nameless(catalogue, disks["disk"], ids, 5)
    growing = segment(T0 + 3600 * S, ids=ids, grows=True)
    catalogue.upsert([growing])
    assert kids(catalogue.unhashed()) == kids(rows)
    monkeypatch.setattr("closedcircuit.recording.retention.HASHED_BYTES", 2 * rows[0].size_bytes)
    left = []
    for _ in range(4):
        keeper.round(Policy())
        left.append(len(catalogue.unhashed()))
    assert left == [3, 1, 0, 0]
    assert catalogue.segments("door", "main", 0, 1 << 60)[:5] == rows
    assert catalogue.segment("door", "main", growing.kid).sha256 is None


def test_a_file_that_is_gone_or_changed_gets_no_hash(catalogue, disks, keeper, ids) -> None:
    rows = nameless(catalogue, disks["disk"], ids, 3)
    disks["disk"].delete([rows[0]])
    disks["disk"].truncate(rows[1], rows[1].size_bytes - 1)
    keeper.round(Policy())
    assert catalogue.unhashed() == []
    assert [s.sha256 for s in catalogue.segments("door", "main", 0, 1 << 60)] == [None, None, rows[2].sha256]


def test_a_disk_that_is_away_is_waited_for(catalogue, disks, keeper, ids, tmp_path) -> None:
    rows = nameless(catalogue, disks["disk"], ids, 2)
    (tmp_path / "footage").rename(tmp_path / "elsewhere")
    (tmp_path / ".closedcircuit-disk").rename(tmp_path / "marker")
    keeper.round(Policy())
    assert len(catalogue.unhashed()) == 2
    (tmp_path / "elsewhere").rename(tmp_path / "footage")
    (tmp_path / "marker").rename(tmp_path / ".closedcircuit-disk")
    keeper.round(Policy())
    assert catalogue.segments("door", "main", 0, 1 << 60) == rows


def test_a_recorder_that_finishes_a_segment_knows_its_hash_better(catalogue, disks, ids) -> None:
    (row,) = nameless(catalogue, disks["disk"], ids, 1)
    catalogue.upsert([row])
    assert catalogue.unhashed() == []
    catalogue.hashed(_without(row), bytes(32))
    assert catalogue.segment("door", "main", row.kid) == row


def test_deleting_takes_off_the_list(catalogue, disks, ids) -> None:
    (row,) = nameless(catalogue, disks["disk"], ids, 1)
    catalogue.deleted([row])
    assert catalogue.unhashed() == []
    catalogue.hashed(row, bytes(32))
    assert catalogue.segments("door", "main", 0, 1 << 60) == []
