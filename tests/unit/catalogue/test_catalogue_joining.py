# SPDX-License-Identifier: Apache-2.0
"""Where footage from files ended: joined to the tick where the recorder said so, and never over a hole."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import TICKS, SeededIds
from closedcircuit.catalogue.fakes import segment
from closedcircuit.catalogue.joining import HOLE_90K, Opening, joined, touching
from closedcircuit.model import Cause, Fragment, Gap, Segment

T0 = 1_800_000_000 * TICKS
PICTURE = 3600


def opening(start_90k: int, *, run: str = "", gaps: tuple[tuple[int, int], ...] = (), accounts: bool = True) -> Opening:
    return Opening(run, start_90k, tuple(Gap("door", s, e, Cause.BROKEN) for s, e in gaps), accounts)


@pytest.fixture
def minute(ids) -> Segment:
    return segment(T0, ids=ids)


@given(
    media=st.lists(st.integers(1, 10 * TICKS), min_size=1, max_size=40),
    ppm=st.lists(st.integers(-500, 500), min_size=40, max_size=40),
)
def test_fragments_of_a_file_touch_whatever_their_media_says(media: list[int], ppm: list[int]) -> None:
    at, made = T0, []
    for length, bend in zip(media, ppm, strict=False):
        made.append(Fragment(at, length, 0, 1, True, 1))
        at += max(1, length + length * bend // 1_000_000)
    found = touching(made)
    assert [f.start_90k for f in found] == [f.start_90k for f in made]
    assert all(a.start_90k + a.duration_90k == b.start_90k for a, b in itertools.pairwise(found))
    assert found[-1] == made[-1]


@pytest.mark.parametrize("hole", [HOLE_90K + 1100, 2 * TICKS, 3600 * TICKS, -2 * TICKS, -5 * TICKS])
def test_a_hole_in_a_file_or_a_time_that_goes_back_stays(hole: int) -> None:
    one = Fragment(T0, 2 * TICKS, 0, 1, True, 1)
    after = Fragment(T0 + 2 * TICKS + hole, 2 * TICKS, 1, 1, True, 1)
    assert touching([one, after]) == (one, after)


@pytest.mark.parametrize("bend", [-1000, -90, -4, 0, 3, 90, 1000])
def test_an_end_is_where_the_next_file_of_the_run_begins(minute: Segment, bend: int) -> None:
    found = joined(minute, PICTURE, opening(minute.end_90k + bend, run=minute.run, accounts=False))
    assert found.end_90k == minute.end_90k + bend
    assert found.fragments[-1].start_90k + found.fragments[-1].duration_90k == found.end_90k
    assert found.fragments[:-1] == minute.fragments[:-1]


@pytest.mark.parametrize("bend", [-PICTURE, -20, 0, 20, 3 * PICTURE])
def test_an_end_is_where_the_next_file_says_that_the_gap_began(minute: Segment, bend: int) -> None:
    end = minute.end_90k + bend
    gaps = ((end, end + 100), (end + 100, end + 7 * TICKS), (T0 - 10, T0))
    assert joined(minute, PICTURE, opening(end + 7 * TICKS, gaps=gaps)).end_90k == end


def test_what_the_account_does_not_reach_is_no_end(minute: Segment) -> None:
    late = minute.end_90k + 10 * TICKS
    unexplained = opening(late, gaps=((minute.end_90k + 20, late - 1),))  # a tick before `late` is not accounted for
    assert joined(minute, PICTURE, unexplained) == minute


@pytest.mark.parametrize("missing", [TICKS // 2, TICKS, 2 * TICKS, 4 * TICKS])
def test_a_fragment_that_is_missing_is_no_rounding(minute: Segment, missing: int) -> None:
    """The file lost its last fragment, of half a second or more, and the next one does not know."""
    assert joined(minute, PICTURE, opening(minute.end_90k + missing, run=minute.run)) == minute
    gap = (minute.end_90k + missing, minute.end_90k + missing + TICKS)
    assert joined(minute, PICTURE, opening(gap[1], gaps=(gap,))) == minute


def test_nobody_says_what_was_between_two_runs_of_a_substream(minute: Segment) -> None:
    assert joined(minute, PICTURE, opening(minute.end_90k + 50, run="other", accounts=False)) == minute
    assert joined(minute, PICTURE, opening(minute.end_90k + 50, run="other")).end_90k == minute.end_90k + 50


def test_another_index_is_believed_within_the_same_bounds(minute: Segment) -> None:
    end = minute.end_90k
    assert joined(minute, PICTURE, None, end + 77).end_90k == end + 77
    assert joined(minute, PICTURE, None, end + TICKS) == minute
    assert joined(minute, PICTURE, opening(end + 5, run=minute.run), end + 77).end_90k == end + 5  # footage comes first


@given(
    end=st.integers(-10 * TICKS, 10 * TICKS),
    picture=st.integers(0, 20 * TICKS),
    gap=st.integers(0, 10 * TICKS),
    duration=st.integers(0, 20 * TICKS),
)
def test_nothing_is_joined_that_is_further_away_than_a_second(end: int, picture: int, gap: int, duration: int) -> None:
    row = segment(T0, ids=SeededIds(), seconds=2)
    last = msgspec.structs.replace(row.fragments[-1], duration_90k=duration)
    row = msgspec.structs.replace(row, fragments=(last,), end_90k=T0 + duration)
    start = row.end_90k + end
    found = joined(row, picture, opening(start + gap, gaps=((start, start + gap),) if gap else ()))
    assert found.end_90k in (row.end_90k, start)
    assert found.end_90k <= row.end_90k + HOLE_90K + duration // 1000
    assert found.end_90k > T0 or found == row
