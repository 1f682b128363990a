# SPDX-License-Identifier: Apache-2.0
"""Files whose wall time is bent against their media time: an index made from them has no slivers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.blobs import Disk, Disks, Store, path_of
from closedcircuit.catalogue import Catalogue, rebuild, repair
from closedcircuit.catalogue.fakes import TRACKS
from closedcircuit.db import Database
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.model import Cause, Fragment, Sample, Segment, SegmentName, SpanKind, Track

S = TICKS
T0 = 1_800_000_000 * S + 17  # on no millisecond
TRACK = msgspec.msgpack.decode(TRACKS, type=tuple[Track, ...])
PPM = [500, -500, 311, -77, 1, 0, 499, -3]
Before = Sequence[tuple[int, int, str, str]]


def pictures(pts: int, ids: SeededIds) -> list[Sample]:
    """Two seconds of 5 pictures a second."""
    made = []
    for number in range(10):
        nal = (b"\x41" if number else b"\x65") + ids.random(300)
        made.append(Sample(1, pts + number * S // 5, number == 0, 305, [len(nal).to_bytes(4, "big"), nal], 0))
    return made


class Recording:
    """Writes files as a recorder does that bends by `PPM`, in turn; each fragment begins where the one before ends."""

    def __init__(self, ids: SeededIds, at_90k: int = T0) -> None:
        self.ids, self.at_90k, self.pts, self.run = ids, at_90k, 0, ids.random(8).hex()
        self.bends = itertools.cycle(PPM)

    def file(self, store: Store, before: Before = (), stream: str = "main", fragments: int = 3) -> Segment:
        """Write one, and return its row as the recorder has it."""
        kid, start = self.ids.random(16), self.at_90k
        says = {"v": 1, "camera": "door", "stream": stream, "run": self.run, "start_90k": start, "before": before}
        init = init_segment(TRACK, kid, msgspec.json.encode(says))
        file = store.create(SegmentName("door", stream, start, kid))
        writer, listed, offset = FragmentWriter(TRACK, (None,)), [], len(init)
        for number in range(fragments):
            buffers, info = writer.write(pictures(self.pts, self.ids), self.at_90k, self.pts + 2 * S)
            file.append(buffers if number else [init, *buffers])
            length = 2 * S + 2 * S * next(self.bends) // 1_000_000
            listed.append(Fragment(self.at_90k, length, offset, info.size, info.key, info.key_bytes))
            self.at_90k, self.pts, offset = self.at_90k + length, self.pts + 2 * S, offset + info.size
        file.close()
        return Segment(
            camera="door",
            stream=stream,
            start_90k=start,
            end_90k=self.at_90k,
            run=self.run,
            kid=kid,
            disk=store.id,
            size_bytes=offset,
            init_bytes=len(init),
            sha256=None,
            tracks=TRACKS,
            fragments=tuple(listed),
        )

    def outage(self, seconds: int) -> Before:
        """Drop out; return what the next header says of it."""
        start = self.at_90k
        self.at_90k, self.pts, self.run = start + seconds * S, 0, self.ids.random(8).hex()
        return [(start, start + S, "broken", ""), (start + S, self.at_90k, "unreachable", "no route")]


@pytest.fixture
def disks(tmp_path: Path) -> list[Disk]:
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        found.append(Disk(Disks.adopt(tmp_path / name, disk_id=name), tmp_path / name))
    return found


def configured(disks: list[Disk]) -> Disks:
    return Disks((disk.id, disk.path, 0) for disk in disks)


def rows_of(catalogue: Catalogue, stream: str = "main") -> list[Segment]:
    return catalogue.segments("door", stream, 0, 1 << 60)


def test_bent_files_on_two_disks(disks, ids, tmp_path) -> None:
    recording = Recording(ids)
    rows = [recording.file(disks[0]), recording.file(disks[0]), recording.file(disks[1]), recording.file(disks[0])]
    rows.append(recording.file(disks[1], recording.outage(9)))
    rows += [recording.file(disks[1]), recording.file(disks[0])]
    clock = ManualClock(T0 + 3600 * S)
    report = rebuild(configured(disks), tmp_path / "facts.db", clock)
    catalogue = Catalogue(Database(tmp_path / "facts.db"), clock)
    found = rows_of(catalogue)
    assert found[:-1] == rows[:-1]
    # Nothing comes after the last one, so nothing but its media says where it ends: right to 500 ppm of a fragment.
    assert abs(found[-1].end_90k - rows[-1].end_90k) <= 2 * S * 500 // 1_000_000
    assert report.segments == 7
    ledger = catalogue.ledger("door", 0, found[-1].end_90k)
    assert [(s.kind, s.cause) for s in ledger.spans] == [
        (SpanKind.RECORDED, None),
        (SpanKind.LOST, Cause.BROKEN),
        (SpanKind.LOST, Cause.UNREACHABLE),
        (SpanKind.RECORDED, None),
    ]
    assert ledger.lost_90k == 9 * S
    assert ledger.total_90k == found[-1].end_90k - T0


def test_a_real_hole_is_not_closed(disks, ids, tmp_path) -> None:
    recording = Recording(ids)
    rows = [recording.file(disks[0]) for _ in range(3)]
    torn = disks[0].path / path_of(rows[1])
    with torn.open("r+b") as file:
        file.truncate(rows[1].fragments[-1].offset)  # lost its last two seconds, and the next file does not know
    clock = ManualClock(T0 + 3600 * S)
    rebuild(configured(disks), tmp_path / "facts.db", clock)
    ledger = Catalogue(Database(tmp_path / "facts.db"), clock).ledger("door", 0, rows[1].end_90k)
    lost = rows[1].fragments[-1]
    assert ledger.by_cause.keys() == {Cause.UNKNOWN}
    assert abs(ledger.lost_90k - lost.duration_90k) <= 2 * S * 500 // 1_000_000 + 1


def test_repair_joins_too(disks, ids, tmp_path) -> None:
    """The database was locked so long that rows in the middle were forgotten."""
    recording, sub = Recording(ids), Recording(ids)
    rows = [recording.file(disks[0]) for _ in range(5)]
    subs = [sub.file(disks[0], stream="sub") for _ in range(3)]
    clock = ManualClock(T0 + 3600 * S)
    catalogue = Catalogue(Database(tmp_path / "facts.db"), clock)
    catalogue.upsert([rows[0], rows[3], rows[4], subs[2]], finished=True)
    assert repair(disks[0], catalogue).indexed == 4
    assert [msgspec.structs.replace(r, sha256=None) for r in rows_of(catalogue)] == rows
    assert [msgspec.structs.replace(r, sha256=None) for r in rows_of(catalogue, "sub")] == subs
    assert len(catalogue.ledger("door", 0, rows[-1].end_90k).spans) == 1


def test_a_file_that_comes_while_rebuilding_says_where_the_one_before_ended(disks, ids, tmp_path) -> None:
    recording = Recording(ids)
    rows = [recording.file(disks[0]) for _ in range(3)]
    clock = ManualClock(recording.at_90k)  # all of it is of now
    catalogue = Catalogue(Database(tmp_path / "facts.db"), clock)

    def record_meanwhile(_: str) -> None:
        if len(rows) == 3:
            rows.append(recording.file(disks[0]))
            catalogue.upsert(rows, finished=True)  # into the old index

    rebuild(configured(disks), tmp_path / "facts.db", clock, record_meanwhile)
    again = Catalogue(Database(tmp_path / "facts.db"), clock)
    assert rows_of(again)[:3] == rows[:3]
    assert rows_of(again)[3].kid == rows[3].kid
