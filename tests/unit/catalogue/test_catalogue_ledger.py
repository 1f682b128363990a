# SPDX-License-Identifier: Apache-2.0
"""The ledger adds up whatever is stored: checked against a painting of every tick."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import TICKS, ManualClock, SeededIds
from closedcircuit.catalogue import UNDECIDED_90K, Catalogue
from closedcircuit.catalogue.fakes import segment
from closedcircuit.catalogue.spans import Ledger, merge_below, partition
from closedcircuit.db import Database
from closedcircuit.model import Camera, Cause, Gap, Segment, Source, Span, SpanKind

T0 = 1_800_000_000 * TICKS
END = 60  # the painted world has 60 ticks


def camera(added_90k: int, name: str = "door") -> Camera:
    return Camera(id=name, name=name, main=Source(address="rtsp://x"), added_90k=added_90k)


def add_up_exactly(ledger: Ledger, from_90k: int, to_90k: int) -> None:
    assert ledger.recorded_90k + ledger.off_90k + ledger.lost_90k == ledger.to_90k - ledger.from_90k == ledger.total_90k
    assert sum(ledger.by_cause.values()) == ledger.off_90k + ledger.lost_90k
    assert (ledger.from_90k, ledger.to_90k) == (from_90k, to_90k)
    at = from_90k
    for span in ledger.spans:
        assert span.start_90k == at
        assert span.end_90k > at
        assert (span.cause is None) == (span.kind is SpanKind.RECORDED)
        at = span.end_90k
    assert at == to_90k


CAUSES = st.sampled_from([c for c in Cause if c is not Cause.UNKNOWN])
STRETCH = st.tuples(st.integers(0, END), st.integers(0, 20)).map(lambda t: (t[0], min(END, t[0] + t[1])))
RECORD = st.tuples(st.just("record"), STRETCH)
GROW = st.tuples(st.just("grow"), st.tuples(st.integers(0, 30), st.integers(0, 30)))
DELETE = st.tuples(st.just("delete"), st.integers(0, 30))
GAP = st.tuples(st.just("gap"), st.tuples(STRETCH, CAUSES, st.sampled_from(["", "why"])))


@settings(max_examples=80, deadline=None)
@given(steps=st.lists(st.one_of(RECORD, GROW, DELETE, GAP), max_size=25), window=STRETCH)
def test_ledger_is_what_painting_every_tick_gives(tmp_path_factory, steps, window) -> None:
    clock, ids = ManualClock(T0 + 100 * TICKS), SeededIds()
    catalogue = Catalogue(Database(tmp_path_factory.mktemp("db") / "facts.db"), clock)
    catalogue.announce(camera(T0))
    painted: list[tuple[Cause, str] | None] = [None] * END
    live: list[Segment] = []

    def covered() -> set[int]:
        return {t for s in live for t in range(s.start_90k - T0, s.end_90k - T0)}

    for kind, what in steps:
        if kind == "record":
            start, end = what
            new = segment(T0 + start, ids=ids, seconds=(end - start) / TICKS, grows=True)
            catalogue.upsert([new])
            live.append(new)
        elif kind == "grow" and live:
            which, by = what
            old = live.pop(which % len(live))
            new_end = min(T0 + END, max(old.start_90k, old.end_90k + by - 15))
            grown = segment(old.start_90k, ids=ids, seconds=(new_end - old.start_90k) / TICKS, grows=True)
            grown = msgspec.structs.replace(grown, kid=old.kid)
            catalogue.upsert([grown])
            live.append(grown)
        elif kind == "delete" and live:
            before = covered()
            gone = live.pop(what % len(live))
            catalogue.doom([gone])
            catalogue.deleted([gone], "retention")
            for tick in before - covered():
                painted[tick] = (Cause.DELETED, "retention")
        elif kind == "gap":
            (start, end), cause, detail = what
            catalogue.add_gaps([Gap("door", T0 + start, T0 + end, cause, detail)])
            painted[start:end] = [(cause, detail)] * (end - start)

    ledger = catalogue.ledger("door", T0 + window[0], T0 + window[1])
    add_up_exactly(ledger, T0 + window[0], T0 + window[1])
    seen: list[object] = []
    for span in ledger.spans:
        what = "recorded" if span.kind is SpanKind.RECORDED else (span.cause, span.detail)
        seen += [what] * (span.end_90k - span.start_90k)
    truth = ["recorded" if t in covered() else painted[t] or (Cause.UNKNOWN, "") for t in range(*window)]
    assert seen == truth
    assert len(ledger.spans) == sum(a != b for a, b in zip(truth, [None, *truth], strict=False))
    catalogue.db.close()


@settings(max_examples=200)
@given(
    recorded=st.lists(STRETCH, max_size=8),
    pixel=st.integers(1, 30),
)
def test_merging_for_pixels_keeps_the_partition_and_never_hides_a_loss(recorded, pixel) -> None:
    from closedcircuit.catalogue.spans import union

    spans = partition(union(recorded), [(10, 12, "paused", "")], 0, END)
    merged = merge_below(spans, pixel)
    assert [s.start_90k for s in merged[1:]] == [s.end_90k for s in merged[:-1]]
    assert (merged[0].start_90k, merged[-1].end_90k) == (0, END)
    assert len(merged) <= 2 * (END // pixel) + 3

    def kind_at(where: list[Span], tick: int) -> SpanKind:
        return next(s.kind for s in where if s.start_90k <= tick < s.end_90k)

    order = [SpanKind.RECORDED, SpanKind.OFF, SpanKind.LOST]
    for tick in range(END):
        assert order.index(kind_at(merged, tick)) >= order.index(kind_at(spans, tick))


@pytest.fixture
def world(tmp_path: Path) -> tuple[Catalogue, ManualClock, SeededIds]:
    clock = ManualClock(T0)
    return Catalogue(Database(tmp_path / "facts.db"), clock), clock, SeededIds()


def test_a_camera_is_accounted_for_from_when_it_was_added_until_now(world) -> None:
    catalogue, _clock, ids = world
    catalogue.announce(camera(T0 - 100 * TICKS))
    catalogue.upsert([segment(T0 - 100 * TICKS, ids=ids, seconds=60)])
    ledger = catalogue.ledger("door", 0, 1 << 60)
    add_up_exactly(ledger, T0 - 100 * TICKS, T0)
    assert ledger.by_cause == {Cause.UNKNOWN: 40 * TICKS}
    assert catalogue.ledger("nobody", 0, T0).spans == ()


def test_a_camera_of_unknown_age_is_accounted_for_from_its_first_moment(world) -> None:
    catalogue, _clock, ids = world
    catalogue.announce(camera(0))
    catalogue.add_gaps([Gap("door", T0 - 90 * TICKS, T0 - 60 * TICKS, Cause.UNREACHABLE)])
    catalogue.upsert([segment(T0 - 60 * TICKS, ids=ids, seconds=60)])
    add_up_exactly(catalogue.ledger("door", 0, 1 << 60), T0 - 90 * TICKS, T0)


def test_the_newest_seconds_are_undecided_and_then_lost(world) -> None:
    catalogue, clock, ids = world
    catalogue.announce(camera(T0 - 60 * TICKS))
    catalogue.upsert([segment(T0 - 60 * TICKS, ids=ids, seconds=60)])
    clock.advance(10)
    assert catalogue.ledger("door", 0, 1 << 60).to_90k == T0
    clock.advance(UNDECIDED_90K / TICKS)
    ledger = catalogue.ledger("door", 0, 1 << 60)
    assert ledger.to_90k == clock.now_90k()
    assert ledger.lost_90k == clock.now_90k() - T0


def test_a_clock_set_back_counts_each_second_once(world) -> None:
    catalogue, _clock, ids = world
    first = segment(T0 - 100 * TICKS, ids=ids, seconds=60)
    again = segment(T0 - 70 * TICKS, ids=ids, seconds=60)
    same_start = segment(T0 - 70 * TICKS, ids=ids, seconds=10)
    catalogue.upsert([first, again, same_start])
    assert catalogue.ledger("door", 0, T0 - 10 * TICKS).recorded_90k == 90 * TICKS
    assert [s.kid for s in catalogue.segments("door", "main", T0 - 65 * TICKS, T0)] == [
        s.kid for s in (first, again, same_start)
    ]
    assert catalogue.at("door", "main", T0 - 65 * TICKS).kid == same_start.kid
    assert catalogue.at("door", "main", T0 - 50 * TICKS).kid == again.kid


def test_the_sub_stream_is_not_in_the_ledger(world) -> None:
    catalogue, _clock, ids = world
    catalogue.announce(camera(T0 - 60 * TICKS))
    catalogue.upsert([segment(T0 - 60 * TICKS, ids=ids, stream="sub")])
    assert catalogue.ledger("door", 0, T0).lost_90k == 60 * TICKS


def test_a_growing_gap_is_one_row_and_adding_it_again_changes_nothing(world) -> None:
    catalogue, _clock, _ids = world
    for seconds in (5, 10, 10, 7):
        catalogue.add_gaps([Gap("door", T0 - 60 * TICKS, T0 - (60 - seconds) * TICKS, Cause.UNREACHABLE, "no route")])
    assert catalogue.db.read("select start_90k, end_90k from gap") == [(T0 - 60 * TICKS, T0 - 50 * TICKS)]


def test_deleting_minute_by_minute_leaves_one_gap_row(world) -> None:
    catalogue, _clock, ids = world
    minutes = [segment(T0 + n * 60 * TICKS, ids=ids) for n in range(20)]
    catalogue.upsert(minutes)
    for each in minutes[:15]:
        catalogue.deleted([each])
    assert catalogue.db.read("select start_90k, end_90k, cause from gap") == [(T0, T0 + 900 * TICKS, "deleted")]
    assert catalogue.db.read("select start_90k, end_90k from stretch") == [(T0 + 900 * TICKS, T0 + 1200 * TICKS)]


def test_coverage_of_a_year_is_small_and_shows_every_loss(world) -> None:
    catalogue, clock, _ids = world
    day = 86_400 * TICKS
    clock.advance(365 * 86_400)
    catalogue.announce(camera(T0))
    for n in range(365):
        catalogue.add_gaps([Gap("door", T0 + n * day, T0 + (n + 1) * day - 9 * TICKS, Cause.SCHEDULE, "")])
        catalogue.add_gaps([Gap("door", T0 + (n + 1) * day - 9 * TICKS, T0 + (n + 1) * day, Cause.BROKEN, "")])
    spans = catalogue.coverage(["door"], T0, T0 + 365 * day, 1000)["door"]
    assert len(spans) == 730
    few = catalogue.coverage(["door"], T0, T0 + 365 * day, 100)["door"]
    assert len(few) < 200
    assert {s.kind for s in few} == {SpanKind.LOST}


def test_reasons_too_long_are_cut_and_unknown_erases(world) -> None:
    catalogue, _clock, _ids = world
    catalogue.add_gaps([Gap("door", T0, T0 + 10, Cause.BROKEN, "x" * 5000)])
    catalogue.add_gaps([Gap("door", T0 + 2, T0 + 4, Cause.UNKNOWN, "")])
    assert [
        (r[0] - T0, r[1] - T0, len(r[2])) for r in catalogue.db.read("select start_90k, end_90k, detail from gap")
    ] == [
        (0, 2, 1000),
        (4, 10, 1000),
    ]
