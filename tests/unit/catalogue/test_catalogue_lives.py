# SPDX-License-Identifier: Apache-2.0
"""A camera that was removed: its ledger ends there, and goes on where it is added again."""

from __future__ import annotations

from pathlib import Path

import pytest

from closedcircuit.base import TICKS, ManualClock
from closedcircuit.catalogue import Catalogue, Ledger
from closedcircuit.catalogue.fakes import segment
from closedcircuit.db import Database
from closedcircuit.model import Camera, Cause, Gap, Source

HOUR = 3600 * TICKS
T0 = 1_800_000_000 * TICKS
FOR_EVER = 1 << 60


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def catalogue(tmp_path: Path, clock: ManualClock) -> Catalogue:
    return Catalogue(Database(tmp_path / "facts.db"), clock)


def camera(added_90k: int) -> Camera:
    return Camera(id="door", name="Door", main=Source(address="rtsp://x"), added_90k=added_90k)


def story(ledger: Ledger) -> list[tuple[float, float, str]]:
    assert ledger.recorded_90k + ledger.off_90k + ledger.lost_90k == ledger.total_90k
    return [
        ((s.start_90k - T0) / HOUR, (s.end_90k - T0) / HOUR, s.cause.value if s.cause else "recorded")
        for s in ledger.spans
    ]


def recorded_hour(catalogue: Catalogue, ids, at: float) -> None:
    catalogue.upsert([segment(T0 + round(at * HOUR), ids=ids, seconds=3600)])


def test_a_ledger_ends_where_its_camera_was_removed(catalogue, clock, ids) -> None:
    catalogue.announce(camera(T0))
    recorded_hour(catalogue, ids, 0)
    catalogue.add_gaps([Gap("door", T0 + HOUR, T0 + 2 * HOUR, Cause.UNREACHABLE)])
    clock.advance(2 * 3600)
    catalogue.dismiss("door", clock.now_90k())
    clock.advance(365 * 86_400)
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == [(0, 1, "recorded"), (1, 2, "unreachable")]
    assert catalogue.ledger("door", T0 + 3 * HOUR, FOR_EVER).spans == ()
    spans = catalogue.coverage(["door"], T0, T0 + 10 * HOUR, 1000)["door"]
    assert [span.end_90k for span in spans] == [T0 + HOUR, T0 + 2 * HOUR]


def test_what_was_under_way_when_it_was_removed_counts(catalogue, clock, ids) -> None:
    catalogue.announce(camera(T0))
    clock.advance(3600)
    catalogue.dismiss("door", T0 + HOUR - TICKS)
    recorded_hour(catalogue, ids, 0)  # closed a second after
    clock.advance(86_400)
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == [(0, 1, "recorded")]


def test_a_camera_that_is_added_again_goes_on_with_its_ledger(catalogue, clock, ids) -> None:
    catalogue.announce(camera(T0))
    recorded_hour(catalogue, ids, 0)
    catalogue.dismiss("door", T0 + HOUR)
    clock.advance(5 * 3600)
    for _ in range(3):  # each start of a recorder announces
        catalogue.announce(camera(T0 + 3 * HOUR))
    recorded_hour(catalogue, ids, 3.5)
    expected = [(0, 1, "recorded"), (1, 3, "paused"), (3, 3.5, "unknown"), (3.5, 4.5, "recorded"), (4.5, 5, "unknown")]
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == expected
    catalogue.dismiss("door", T0 + 5 * HOUR)
    clock.advance(3600)
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == expected
    catalogue.announce(camera(T0 + 6 * HOUR))
    assert catalogue.ledger("door", 0, FOR_EVER).by_cause[Cause.PAUSED] == 3 * HOUR


def test_a_file_that_is_put_back_resumes_now(catalogue, clock) -> None:
    catalogue.announce(camera(T0))
    catalogue.dismiss("door", T0 + HOUR)
    clock.advance(4 * 3600)
    catalogue.announce(camera(T0))
    clock.advance(3600)
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == [(0, 1, "unknown"), (1, 4, "paused"), (4, 5, "unknown")]


def test_a_removal_that_nobody_wrote_down_ends_with_the_footage(catalogue, clock, ids) -> None:
    catalogue.announce(camera(T0))
    recorded_hour(catalogue, ids, 0)
    clock.advance(4 * 3600)
    for _ in range(2):
        catalogue.announce(camera(T0 + 4 * HOUR))
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == [(0, 1, "recorded"), (1, 4, "paused")]


def test_footage_of_an_earlier_life_is_seen_when_the_index_was_made_from_files(catalogue, clock, ids) -> None:
    recorded_hour(catalogue, ids, 0)
    clock.advance(4 * 3600)
    catalogue.announce(camera(T0 + 2 * HOUR))
    assert story(catalogue.ledger("door", 0, T0 + 2 * HOUR)) == [(0, 1, "recorded"), (1, 2, "paused")]


def test_a_camera_that_the_index_does_not_know_is_not_made_by_dismissing_it(catalogue) -> None:
    catalogue.dismiss("door", T0)
    assert catalogue.db.read("select * from camera") == []


def test_footage_of_a_removed_camera_is_still_accounted_for_when_it_is_deleted(catalogue, clock, ids) -> None:
    catalogue.announce(camera(T0))
    recorded_hour(catalogue, ids, 0)
    catalogue.dismiss("door", T0 + HOUR)
    clock.advance(86_400)
    catalogue.deleted(catalogue.segments("door", "main", 0, FOR_EVER), "past its time")
    assert story(catalogue.ledger("door", 0, FOR_EVER)) == [(0, 1, "deleted")]
