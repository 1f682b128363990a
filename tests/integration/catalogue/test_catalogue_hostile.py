# SPDX-License-Identifier: Apache-2.0
"""Files that somebody else wrote: whatever they say, the index stays sound, and nothing but torn ones is removed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.base.errors import MediaError
from closedcircuit.blobs import Disk, Disks, path_of
from closedcircuit.blobs.fakes import MemoryDisk
from closedcircuit.catalogue import Catalogue, rebuild, repair
from closedcircuit.catalogue.fakes import TRACKS, segment_file
from closedcircuit.catalogue.scanning import LONGEST_90K, is_torn, scan
from closedcircuit.db import Database
from closedcircuit.media.mp4 import init_segment
from closedcircuit.model import Segment, Track

T0 = 1_800_000_000 * TICKS
CORPUS = Path(__file__).parents[2] / "fuzz" / "segment_header"
TRACK = msgspec.msgpack.decode(TRACKS, type=tuple[Track, ...])


def whole() -> tuple[Segment, bytes]:
    disk = MemoryDisk("disk")
    row = segment_file(disk, T0, ids=SeededIds(), before=[(T0 - TICKS, T0, "broken", "why")])
    with disk.open(row) as file:
        return row, file.pread(0, 1 << 20)


ROW, DATA = whole()
MUTATION = st.lists(st.tuples(st.integers(0, len(DATA) - 1), st.binary(min_size=1, max_size=8)), max_size=6)


def put(data: bytes) -> MemoryDisk:
    disk = MemoryDisk("disk")
    file = disk.create(ROW)
    if data:
        file.append([data])
    file.close()
    return disk


def sound(catalogue: Catalogue) -> None:
    ledger = catalogue.ledger("door", 0, 1 << 60)
    assert sum(s.end_90k - s.start_90k for s in ledger.spans) == ledger.total_90k
    for row in catalogue.segments("door", "main", 0, 1 << 62):
        assert row.end_90k - row.start_90k <= LONGEST_90K


@settings(max_examples=150, deadline=None)
@given(MUTATION, st.integers(0, len(DATA)))
def test_any_bytes_are_read_or_refused(mutation: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(DATA)
    for at, piece in mutation:
        data[at : at + len(piece)] = piece
    disk = put(bytes(data[:cut]))
    try:
        found = scan(disk, ROW, tail=True)
    except MediaError:
        assert isinstance(is_torn(disk, ROW), bool)
        return
    assert 0 <= found.whole_bytes <= found.file_bytes
    if found.segment is not None:
        assert found.segment.end_90k >= found.segment.start_90k


@settings(max_examples=25, deadline=None)
@given(MUTATION)
def test_the_index_takes_whatever_is_read(tmp_path_factory, mutation: list[tuple[int, bytes]]) -> None:
    data = bytearray(DATA)
    for at, piece in mutation:
        data[at : at + len(piece)] = piece
    catalogue = Catalogue(Database(tmp_path_factory.mktemp("db") / "facts.db"), ManualClock(T0 + 3600 * TICKS))
    disk = put(bytes(data))
    repair(disk, catalogue)
    sound(catalogue)
    repair(disk, catalogue)
    sound(catalogue)
    catalogue.db.close()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.json")), ids=lambda p: p.stem)
def test_headers_of_the_corpus(path: Path, tmp_path: Path) -> None:
    clock = ManualClock(T0 + 3600 * TICKS)
    init = init_segment(TRACK, ROW.kid, path.read_bytes())
    (tmp_path / "disk").mkdir()
    disk = Disk(Disks.adopt(tmp_path / "disk", disk_id="disk"), tmp_path / "disk")
    file = disk.create(ROW)
    file.append([init, DATA[ROW.init_bytes :]])
    file.close()
    catalogue = Catalogue(Database(tmp_path / "facts.db"), clock)
    repair(disk, catalogue)
    sound(catalogue)
    assert (disk.path / path_of(ROW)).exists()  # odd, but not torn: nobody removes it
    report = rebuild(Disks([("disk", disk.path, 0)]), tmp_path / "facts.db", clock)
    assert report.files == 1
    assert report.segments + report.unreadable == 1
    assert report.segments == path.stem.startswith("good")
    sound(catalogue)


def test_the_corpus_is_there() -> None:
    stems = [p.stem for p in CORPUS.glob("*.json")]
    assert len(stems) >= 10
    assert any(s.startswith("good") for s in stems)
    assert json.loads((CORPUS / "good.json").read_bytes())["camera"] == "door"
