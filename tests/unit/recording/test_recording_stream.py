# SPDX-License-Identifier: Apache-2.0
"""What one stream does with all that can happen to it, and what its camera's account says then."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from closedcircuit.base import TICKS, SystemIds
from closedcircuit.model import Cause, Mode, Recording, Sample, Weekly
from closedcircuit.recording import Terms
from closedcircuit.recording.fakes import SOUND, VIDEO, Acted, Rig
from closedcircuit.vault import HourKey


@pytest.fixture
def rig() -> Rig:
    return Rig(SystemIds())


def test_fragments_are_cut_at_key_frames_and_touch(rig: Rig) -> None:
    source = Acted(rig.recorder)
    rig.clock.advance(3)
    source.start(rig.clock.now_90k())
    rig.play(source, 20)
    rig.recorder.stop()
    assert rig.covered() == [(3, 23)]
    assert all(piece.key and piece.end_90k - piece.start_90k == 2 * TICKS for _, piece in rig.outlet.pieces)
    assert rig.gaps() == [(0, 3, Cause.UNREACHABLE)]
    assert rig.outlet.opened[0].before[0][2] == "unreachable"


def test_rare_key_frames_are_cut_hard(rig: Rig) -> None:
    source = Acted(rig.recorder, gop_s=10)
    source.start(rig.clock.now_90k())
    rig.play(source, 20)
    rig.recorder.stop()
    assert rig.covered() == [(0, 20)]
    lengths = [(piece.key, (piece.end_90k - piece.start_90k) / TICKS) for _, piece in rig.outlet.pieces]
    assert lengths == [(True, 4), (False, 4), (False, 2), (True, 4), (False, 4), (False, 2)]


def test_an_absurd_bit_rate_is_cut_by_size(rig: Rig) -> None:
    source = Acted(rig.recorder, size=1 << 20)
    source.start(rig.clock.now_90k())
    rig.play(source, 4)
    rig.recorder.stop()
    assert rig.covered() == [(0, 4)]
    assert max(piece.size for _, piece in rig.outlet.pieces) <= 4 << 20


def test_segments_begin_with_key_frames_and_differ_in_length_at_first(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 250)
    rig.recorder.stop()
    starts = [(plan.start_90k - rig.start_90k) / TICKS for plan in rig.outlet.opened]
    lengths = [b - a for a, b in itertools.pairwise(starts)]
    assert 30 <= lengths[0] <= 62
    assert set(lengths[1:]) == {60}
    assert len(rig.outlet.closed) == len(rig.outlet.opened)
    assert rig.covered() == [(0, 250)]


def test_a_run_that_ends_hands_over_what_it_has(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 5)
    source.sink.ended(rig.clock.now_90k(), Cause.UNREACHABLE, "hung up")
    rig.wait(5)
    source.start(rig.clock.now_90k())
    rig.play(source, 4)
    rig.recorder.stop()
    assert rig.covered() == [(0, 5), (10, 14)]
    assert rig.gaps() == [(5, 10, Cause.UNREACHABLE)]
    assert [b[2] for b in rig.outlet.opened[1].before] == ["unreachable"]
    assert rig.outlet.opened[0].run != rig.outlet.opened[1].run


def test_pictures_before_the_first_key_frame_are_of_no_use(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    source.frame = 25
    rig.play(source, 5)
    rig.recorder.stop()
    assert rig.covered() == [(1, 5)]


def test_a_hole_of_lost_packets_is_a_gap(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 5)
    source.sink.lost(rig.clock.now_90k(), "12 packets lost")
    source.frame += 75
    source.pts += 3 * TICKS
    rig.wait(3)
    rig.play(source, 6)
    rig.recorder.stop()
    assert rig.covered() == [(0, 5), (8, 14)]
    assert rig.gaps() == [(5, 8, Cause.BROKEN)]


def test_a_short_loss_is_no_gap(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 5)
    source.sink.lost(rig.clock.now_90k(), "1 packet lost")
    rig.play(source, 5)
    rig.recorder.stop()
    assert rig.covered() == [(0, 10)]
    assert rig.gaps() == []


def test_new_coding_starts_a_new_segment(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 4)
    other = msgspec.structs.replace(VIDEO, width=128)
    source.sink.changed((other,))
    rig.play(source, 4)
    rig.recorder.stop()
    assert rig.covered() == [(0, 8)]
    assert [plan.tracks for plan in rig.outlet.opened] == [(VIDEO,), (other,)]
    assert rig.gaps() == []


def test_the_hour_turns_at_a_key_frame(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 5)
    rig.key = HourKey("door", rig.start_90k + 1, SystemIds())
    rig.play(source, 5)
    rig.recorder.stop()
    assert rig.covered() == [(0, 10)]
    assert [(plan.start_90k - rig.start_90k) / TICKS for plan in rig.outlet.opened] == [0, 6]
    assert [plan.hour_key for plan in rig.outlet.opened][1] is rig.key


def test_no_owner_no_recording(rig: Rig) -> None:
    rig.key = None
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 6)
    assert rig.outlet.pieces == []
    rig.key = HourKey("door", rig.start_90k, SystemIds())
    rig.play(source, 6)
    rig.recorder.stop()
    assert rig.covered() == [(8, 12)]  # it is noticed within a second, and recorded from the next key frame on
    assert rig.gaps()[-1] == (0, 8, Cause.NO_KEY) or rig.gaps() == [(0, 1, Cause.UNREACHABLE), (1, 8, Cause.NO_KEY)]


def test_outside_its_hours_nothing_is_kept() -> None:
    recording = Recording(mode=Mode.SCHEDULE, schedule=(Weekly(("fri",), "08:00", "08:01"),))
    rig = Rig(SystemIds(), recording)  # 2027-01-15T08:00:00Z, a Friday
    rig.chain._terms = Terms(zone=__import__("datetime").UTC)
    rig.recorder.tick(rig.start_90k)
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 70)
    rig.recorder.stop()
    assert rig.covered() == [(0, 60)]
    assert rig.gaps() == [(60, 70, Cause.SCHEDULE)]


def test_a_paused_camera_says_so_even_when_it_is_gone() -> None:
    rig = Rig(SystemIds(), Recording(mode=Mode.PAUSED))
    rig.recorder.pause(rig.clock.now_90k())
    rig.recorder.ended(rig.clock.now_90k(), Cause.UNREACHABLE, "no route")
    rig.wait(5)
    assert rig.gaps() == [(0, 5, Cause.PAUSED)]


def test_events_are_kept_with_what_came_before_and_after() -> None:
    rig = Rig(SystemIds(), Recording(mode=Mode.EVENT, pre_roll_s=5, post_roll_s=10))
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 31)
    assert rig.outlet.pieces == []
    rig.chain.trigger(rig.clock.now_90k(), rig.clock.now_90k() + TICKS)
    rig.play(source, 40)
    rig.recorder.stop()
    ((start, end),) = rig.covered()
    assert start == 26  # the key frame at or before 31 - 5
    assert 42 <= end <= 44
    assert rig.gaps() == [(0, 26, Cause.NO_EVENT), (end, 71, Cause.NO_EVENT)]


def test_an_event_without_pictures_is_the_cameras_loss() -> None:
    rig = Rig(SystemIds(), Recording(mode=Mode.EVENT))
    rig.recorder.ended(rig.clock.now_90k(), Cause.UNREACHABLE, "no route")
    rig.wait(5)
    rig.chain.trigger(rig.clock.now_90k(), rig.clock.now_90k())
    rig.wait(5)
    assert rig.gaps() == [(0, 6, Cause.NO_EVENT), (6, 10, Cause.UNREACHABLE)]


def test_a_full_queue_is_overload_up_to_the_next_key_frame(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 5)
    rig.outlet.is_full = True
    rig.play(source, 4)
    rig.outlet.is_full = False
    rig.play(source, 5)
    rig.recorder.stop()
    assert rig.covered() == [(0, 4), (8, 14)]
    assert rig.gaps() == [(4, 8, Cause.OVERLOAD)]
    assert rig.outlet.opened[-1].before[0][2] == "overload"


def test_a_full_disk_is_a_gap_until_there_is_room(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 5)
    rig.outlet.no_disk = (Cause.DISK_FULL, "the disk is full")
    rig.fail(rig.outlet.opened[0], Cause.DISK_FULL, "the disk is full")
    rig.play(source, 6)
    rig.outlet.no_disk = None
    rig.play(source, 5)
    rig.recorder.stop()
    assert rig.covered() == [(10, 16)]
    assert rig.gaps() == [(0, 10, Cause.DISK_FULL)]
    spans = [(s - rig.start_90k, e - rig.start_90k, c) for s, e, c, _ in rig.outlet.opened[-1].before]
    assert (spans[0][0], spans[-1][1]) == (0, 10 * TICKS)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_a_clock_that_is_set_ends_the_segment(rig: Rig, seconds: int) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 10)
    rig.clock.step(seconds)
    rig.recorder.clock_stepped("the clock was set")
    rig.play(source, 10)
    rig.recorder.stop()
    assert rig.covered() == [(0, 10), (10 + seconds, 20 + seconds)]
    expected = [(10, 10 + seconds, Cause.CLOCK_STEPPED)] if seconds > 0 else []
    assert rig.gaps() == expected


def test_a_media_clock_that_jumps_is_anchored_anew(rig: Rig) -> None:
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.play(source, 10)
    source.pts += 86_400 * TICKS
    rig.play(source, 10)
    rig.recorder.stop()
    assert rig.covered() == [(0, 10), (10, 20)] or rig.covered() == [(0, 20)]


@pytest.mark.parametrize("burst_s", [1, 2])
def test_a_run_that_begins_with_old_pictures(rig: Rig, burst_s: int) -> None:
    """Some cameras send what came since their last key frame first, all at once: nothing of it may be lost."""
    source = Acted(rig.recorder, gop_s=1)
    source.start(rig.clock.now_90k())
    rig.play(source, 10)
    source.sink.ended(rig.clock.now_90k(), Cause.BROKEN, "hung up")
    source.start(rig.clock.now_90k())
    now = rig.clock.now_90k()
    for _ in range(25 * burst_s):
        source.sink.sample(source.picture(now))
    rig.play(source, 10)
    rig.recorder.stop()
    assert rig.gaps() == []
    if burst_s == 1:
        ((start, end),) = rig.covered()
        assert start == 0
        assert 20.9 < end <= 21  # a second in the future, and bending back
    else:
        assert rig.covered() == [(0, 10), (8, 20)]


def test_sound_lies_beside_its_pictures(rig: Rig) -> None:
    source = Acted(rig.recorder, audio=True)
    source.start(rig.clock.now_90k())
    rig.play(source, 6)
    rig.recorder.stop()
    assert rig.outlet.opened[0].tracks == (VIDEO, SOUND)
    audio = [s for _, piece in rig.outlet.pieces for s in piece.samples if s.track == 2]
    assert len(audio) == 94
    assert all(piece.samples[0].track == 1 for _, piece in rig.outlet.pieces)


def test_frames_in_another_order_are_not_torn_apart(rig: Rig) -> None:
    """B-frames: a hard cut never comes between a picture and one that is shown before it."""
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    now = rig.clock.now_90k()
    order = [0] + [n for first in range(1, 400, 3) for n in (first + 2, first, first + 1)]
    for index, shown in enumerate(order):
        sample = Sample(
            1, shown * 3600, index == 0, 104, [b"\0\0\0\x64", bytes([0x41]) + bytes(99)], now + index * 3600
        )
        rig.recorder.sample(sample)
    rig.recorder.stop()
    pieces = [piece for _, piece in rig.outlet.pieces]
    assert len(pieces) > 3
    for before, after in itertools.pairwise(pieces):
        assert max(s.pts for s in before.samples) < min(s.pts for s in after.samples)
