# SPDX-License-Identifier: Apache-2.0
"""Cameras as they should be, and as they are: what arrives is what was sent, in order, with the right times."""

from itertools import pairwise

import pytest

from closedcircuit.base import TICKS
from closedcircuit.cameras.fakes import (
    H264_PPS,
    H264_SPS,
    H264_SPS_LARGE,
    Frame,
    intervals,
    made_up_frames,
    payload_of,
)
from closedcircuit.media.codecs import join_lengths, split_lengths
from closedcircuit.model import Cause


def sent(frames: list[Frame]) -> list[bytes]:
    return [join_lengths(frame.nals) for frame in frames]


def received(sink) -> list[bytes]:
    return [payload_of(sample) for sample in sink.video]


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("mtu", [100, 1400, 60_000])
def test_every_picture_arrives_as_it_was_sent(stage, codec, mtu):
    camera = stage.camera(codec=codec, mtu=mtu)
    sink = stage.watch(camera.address)
    stage.run(11)
    assert received(sink) == sent(camera.frames)
    assert [sample.size for sample in sink.video] == [len(payload_of(sample)) for sample in sink.video]
    assert [sample.pts for sample in sink.video] == [frame.at for frame in camera.frames]
    assert [sample.key for sample in sink.video] == [number % 25 == 0 for number in range(250)]
    (tracks, at_90k), *more = sink.runs
    assert not more
    assert (tracks[0].codec, tracks[0].width, tracks[0].height, tracks[0].timescale) == (codec, 320, 240, 90_000)
    assert at_90k == sink.samples[0].arrived_90k
    assert sink.losses == []
    health = stage.health()
    assert (health["state"], health["codec"], health["lost_packets"]) == ("live", codec, 0)
    assert 20 < health["fps"] < 30


def test_timestamps_and_sequence_numbers_wrap(stage):
    camera = stage.camera(first_timestamp=0xFFFFFFFF - 90_000, first_sequence=65_530)
    sink = stage.watch(camera.address)
    stage.run(11)
    assert [sample.pts for sample in sink.video] == [frame.at for frame in camera.frames]
    assert received(sink) == sent(camera.frames)
    assert sink.losses == []


def test_reordered_pictures_keep_their_times_even_across_the_wrap(stage):
    frames = made_up_frames(100)
    # decoding order I P B B P B B: the times of B-frames step back
    for at in range(1, 97, 3):
        late, first, second = (frames[at + step].at for step in range(3))
        frames[at].at, frames[at + 1].at, frames[at + 2].at = second, late, first
    for number, frame in enumerate(frames):
        frame.nals[-1] += number.to_bytes(4, "big")
    camera = stage.camera(frames, first_timestamp=0xFFFFFFFF - 3 * 3600)
    due = sorted(frame.at for frame in frames)
    times = [frame.at for frame in frames]
    sink = stage.watch(camera.address)
    stage.run(6)
    assert [sample.pts for sample in sink.video] == times
    assert sorted(sample.pts for sample in sink.video) == due
    assert received(sink) == sent(frames)


def test_several_slices_and_no_marker(stage):
    frames = made_up_frames(60)
    for number, frame in enumerate(frames):
        frame.nals.append(b"\x41\x1a" + bytes([number]) * 3000)  # first_mb_in_slice is not 0
        frame.nals.append(b"\x41\x1a" + bytes([number]) * 30)
    camera = stage.camera(frames, marker=False)
    sink = stage.watch(camera.address)
    stage.run(4)
    assert received(sink) == sent(frames)[:59]  # only the next timestamp tells that a picture is over


def test_a_marker_at_every_slice_is_seen_through(stage):
    frames = made_up_frames(60)
    for number, frame in enumerate(frames):
        frame.nals.append(b"\x41\x1a" + bytes([number]) * 300)
    camera = stage.camera(frames, marker_everywhere=True, mtu=60_000)
    sink = stage.watch(camera.address)
    stage.run(4)
    got = received(sink)
    assert got[1:] == sent(frames)[1:59]  # the first was cut short; its rest told us; from then on all is whole
    assert len(sink.losses) == 1


def test_parameter_sets_only_in_band(stage):
    camera = stage.camera(sets_in_sdp=False)
    sink = stage.watch(camera.address)
    stage.run(3)
    assert sink.runs[0][0][0].width == 320
    assert received(sink)[0] == sent(camera.frames)[0]


def test_no_parameter_sets_at_all_is_said(stage):
    frames = made_up_frames(2000)
    for frame in frames:
        frame.nals = frame.nals[-1:]
    sink = stage.watch(stage.camera(frames, sets_in_sdp=False).address)
    stage.run(13)
    assert sink.runs == []
    assert sink.ends[0][1] is Cause.BROKEN
    assert "SPS" in sink.ends[0][2]


def test_parameter_sets_sent_apart_with_a_time_of_their_own_go_with_the_next_picture(stage):
    frames = made_up_frames(50)
    apart = []
    for frame in frames:
        if len(frame.nals) > 1:
            apart.append(Frame(frame.nals[:2], frame.at - 10))
        apart.append(Frame(frame.nals[-1:], frame.at))
    apart[0].at = 0
    sink = stage.watch(stage.camera(apart).address)
    stage.run(3)
    assert received(sink) == sent(frames)


def test_a_change_of_size_in_mid_stream(stage):
    frames = made_up_frames(100)
    for frame in frames[50:]:
        if len(frame.nals) > 1:
            frame.nals[0] = H264_SPS_LARGE
    sink = stage.watch(stage.camera(frames).address)
    stage.run(5)
    assert received(sink) == sent(frames)
    assert len(sink.runs) == 1
    assert [(tracks[0].width, tracks[0].height) for tracks in sink.changes] == [(640, 480)]
    at = sink.calls.index("changed")
    assert sink.calls[:at].count("sample") == 50
    assert [sample.pts for sample in sink.video] == [frame.at for frame in frames]


def test_small_units_in_one_packet(stage):
    frames = made_up_frames(50, size=200)
    camera = stage.camera(frames, aggregate=True)
    sink = stage.watch(camera.address)
    stage.run(3)
    assert received(sink) == sent(frames)
    assert H264_SPS in received(sink)[0]
    assert H264_PPS in received(sink)[0]


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("every", [7, 50, 301])
def test_lost_packets_cost_their_pictures_and_no_other(stage, codec, every):
    gone: set[int] = set()
    camera = stage.camera(made_up_frames(250, size=6000, codec=codec), codec=codec, lose=lambda n: n % every == 0)
    packet = 0
    for number, frame in enumerate(camera.frames):
        for nal in frame.nals:
            for _ in range(max(1, -(-(len(nal) - 2) // 1397)) if len(nal) > 1400 else 1):
                packet += 1
                if packet % every == 0:
                    gone.add(number)
    sink = stage.watch(camera.address)
    stage.run(11)
    whole = [data for number, data in enumerate(sent(camera.frames)) if number not in gone]
    got = received(sink)
    # Never half a picture. (Its parameter sets may be missing: they are known from the SDP.)
    assert {list(split_lengths(data))[-1] for data in got} <= {frame.nals[-1] for frame in camera.frames}
    if every > 40:
        # Where a lost packet ended a picture (its marker), the next picture may not be told from its rest.
        assert len(got) >= len(whole) - len(gone)
        assert len(sink.losses) >= len(gone) - 1
    assert stage.health()["lost_packets"] > 0


def test_packets_in_the_past_are_ignored(stage):
    camera = stage.camera()
    sink = stage.watch(camera.address)
    stage.run(1)
    visitor = camera._visitors[0]
    visitor._interleaved(
        0, 0x80 << 24 | 96 << 16 | visitor._sequence - 3 & 0xFFFF, 1000, b"\x41\x9a" + b"x" * 50, 0xAAAA
    )
    stage.run(10)
    assert received(sink) == sent(camera.frames)
    assert sink.losses == []


def test_a_numbering_that_begins_anew_is_followed(stage):
    camera = stage.camera()
    sink = stage.watch(camera.address)
    stage.run(2)
    camera._visitors[0]._sequence = 5
    stage.run(9)
    assert len(sink.video) > 230
    assert sink.losses


def test_a_jump_of_the_cameras_clock_is_bridged(stage):
    frames = made_up_frames(250)
    camera = stage.camera(frames)
    sink = stage.watch(camera.address)
    stage.run(4)
    camera.manners.first_timestamp += 90_000 * 3600
    stage.run(7)
    assert received(sink) == sent(frames)
    assert len(sink.runs) == 1
    assert max(intervals(sink.video)) < 2 * 3600 + 2
    assert min(intervals(sink.video)) > 0
    assert any("jumped" in loss for loss in sink.losses)


@pytest.mark.parametrize(("real", "words"), [(1000, "1000"), (45_000, "45000"), (0, "arrival")])
def test_a_clock_that_runs_at_another_rate_is_found_out(stage, real, words):
    camera = stage.camera(made_up_frames(600), clock_rate=real)
    sink = stage.watch(camera.address)
    stage.run(20)
    assert len(sink.runs) == 2  # the times of the first were wrong
    assert sink.ends[0][1] is Cause.BROKEN
    assert words in sink.ends[0][2]
    assert words in stage.health()["why"]
    begin = sink.calls.index("started", 1)
    times = [sample.pts for sample in sink.samples[sink.calls[:begin].count("sample") :]]
    steps = [after - before for before, after in pairwise(times)]
    assert times[0] == 0
    assert all(3400 < step < 3800 for step in steps)
    # the next connection knows already
    camera.hang_up()
    camera._visitors.clear()
    stage.run(12)
    assert len(sink.runs) == 3
    assert len(sink.ends) == 2


def test_a_slow_camera_is_not_called_silent(stage):
    frames = made_up_frames(30, gop=1)
    for number, frame in enumerate(frames):
        frame.at = number * 4 * TICKS
    sink = stage.watch(stage.camera(frames).address)
    stage.run(100)
    assert len(sink.video) == 25
    assert sink.ends == []


def test_channels_are_the_servers_choice(stage):
    camera = stage.camera(channels="6-7", reports=True)
    sink = stage.watch(camera.address)
    stage.run(3)
    assert len(sink.video) > 60
    assert sink.reports


def test_a_recovery_point_is_a_place_to_start(stage):
    frames = made_up_frames(60)
    for frame in frames:
        if len(frame.nals) > 1:
            frame.nals = [H264_SPS, H264_PPS, b"\x06\x06\x01\xc4\x80", b"\x41" + frame.nals[-1][1:]]
    sink = stage.watch(stage.camera(frames).address)
    stage.run(3)
    assert [sample.key for sample in sink.video] == [number % 25 == 0 for number in range(60)]


def test_two_streams_of_one_camera(stage):
    main, sub = stage.camera(), stage.camera(codec="h265")
    first, second = stage.watch(main.address, name="a"), stage.watch(sub.address, name="b")
    stage.run(11)
    assert received(first) == sent(main.frames)
    assert received(second) == sent(sub.frames)


def test_removing_a_stream_says_goodbye(stage):
    camera = stage.camera()
    sink = stage.watch(camera.address)
    stage.run(2)
    stage.receiver.remove(("cam", "main"))
    assert sink.ends == [(stage.clock.now_90k(), Cause.PAUSED, "stopped on purpose")]
    for _ in range(100):
        camera.sweep()
        if "TEARDOWN" in camera.requests:
            break
    assert camera.requests[-1] == "TEARDOWN"
    count = len(sink.samples)
    stage.run(1)
    assert len(sink.samples) == count
