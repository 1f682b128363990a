# SPDX-License-Identifier: Apache-2.0
"""Finding and reading pictures, against a model that knows where each one is."""

import hashlib
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import TICKS, ManualClock
from closedcircuit.base.errors import NotFound, RequestError, StorageError
from closedcircuit.blobs import Disks
from closedcircuit.catalogue import SEGMENTS_MAX, Catalogue
from closedcircuit.db import Database
from closedcircuit.model import Camera, Cause, Fragment, Gap, Hold, Segment, Source, Track, TrackKind
from closedcircuit.playback import Archive, Direction, NothingThere

INIT, SIZE, KEY = 50, 40, 15
T0 = 1_800_000_000 * TICKS
TRACKS = msgspec.msgpack.encode(
    (Track(kind=TrackKind.VIDEO, codec="h264", codec_string="avc1.640028", timescale=90_000, config=b"\0\xff"),)
)


class Shelf:
    """An archive in a folder, and what lies in it."""

    def __init__(self, root):
        self.root, self.clock = root, ManualClock(T0 + 3600 * TICKS)
        Disks.adopt(root, disk_id="data")
        self.disks = Disks([("data", root, 0)])
        self.db = Database(root / "facts.db")
        self.catalogue = Catalogue(self.db, self.clock)
        self.archive = Archive(self.catalogue, self.disks, root / "keys", self.clock)
        self.data = {}

    def record(self, start_s, keys, *, camera="yard", stream="main", sha256=b"h" * 32):
        """Lay down a segment of one fragment of two seconds for each of `keys` (whether it begins with a key frame)."""
        start = T0 + round(start_s * TICKS)
        kid = hashlib.sha256(f"{camera}{stream}{start}".encode()).digest()[:16]
        data = hashlib.shake_256(kid).digest(INIT + SIZE * len(keys))
        fragments = tuple(
            Fragment(start + n * 2 * TICKS, 2 * TICKS, INIT + n * SIZE, SIZE, key, KEY if key else 0)
            for n, key in enumerate(keys)
        )
        segment = Segment(
            camera=camera,
            stream=stream,
            start_90k=start,
            end_90k=start + len(keys) * 2 * TICKS,
            run="00" * 8,
            kid=kid,
            disk="data",
            size_bytes=len(data),
            init_bytes=INIT,
            sha256=sha256,
            tracks=TRACKS,
            fragments=fragments,
        )
        file = self.disks["data"].create(segment)
        file.append([data])
        file.close()
        self.catalogue.upsert([segment])
        self.data[kid.hex()] = data
        return segment

    def at(self, second, direction="before", *, key=False):
        answer = self.archive.picture("yard", "main", T0 + round(second * TICKS), Direction(direction), key=key)
        size = int.from_bytes(answer[:4], "big")
        header = json.loads(answer[4 : 4 + size])
        data = self.data[header["kid"]]
        _, _, offset, length, _, key_bytes = header["fragment"]
        taken = key_bytes if key and key_bytes else length
        assert answer[4 + size :] == data[:INIT] + data[offset : offset + taken]
        seconds = [None if t is None else (t - T0) / TICKS for t in (header["prev_90k"], header["next_90k"])]
        return (header["fragment"][0] - T0) / TICKS, *seconds

    def close(self):
        self.db.close()


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()


def test_picture_covers_the_moment_and_knows_its_neighbours_over_gaps(shelf):
    shelf.record(0, [True, True, True])
    shelf.record(100, [True, False, True])
    assert shelf.at(3) == (2, 0, 4)
    assert shelf.at(0) == (0, None, 2)
    assert shelf.at(5.9) == (4, 2, 100)
    assert shelf.at(103) == (102, 100, 104)
    assert shelf.at(103, key=True) == (100, 4, 104)
    assert shelf.at(105.5) == (104, 102, None)


def test_in_a_gap_before_says_where_there_is_something(shelf):
    shelf.record(0, [True])
    shelf.record(100, [True])
    with pytest.raises(NothingThere) as nothing:
        shelf.at(50)
    assert (nothing.value.prev_90k, nothing.value.next_90k) == (T0 + 2 * TICKS, T0 + 100 * TICKS)
    with pytest.raises(NothingThere) as nothing:
        shelf.at(-5)
    assert (nothing.value.prev_90k, nothing.value.next_90k) == (None, T0)


def test_after_and_near_reach_over_gaps(shelf):
    shelf.record(0, [True, True])
    shelf.record(100, [True, False, True])
    assert shelf.at(50, "after")[0] == 100
    assert shelf.at(2.5, "after")[0] == 100
    assert shelf.at(2, "after")[0] == 2
    assert shelf.at(101, "after", key=True)[0] == 104
    assert shelf.at(20, "near")[0] == 2
    assert shelf.at(90, "near")[0] == 100
    assert shelf.at(103.1, "near", key=True)[0] == 104
    assert shelf.at(-100, "near")[0] == 0
    assert shelf.at(1e6, "near")[0] == 104
    with pytest.raises(NothingThere):
        shelf.at(105, "after")


@settings(max_examples=40, deadline=None)
@given(
    layout=st.lists(st.tuples(st.integers(0, 3), st.lists(st.booleans(), min_size=0, max_size=4)), max_size=5),
    seconds=st.lists(st.floats(-5, 60, allow_nan=False), min_size=1, max_size=6),
    key=st.booleans(),
)
def test_every_moment_finds_what_a_plain_list_finds(tmp_path_factory, layout, seconds, key):
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    try:
        pieces, at = [], 0
        for gap, rest in layout:
            at += 3 * gap
            keys = [True, *rest]
            shelf.record(at, keys)
            pieces += [(at + 2 * n, is_key) for n, is_key in enumerate(keys)]
            at += 2 * len(keys)
        starts = [start for start, is_key in pieces if is_key or not key]
        covered = [(start, start + 2) for start, _ in pieces]
        for second in seconds:
            second = round(second * TICKS) / TICKS
            later = [s for s in starts if s >= second]
            earlier = [s for s in starts if s <= second]
            is_there = any(a <= second < b for a, b in covered)
            check(shelf, second, "before", earlier[-1] if is_there else None, key=key)
            check(shelf, second, "after", later[0] if later else None, key=key)
            both = [*earlier[-1:], *later[:1]]
            check(shelf, second, "near", min(both, key=lambda s: (abs(second - s), s), default=None), key=key)
    finally:
        shelf.close()


def check(shelf, second, direction, wanted, *, key):
    if wanted is None:
        with pytest.raises(NothingThere):
            shelf.at(second, direction, key=key)
    else:
        assert shelf.at(second, direction, key=key)[0] == wanted


def test_file_that_is_shorter_than_its_row_is_said_so(shelf):
    segment = shelf.record(0, [True, True])
    shelf.disks["data"].truncate(segment, INIT + SIZE + 10)
    assert shelf.at(0)[0] == 0
    with pytest.raises(StorageError, match="shorter"):
        shelf.at(2)


def test_missing_file_is_not_found(shelf):
    segment = shelf.record(0, [True])
    shelf.disks["data"].delete([segment])
    with pytest.raises(NotFound):
        shelf.at(0)


def test_segments_are_listed_with_all_that_a_browser_needs(shelf):
    shelf.record(0, [True, False])
    shelf.record(60, [True], sha256=None)
    listed = shelf.archive.segments("yard", "main", T0, T0 + 100 * TICKS)
    assert not listed.more
    first, second = msgspec.to_builtins(listed)["segments"]
    assert first["tracks"][0]["config"] == "AP8="
    assert first["path"].startswith("footage/yard/main/")
    assert first["fragments"][1] == [T0 + 2 * TICKS, 2 * TICKS, INIT + SIZE, SIZE, False, 0]
    assert first["key_id"] == first["kid"][:16]
    assert (first["sha256"], second["sha256"]) == ((b"h" * 32).hex(), None)


def test_many_segments_are_cut_off_and_said_so(shelf):
    for number in range(SEGMENTS_MAX + 1):
        shelf.record(number * 2, [True])
    listed = shelf.archive.segments("yard", "main", T0, T0 + 10_000 * TICKS)
    assert (len(listed.segments), listed.more) == (SEGMENTS_MAX, True)
    assert not shelf.archive.segments("yard", "main", T0, T0 + SEGMENTS_MAX * 2 * TICKS).more


def test_account_adds_up(shelf):
    shelf.catalogue.announce(Camera(id="yard", name="Yard", main=Source(address="x"), added_90k=T0))
    shelf.record(0, [True] * 5)
    shelf.catalogue.add_gaps([Gap("yard", T0 + 10 * TICKS, T0 + 40 * TICKS, Cause.UNREACHABLE, "no route")])
    account = shelf.archive.account("yard", T0 - 5 * TICKS, T0 + 60 * TICKS)
    assert account.recorded_90k == 10 * TICKS
    assert account.by_cause == {Cause.UNREACHABLE: 30 * TICKS, Cause.UNKNOWN: 20 * TICKS}
    assert account.recorded_90k + account.off_90k + account.lost_90k == account.total_90k == 60 * TICKS
    assert sum(end - start for start, end, *_ in account.spans) == account.total_90k


def test_timeline_of_a_year_is_small_and_holds_are_on_it(shelf):
    shelf.catalogue.announce(Camera(id="yard", name="Yard", main=Source(address="x"), added_90k=T0))
    for number in range(50):
        shelf.record(number * 10, [True])
    shelf.catalogue.add_hold(Hold(id="h", camera="yard", start_90k=T0, end_90k=T0 + 5, reason="case", made_90k=T0))
    timeline = shelf.archive.timeline(["yard", "nobody"], T0, T0 + 365 * 86_400 * TICKS, 400)
    yard = timeline.cameras["yard"]
    assert len(yard.spans) <= 3
    assert yard.holds == [(T0, T0 + 5, "h", "case")]
    assert yard.oldest_90k == T0
    assert timeline.cameras["nobody"].spans == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda a: a.timeline(["yard"], 5, 5, 100),
        lambda a: a.timeline(["yard"], 0, 5, 0),
        lambda a: a.timeline(["c"] * 300, 0, 5, 100),
        lambda a: a.account("yard", 5, 4),
        lambda a: a.segments("yard", "third", 0, 5),
        lambda a: a.picture("yard", "../main", 0, Direction.NEAR, key=True),
    ],
)
def test_what_makes_no_sense_is_refused(shelf, ask):
    with pytest.raises(RequestError) as refused:
        ask(shelf.archive)
    assert refused.value.remedy


@pytest.mark.parametrize(
    "name", [("..", "0" * 16), ("yard", "../../facts"), ("yard", "0" * 15), ("yard", "G" * 16), ("yard/..", "0" * 16)]
)
def test_no_name_leads_out_of_the_keys(shelf, name):
    with pytest.raises(NotFound):
        shelf.archive.key_file(*name)


def test_key_files(shelf):
    (shelf.root / "keys" / "yard").mkdir(parents=True)
    (shelf.root / "keys" / "yard" / ("ab" * 8 + ".age")).write_bytes(b"age")
    assert shelf.archive.key_file("yard", "ab" * 8) == b"age"
    with pytest.raises(NotFound, match="retention"):
        shelf.archive.key_file("yard", "cd" * 8)


def test_unknown_segments(shelf):
    for name in (("yard", "main", "00" * 16), ("yard", "main", "zz"), ("../x", "main", "00" * 16)):
        with pytest.raises(NotFound):
            shelf.archive.open(*name)
