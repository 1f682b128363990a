# SPDX-License-Identifier: Apache-2.0
"""Sound beside pictures: every coding that we take, and where it lies in time."""

from itertools import pairwise

import pytest

from closedcircuit.cameras.fakes import made_up_frames, payload_of

PCMU = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 PCMU/8000"
AAC = (
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n"
    "a=fmtp:97 streamtype=5;profile-level-id=1;mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3"
)
OPUS = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 sprop-stereo=1"


def units(*frames: bytes) -> bytes:
    """An AAC-hbr payload (RFC 3640, 3.3.6)."""
    headers = b"".join((len(frame) << 3).to_bytes(2, "big") for frame in frames)
    return (16 * len(frames)).to_bytes(2, "big") + headers + b"".join(frames)


def test_g711(stage):
    sound = [(number * 160, bytes([number]) * 160) for number in range(200)]
    sink = stage.watch(stage.camera(audio=PCMU, sound=sound).address)
    stage.run(5)
    track = sink.runs[0][0][1]
    assert (track.codec, track.timescale, track.channels, track.config) == ("pcmu", 8000, 1, b"")
    assert [payload_of(sample) for sample in sink.audio] == [payload for _, payload in sound]
    assert [sample.pts for sample in sink.audio] == [at for at, _ in sound]
    assert all(sample.key for sample in sink.audio)
    assert stage.health()["audio"] == "pcmu"


def test_aac_several_frames_a_packet(stage):
    frames = [bytes([number]) * (50 + number) for number in range(120)]
    sound = [(number * 1024, units(*frames[number : number + 3])) for number in range(0, 120, 3)]
    sink = stage.watch(stage.camera(audio=AAC, sound=sound, sound_rate=16_000).address)
    stage.run(9)
    track = sink.runs[0][0][1]
    assert (track.codec, track.codec_string, track.timescale, track.channels) == ("aac", "mp4a.40.2", 16_000, 1)
    assert [payload_of(sample) for sample in sink.audio] == frames
    assert [sample.pts for sample in sink.audio] == [number * 1024 for number in range(120)]


def test_aac_one_frame_over_several_packets(stage):
    frame = bytes(range(256)) * 10
    header = (16).to_bytes(2, "big") + (len(frame) << 3).to_bytes(2, "big")
    sound = []
    for number in range(20):
        sound += [(number * 1024, header + frame[at : at + 1000]) for at in range(0, len(frame), 1000)]
    sink = stage.watch(stage.camera(audio=AAC, sound=sound, sound_rate=16_000).address)
    stage.run(3)
    assert [payload_of(sample) for sample in sink.audio] == [frame] * 20


def test_opus(stage):
    sound = [(number * 960, b"\x78" + bytes([number]) * 30) for number in range(100)]
    sink = stage.watch(stage.camera(audio=OPUS, sound=sound, sound_rate=48_000).address)
    stage.run(4)
    track = sink.runs[0][0][1]
    assert (track.codec, track.timescale, track.channels, len(track.config)) == ("opus", 48_000, 2, 11)
    assert [sample.pts for sample in sink.audio] == [at for at, _ in sound]


@pytest.mark.parametrize(
    "section",
    [
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 G726-32/8000",
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/8000/1\r\na=fmtp:97 config=ffff",
        "m=audio 0 RTP/AVP 97",
        "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000",
    ],
)
def test_sound_that_cannot_be_kept_does_not_keep_the_picture_from_coming(stage, section):
    sink = stage.watch(stage.camera(audio=section).address)
    stage.run(4)
    assert len(sink.runs[0][0]) == 1
    assert len(sink.video) > 80
    why = stage.health()["why"]
    assert (why == "") == ("application" in section)
    assert "without sound" in why or "application" in section


def test_sound_not_wanted_is_not_asked_for(stage):
    camera = stage.camera(audio=PCMU, sound=[(0, b"x" * 160)])
    sink = stage.watch(camera.address, audio=False)
    stage.run(2)
    assert len(sink.runs[0][0]) == 1
    assert camera.requests.count("SETUP") == 1


def test_static_payload_types_need_no_name(stage):
    camera = stage.camera(audio="m=audio 0 RTP/AVP 8")
    sink = stage.watch(camera.address)
    stage.run(2)
    assert sink.runs[0][0][1].codec == "pcma"


@pytest.mark.parametrize(
    ("rtp_info", "reports", "exact"), [(True, False, True), (False, True, True), (False, False, False)]
)
def test_sound_lies_where_the_camera_says_else_where_it_arrives(stage, rtp_info, reports, exact):
    sound = [(number * 160, bytes([number & 255]) * 160) for number in range(300)]
    camera = stage.camera(
        made_up_frames(500), audio=PCMU, sound=sound, rtp_info=rtp_info, reports=reports, sound_late_s=0.5
    )
    sink = stage.watch(camera.address)
    stage.run(8)
    # A sample of sound and a picture of the same moment: sound number n belongs to n * 20 ms.
    assert len(sink.audio) == 300
    for number, sample in enumerate(sink.audio):
        off_s = abs(sample.pts - number * 160) / 8000
        assert off_s < 0.05 if exact else 0.4 < off_s < 0.6
    assert all(later.pts > earlier.pts for earlier, later in pairwise(sink.audio))


def test_the_cameras_clock_is_measured(stage):
    camera = stage.camera(made_up_frames(25 * 200), reports=True, clock_ahead_s=2.5)
    sink = stage.watch(camera.address)
    for _ in range(190):
        stage.run(1)
        camera.manners.clock_ahead_s += 0.0001  # 100 millionths
    health = stage.health()
    assert 2450 < health["clock_offset_ms"] < 2600
    assert 70 < health["clock_drift_ppm"] < 130
    report = sink.reports[100]
    assert report.track == 1
    assert abs((report.camera_90k - report.arrived_90k) / 90_000 - 2.5) < 0.1
    assert abs(report.pts / 90_000 - 101) < 0.1
