# SPDX-License-Identifier: Apache-2.0
"""Wall time, accounts, hours of the week, pre-roll."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import TICKS, parse_iso
from closedcircuit.base.errors import ConfigError
from closedcircuit.model import Cause, Sample, Weekly
from closedcircuit.recording import Account, Piece, WallMap, check_hours, is_within
from closedcircuit.recording.account import ENTRIES_MAX
from closedcircuit.recording.ring import RING_BYTES_MAX, PreRoll

T = 1_700_000_000 * TICKS


# -------------------------------------------------------------------------------------------- wall time


def test_the_least_delayed_sample_anchors_a_run() -> None:
    wall = WallMap(0, T + 9000)  # the first sample came 100 ms late
    for number in range(50):
        wall.observe(number * 3600, T + number * 3600 + (9000 if number % 10 else 450))
    assert wall.settle(50 * 3600) == 450 - 9000
    assert wall.wall(0) == T + 450
    assert wall.wall(90_000) == T + 450 + 90_000


def test_a_burst_at_the_start_lies_in_the_past() -> None:
    """Some cameras begin with the pictures since their last key frame, all at once."""
    wall = WallMap(0, T)
    for number in range(100):
        wall.observe(number * 3600, T + max(0, number - 50) * 3600)
    wall.settle(100 * 3600)
    assert wall.wall(50 * 3600) == T


@given(st.lists(st.integers(-200_000, 10_000_000), min_size=3, max_size=60))
def test_wall_time_rises_and_bends_by_at_most_500_ppm(delays: list[int]) -> None:
    wall = WallMap(0, T)
    wall.observe(0, T)
    wall.settle(1)
    last = wall.wall(1)
    for number, delay in enumerate(delays, 1):
        pts = number * 180_000
        wall.observe(pts, T + pts + delay)
        now = wall.wall(pts)
        assert abs(now - last - 180_000 + (1 if number == 1 else 0)) <= 180_000 * 500 // 1_000_000 + 1
        wall.settle(pts)
        assert wall.wall(pts) == now
        last = now


def test_a_slow_camera_clock_is_followed() -> None:
    wall = WallMap(0, T)
    for number in range(1800):  # an hour; the camera counts 100 ppm too few
        pts = number * 180_000
        arrived = T + pts + pts // 10_000
        wall.observe(pts, arrived)
        assert abs(wall.wall(pts) - arrived) < TICKS // 50
        wall.settle(pts)


# -------------------------------------------------------------------------------------------- the account


def test_every_moment_is_passed_with_a_reason() -> None:
    account = Account("door", T)
    account.because(T, Cause.UNREACHABLE, "no route")
    account.because(T + 10, Cause.REFUSED, "wrong password")
    assert account.before(T + 30) == [
        (T, T + 10, "unreachable", "no route"),
        (T + 10, T + 30, "refused", "wrong password"),
    ]
    account.covered(T + 30, T + 50)
    account.covered(T + 50, T + 70)
    assert account.before(T + 70) == []
    account.because(T + 75, Cause.BROKEN, "hung up")  # the time since the last footage is its fault too
    account.passed(T + 80)
    account.covered(T + 90, T + 99)
    told = [(g.start_90k - T, g.end_90k - T, g.cause) for g in account.take_changed()]
    assert told == [(0, 10, Cause.UNREACHABLE), (10, 30, Cause.REFUSED), (70, 90, Cause.BROKEN)]
    assert account.take_changed() == []


def test_a_growing_gap_is_told_again_with_the_same_start() -> None:
    account = Account("door", T)
    account.because(T, Cause.PAUSED)
    account.passed(T + 5)
    assert [(g.start_90k, g.end_90k) for g in account.take_changed()] == [(T, T + 5)]
    account.passed(T + 9)
    assert [(g.start_90k, g.end_90k) for g in account.take_changed()] == [(T, T + 9)]


def test_footage_that_never_reached_the_disk_comes_back_as_lost() -> None:
    account = Account("door", T)
    account.covered(T, T + 20)
    account.covered(T + 20, T + 40)
    account.lost(T, T + 20, Cause.DISK_FULL, "full")
    account.because(T + 41, Cause.DISK_FULL, "full")
    account.passed(T + 60)
    account.lost(T + 20, T + 40, Cause.DISK_FULL, "full")
    spans = sorted((s - T, e - T) for s, e, cause, _ in account.before(T + 60))
    assert spans == [(0, 40), (40, 60)]


def test_a_header_that_never_came_to_be_is_said_by_the_next_one() -> None:
    account = Account("door", T)
    account.because(T, Cause.UNREACHABLE)
    said = account.before(T + 10)
    account.covered(T + 10, T + 20)
    account.lost(T + 10, T + 20, Cause.DISK_GONE, "")
    account.unsaid(said)
    assert [(s - T, e - T, c) for s, e, c, _ in account.before(T + 30)][:2] == [
        (0, 10, "unreachable"),
        (10, 20, "disk-gone"),
    ]


def test_a_week_of_changing_reasons_stays_small() -> None:
    account = Account("door", T)
    for number in range(2000):
        account.because(T + number * 10, Cause.UNREACHABLE if number % 2 else Cause.REFUSED)
    said = account.before(T + 20_000)
    assert len(said) <= ENTRIES_MAX
    assert (said[0][0], said[-1][1]) == (T, T + 20_000)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(said))
    assert len(account.take_changed()) == 2000


@given(
    st.lists(st.tuples(st.sampled_from(["because", "covered", "passed", "before"]), st.integers(0, 50)), max_size=60)
)
def test_the_sum_is_exact(steps: list[tuple[str, int]]) -> None:
    """Whatever happens: gaps and footage touch, do not overlap, and add up."""
    account = Account("door", T)
    account.because(T, Cause.UNREACHABLE)
    now, edge, recorded = T, T, []
    for number, (what, by) in enumerate(steps):
        now += by
        if what == "because":
            account.because(now, (Cause.BROKEN, Cause.REFUSED, Cause.PAUSED)[number % 3])
        elif what == "passed":
            account.passed(now)
        elif what == "before":
            account.before(max(now, account.upto_90k))
        elif now > account.upto_90k:
            account.covered(account.upto_90k + by // 2 if now - account.upto_90k > by else account.upto_90k, now)
            recorded.append(now)
        edge = max(edge, now)
    account.because(now, Cause.PAUSED)
    account.passed(now + 10)
    gaps = account.take_changed()
    assert all(a.end_90k <= b.start_90k for a, b in itertools.pairwise(gaps))
    assert account.upto_90k == now + 10


# -------------------------------------------------------------------------------------------- hours


WORK = (Weekly(("mon", "tue", "wed", "thu", "fri"), "08:00", "18:30"),)
NIGHT = (Weekly(("sat",), "22:00", "06:00"),)


@pytest.mark.parametrize(
    ("schedule", "at", "expected"),
    [
        (WORK, "2026-11-23T08:00:00Z", True),
        (WORK, "2026-11-23T07:59:59Z", False),
        (WORK, "2026-11-23T18:29:59Z", True),
        (WORK, "2026-11-23T18:30:00Z", False),
        (WORK, "2026-11-22T12:00:00Z", False),  # a Sunday
        (NIGHT, "2026-11-21T23:00:00Z", True),
        (NIGHT, "2026-11-22T05:59:00Z", True),
        (NIGHT, "2026-11-22T06:00:00Z", False),
        (NIGHT, "2026-11-22T22:30:00Z", False),
        ((Weekly(("mon",), "00:00", "24:00"),), "2026-11-23T23:59:59Z", True),
        ((Weekly(("mon",), "09:00", "09:00"),), "2026-11-24T08:59:00Z", True),  # a whole day
        ((), "2026-11-23T08:00:00Z", False),
    ],
)
def test_hours_of_the_week(schedule: tuple[Weekly, ...], at: str, expected: bool) -> None:
    assert is_within(schedule, parse_iso(at), UTC) is expected


def test_hours_are_the_clock_on_the_wall() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for month, utc_hour in ((1, 7), (7, 6)):
        moment = datetime(2026, month, 5 if month == 1 else 6, utc_hour, 0, tzinfo=UTC)
        assert is_within(WORK, int(moment.timestamp()) * TICKS, berlin)
        assert not is_within(WORK, int((moment - timedelta(minutes=1)).timestamp()) * TICKS, berlin)
    assert is_within(WORK, parse_iso("2026-11-23T08:00:00+05:30"), timezone(timedelta(hours=5, minutes=30)))


@pytest.mark.parametrize(
    "entry", [Weekly(("monday",), "08:00", "18:00"), Weekly(("mon",), "8", "18:00"), Weekly((), "08:00", "09:00")]
)
def test_hours_that_are_none(entry: Weekly) -> None:
    with pytest.raises(ConfigError):
        check_hours((entry,))


# -------------------------------------------------------------------------------------------- pre-roll


def _piece(number: int, *, key: bool = True, size: int = 100) -> Piece:
    piece = Piece([Sample(1, 0, key, size, [], 0)], 0, 0, size)
    piece.start_90k, piece.end_90k = T + number * 2 * TICKS, T + (number + 1) * 2 * TICKS
    return piece


def test_pre_roll_covers_its_seconds_and_begins_with_a_key_frame() -> None:
    ring = PreRoll(5)
    for number in range(10):
        ring.push(_piece(number, key=number % 2 == 0))
    taken = ring.take(T + 15 * TICKS)
    assert [(p.start_90k - T) // TICKS for p in taken] == [12, 14, 16, 18]
    assert ring.take(0) == []


def test_pre_roll_is_bounded_by_bytes() -> None:
    ring = PreRoll(1000)
    for number in range(10):
        ring.push(_piece(number, size=RING_BYTES_MAX // 4))
    assert len(ring.take(0)) == 4
