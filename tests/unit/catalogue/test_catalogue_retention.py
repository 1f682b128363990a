# SPDX-License-Identifier: Apache-2.0
"""What may be deleted and what not; holds; keys; quotas; forecasts."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.base.errors import Busy, NotFound
from closedcircuit.catalogue import Catalogue, Limits, Policy
from closedcircuit.catalogue.fakes import BusyCatalogue, footage, segment
from closedcircuit.db import Database
from closedcircuit.model import Camera, Cause, Gap, Hold, Recording, Segment, Source

DAY = 86_400 * TICKS
MINUTE = 60 * TICKS
T0 = 1_800_000_000 * TICKS // DAY * DAY


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0 + 40 * DAY)


@pytest.fixture
def catalogue(tmp_path: Path, clock: ManualClock) -> Catalogue:
    return Catalogue(Database(tmp_path / "facts.db"), clock)


def hold(camera: str, start: int, end: int, hold_id: str = "h1") -> Hold:
    return Hold(id=hold_id, camera=camera, start_90k=start, end_90k=end, reason="police request 17", made_90k=T0)


def keep(days: float | None = None, size: int | None = None) -> Policy:
    return Policy(Limits(None if days is None else round(days * DAY), size))


def starts(segments: list[Segment]) -> list[int]:
    return [(s.start_90k - T0) // MINUTE for s in segments]


# ------------------------------------------------------------------------------------------------ finding


def test_rows_come_back_as_they_were_stored(catalogue, ids) -> None:
    rows = [segment(T0 + n * MINUTE, ids=ids) for n in range(10)]
    sub = segment(T0, ids=ids, stream="sub", grows=True)
    catalogue.upsert([*rows, sub])
    assert catalogue.segments("door", "main", 0, 1 << 60) == rows
    assert catalogue.segments("door", "sub", 0, 1 << 60) == [sub]
    assert catalogue.segments("door", "main", T0 + MINUTE, T0 + 3 * MINUTE) == rows[1:3]
    assert catalogue.segments("door", "main", T0 + MINUTE - 1, T0 + 3 * MINUTE + 1) == rows[0:4]
    assert catalogue.segments("door", "main", 0, 1 << 60, 3) == rows[:3]
    assert catalogue.segments("door", "main", T0, T0 + 1, fragments=False) == [
        msgspec.structs.replace(rows[0], fragments=())
    ]
    for row in rows:
        assert catalogue.segment("door", "main", row.kid) == row
        assert catalogue.at("door", "main", row.start_90k) == row
        assert catalogue.at("door", "main", row.end_90k - 1) == row
    for missing in (("door", "sub", rows[0].kid), ("door", "main", sub.kid), ("till", "main", rows[0].kid)):
        with pytest.raises(NotFound):
            catalogue.segment(*missing)


def test_moments_around_a_gap(catalogue, ids) -> None:
    catalogue.upsert([segment(T0, ids=ids), segment(T0 + 5 * MINUTE, ids=ids)])
    middle = T0 + 3 * MINUTE
    assert catalogue.at("door", "main", middle) is None
    assert catalogue.next_start("door", "main", middle) == T0 + 5 * MINUTE
    assert catalogue.prev_end("door", "main", middle) == T0 + MINUTE
    assert catalogue.prev_end("door", "main", T0 + MINUTE) == T0 + MINUTE
    assert catalogue.prev_end("door", "main", T0 + MINUTE - 1) is None
    assert catalogue.next_start("door", "main", T0 + 5 * MINUTE) is None
    assert catalogue.oldest("door") == T0
    assert catalogue.newest_end("door", "main") == T0 + 6 * MINUTE
    assert catalogue.oldest("till") is None
    assert catalogue.newest_end("door", "sub") is None
    assert catalogue.at("till", "main", T0) is None
    assert catalogue.segments("till", "main", 0, 1 << 60) == []


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60)), max_size=12),
    at=st.integers(-1, 120),
    length=st.integers(0, 40),
)
def test_overlapping_segments_of_any_length_are_found(tmp_path_factory, rows, at, length) -> None:
    ids = SeededIds()
    catalogue = Catalogue(Database(tmp_path_factory.mktemp("db") / "facts.db"), ManualClock(T0 + DAY))
    stored = [segment(T0 + a, ids=ids, seconds=n / TICKS) for a, n in rows]
    catalogue.upsert(stored)
    low, high = T0 + at, T0 + at + length
    expected = [s.kid for s in sorted(stored, key=lambda s: s.start_90k) if s.start_90k < high and s.end_90k > low]
    assert [s.kid for s in catalogue.segments("door", "main", low, high)] == expected
    covering = [s for s in stored if s.start_90k <= low < s.end_90k]
    found = catalogue.at("door", "main", low)
    assert (found is None) == (covering == [])
    if found is not None:
        assert found.start_90k == max(s.start_90k for s in covering)
    assert catalogue.prev_end("door", "main", low) == max((s.end_90k for s in stored if s.end_90k <= low), default=None)
    assert catalogue.next_start("door", "main", low) == min(
        (s.start_90k for s in stored if s.start_90k > low), default=None
    )
    catalogue.db.close()


def test_a_finished_segment_does_not_grow_again(catalogue, ids) -> None:
    done = segment(T0, ids=ids)
    late = msgspec.structs.replace(
        done, sha256=None, end_90k=T0 + 10 * TICKS, size_bytes=5, fragments=done.fragments[:5]
    )
    catalogue.upsert([late])
    assert [s.kid for s in catalogue.growing()] == [done.kid]
    catalogue.upsert([done])
    catalogue.upsert([late])
    assert catalogue.segments("door", "main", 0, 1 << 60) == [done]
    assert catalogue.growing() == []
    catalogue.upsert([msgspec.structs.replace(done, sha256=None)], finished=True)
    assert catalogue.growing() == []
    assert catalogue.newest_finished("door", "main") == T0


def test_a_busy_database_changes_nothing(tmp_path, clock, ids) -> None:
    catalogue = BusyCatalogue(Database(tmp_path / "facts.db"), clock)
    catalogue.busy = 2
    with pytest.raises(Busy):
        catalogue.upsert([segment(T0, ids=ids)])
    with pytest.raises(Busy):
        catalogue.add_gaps([Gap("door", T0, T0 + 1, Cause.BROKEN)])
    assert catalogue.segments("door", "main", 0, 1 << 60) == []
    catalogue.upsert([segment(T0, ids=ids)])
    assert len(catalogue.segments("door", "main", 0, 1 << 60)) == 1


# ------------------------------------------------------------------------------------------------ limits


def test_age_is_counted_from_the_end_and_oldest_go_first(catalogue, clock, ids) -> None:
    catalogue.upsert(
        [segment(T0 + n * MINUTE, ids=ids, camera=c) for c in ("door", "till") for n in (0, 1, 2, 3)]
        + [segment(T0, ids=ids, stream="sub")]
    )
    clock.step((T0 + 10 * DAY + 2 * MINUTE - clock.now_90k()) / TICKS)
    found = catalogue.expired(keep(days=10))
    assert starts(found) == [0, 0, 0, 1, 1]
    assert catalogue.expired(keep(days=10), limit=2) == found[:2]
    assert catalogue.expired(keep()) == []
    only_till = Policy(Limits(None), {"till": Limits(10 * DAY)})
    assert {s.camera for s in catalogue.expired(only_till)} == {"till"}


def test_a_long_segment_does_not_shield_those_behind_it(catalogue, clock, ids) -> None:
    long = msgspec.structs.replace(segment(T0, ids=ids), end_90k=T0 + 39 * DAY)
    catalogue.upsert([long, *(segment(T0 + n * MINUTE, ids=ids) for n in (1, 2))])
    assert starts(catalogue.expired(keep(days=30))) == [1, 2]


def test_a_quota_takes_the_oldest_of_all_streams(catalogue, ids) -> None:
    rows = [segment(T0 + n * MINUTE, ids=ids, stream=s) for n in range(5) for s in ("main", "sub")]
    catalogue.upsert(rows)
    each = rows[0].size_bytes
    assert catalogue.bytes_by_camera() == {"door": 10 * each}
    assert starts(catalogue.expired(keep(size=7 * each))) == [0, 0, 1]
    assert starts(catalogue.expired(keep(size=7 * each - 1))) == [0, 0, 1, 1]
    assert catalogue.expired(keep(size=10 * each)) == []


def test_growing_and_doomed_segments_are_not_candidates(catalogue, ids) -> None:
    rows = [segment(T0 + n * MINUTE, ids=ids, grows=n == 1) for n in range(4)]
    catalogue.upsert(rows)
    assert starts(catalogue.doom([rows[2]])) == [2]
    assert starts(catalogue.expired(keep(days=1))) == [0, 3]
    assert starts(catalogue.oldest_on("disk", 1 << 60)) == [0, 3]


def test_policy_of_cameras() -> None:
    def camera(name: str, **recording) -> Camera:
        return Camera(id=name, name=name, main=Source(address="x"), recording=Recording(**recording))

    policy = Policy.of([camera("a"), camera("b", keep_days=2.5, keep_gb=1.5), camera("c", keep_gb=3)], 30)
    assert policy.limits("a") == policy.limits("removed") == Limits(30 * DAY)
    assert policy.limits("b") == Limits(5 * DAY // 2, 1_500_000_000)
    assert policy.limits("c") == Limits(30 * DAY, 3_000_000_000)
    assert Policy.of([], None).limits("x") == Limits()


# ------------------------------------------------------------------------------------------------ holds


@settings(max_examples=25, deadline=None)
@given(
    held=st.lists(st.tuples(st.integers(0, 150), st.integers(1, 60)), max_size=4),
    long=st.integers(1, 30),
    limit=st.integers(1, 200),
)
def test_held_footage_is_never_offered_nor_doomed(tmp_path_factory, held, long, limit) -> None:
    ids = SeededIds()
    catalogue = Catalogue(Database(tmp_path_factory.mktemp("db") / "facts.db"), ManualClock(T0 + 40 * DAY))
    rows = [segment(T0 + n * MINUTE, ids=ids) for n in range(150)]
    rows.append(segment(T0 + 20 * MINUTE + 1, ids=ids, seconds=60 * long))
    catalogue.upsert(rows)
    for number, (start, length) in enumerate(held):
        low = T0 + start * MINUTE // 2
        catalogue.add_hold(hold("door", low, low + length * MINUTE // 2, f"h{number}"))
    holds = [(h.start_90k, h.end_90k) for h in catalogue.holds("door")]
    free = [s for s in rows if not any(s.start_90k < e and s.end_90k > b for b, e in holds)]
    free.sort(key=lambda s: s.start_90k)
    assert [s.kid for s in catalogue.expired(keep(days=1), limit)] == [s.kid for s in free[:limit]]
    assert [s.kid for s in catalogue.oldest_on("disk", 1 << 60, limit)] == [s.kid for s in free[:limit]]
    assert {s.kid for s in catalogue.doom(rows)} == {s.kid for s in free}
    catalogue.db.close()


def test_a_hold_of_one_camera_holds_no_other(catalogue, ids) -> None:
    catalogue.upsert([segment(T0, ids=ids, camera=c) for c in ("door", "till")])
    catalogue.add_hold(hold("door", T0, T0 + MINUTE))
    assert [s.camera for s in catalogue.expired(keep(days=1))] == ["till"]
    assert catalogue.holds("till") == []
    assert catalogue.holds(from_90k=T0 + MINUTE) == []
    assert len(catalogue.holds(from_90k=T0 + MINUTE - 1)) == 1
    catalogue.remove_hold("h1")
    assert len(catalogue.expired(keep(days=1))) == 2
    with pytest.raises(NotFound):
        catalogue.remove_hold("h1")


# ------------------------------------------------------------------------------------------------ deleting


def test_deletion_from_list_to_gap(catalogue, ids) -> None:
    rows = list(footage("door", T0, 2, ids=ids))
    subs = list(footage("door", T0, 1, ids=ids, stream="sub"))
    catalogue.upsert([*rows, *subs])
    keys = {s.kid[:8].hex() for s in [*rows, *subs]}
    assert catalogue.keys_in_use("door") == keys
    first_hour = catalogue.expired(keep(days=1), 1000)[:60]
    assert catalogue.doom(first_hour) == first_hour
    assert {s.kid for s in catalogue.doomed()} == {s.kid for s in first_hour}
    assert len(catalogue.segments("door", "main", 0, 1 << 60)) == 120  # rows stay until the files are gone
    catalogue.deleted(first_hour, "after 1 day")
    catalogue.deleted(first_hour, "after 1 day")
    assert catalogue.doomed() == []
    left = [s for s in [*rows, *subs] if s.kid not in {f.kid for f in first_hour}]
    assert catalogue.bytes_by_camera() == {"door": sum(s.size_bytes for s in left)}
    assert catalogue.bytes_by_disk() == {"disk": sum(s.size_bytes for s in left)}
    assert catalogue.db.read("select sum(segments) from day") == [(len(left),)]


def test_a_key_is_spare_when_nothing_else_needs_it_and_it_is_old(catalogue, clock, ids) -> None:
    rows = list(footage("door", T0, 1, ids=ids))
    key = rows[0].kid[:8]
    sub = msgspec.structs.replace(segment(T0, ids=ids, stream="sub"), kid=key + b"12345678")
    catalogue.upsert([*rows, sub])
    assert catalogue.spare_keys(rows[:59]) == []
    assert catalogue.spare_keys(rows) == []
    assert catalogue.spare_keys([*rows, sub]) == [("door", key.hex())]
    catalogue.deleted(rows)
    assert catalogue.keys_in_use("door") == {key.hex()}
    assert catalogue.spare_keys([sub]) == [("door", key.hex())]
    clock.step((T0 + 61 * MINUTE - clock.now_90k()) / TICKS)
    assert catalogue.spare_keys([sub]) == []  # the recorder may still be sealing under it
    catalogue.deleted([sub])
    assert catalogue.keys_in_use("door") == set()


def test_room_on_one_disk_comes_from_that_disk(catalogue, ids) -> None:
    rows = [
        msgspec.structs.replace(segment(T0 + n * DAY, ids=ids, camera=c), disk=d)
        for n in range(4)
        for c, d in (("door", "old" if n < 2 else "new"), ("till", "new"))
    ]
    catalogue.upsert(rows)
    each = rows[0].size_bytes
    found = catalogue.oldest_on("new", 3 * each)
    assert [(s.camera, (s.start_90k - T0) // DAY) for s in found] == [("till", 0), ("till", 1), ("door", 2)]
    assert len(catalogue.oldest_on("old", each)) == 1
    assert catalogue.oldest_on("nowhere", each) == []
    assert catalogue.oldest_on("new", 0) == []


def test_bytes_follow_a_growing_segment_and_a_changed_disk(catalogue, ids) -> None:
    row = segment(T0, ids=ids, grows=True)
    for size in (10, 50, 30):
        catalogue.upsert([msgspec.structs.replace(row, size_bytes=size)])
        assert catalogue.bytes_by_camera() == {"door": size}
    catalogue.upsert([msgspec.structs.replace(row, size_bytes=30, disk="other")])
    assert catalogue.bytes_by_disk() == {"other": 30}
    assert catalogue.db.read("select segments from day") == [(1,)]


# ------------------------------------------------------------------------------------------------ forecast


def fill_days(catalogue: Catalogue, ids, days: range, size: int, camera: str = "door") -> None:
    catalogue.upsert(
        [msgspec.structs.replace(segment(T0 + n * DAY, ids=ids, camera=camera), size_bytes=size) for n in days]
    )


def test_without_limits_the_day_is_room_over_rate(catalogue, clock, ids) -> None:
    fill_days(catalogue, ids, range(33, 40), 700)
    assert catalogue.bytes_per_day() == {"door": 700}  # six of the last seven days, and today has only begun
    found = catalogue.forecast(keep(), 7000)
    assert found.days_until_full == pytest.approx(10, abs=0.1)
    assert found.keeps_bytes is None
    assert catalogue.forecast(keep(), 0).days_until_full == 0


def test_retention_in_balance_is_never_full(catalogue, ids) -> None:
    fill_days(catalogue, ids, range(10, 41), 1000)
    found = catalogue.forecast(keep(days=30), 50_000)
    assert found.days_until_full is None
    assert found.keeps_bytes is not None
    assert 30_000 < found.keeps_bytes < 40_000


def test_a_young_site_grows_until_retention_begins(catalogue, ids) -> None:
    fill_days(catalogue, ids, range(30, 41), 1000)
    assert catalogue.forecast(keep(days=100), 50_000).days_until_full == pytest.approx(43, abs=8)
    assert catalogue.forecast(keep(days=30), 50_000).days_until_full is None


def test_a_quota_bounds_growth(catalogue, ids) -> None:
    fill_days(catalogue, ids, range(30, 41), 1000)
    fill_days(catalogue, ids, range(30, 41), 10, camera="till")
    found = catalogue.forecast(Policy(Limits(), {"door": Limits(None, 15_000)}), 5000)
    assert found.days_until_full is not None
    assert found.days_until_full > 50
    assert found.keeps_bytes is None
    bounded = catalogue.forecast(Policy(Limits(None, 15_000)), 30_000)
    assert (bounded.days_until_full, bounded.keeps_bytes) == (None, 30_000)


def test_an_empty_site_has_no_forecast(catalogue) -> None:
    found = catalogue.forecast(keep(days=30), 1 << 40)
    assert (found.days_until_full, found.bytes_per_day, found.keeps_bytes) == (None, {}, 0)
