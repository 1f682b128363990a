# SPDX-License-Identifier: Apache-2.0
"""G.711 to FLAC: bit for bit what FFmpeg's own G.711 decoders give, in its place in time."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base.errors import Unsupported
from closedcircuit.media.flac import FlacTranscoder, linear
from closedcircuit.media.mp4 import FragmentWriter, init_segment, read_init
from closedcircuit.model import Sample
from material.boxes import VIDEO, picture

DECODERS = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}


def pcm_of(track, frames):
    """Decode FLAC frames with FFmpeg: {pts: signed 16-bit samples}."""
    decoder = av.CodecContext.create("flac", "r")
    decoder.extradata = track.config[8:]
    decoder.sample_rate = track.timescale
    found = {}
    for pts, data in frames:
        (frame,) = decoder.decode(av.Packet(data))
        found[pts] = frame.to_ndarray().tobytes()
    return found


@pytest.mark.parametrize("codec", DECODERS)
def test_every_code_is_what_ffmpeg_makes_of_it(codec):
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    decoder.sample_rate = 8000
    decoder.layout = "mono"
    (frame,) = decoder.decode(av.Packet(bytes(range(256))))
    assert frame.to_ndarray().tobytes() == linear(codec, bytes(range(256)))


@pytest.mark.parametrize("codec", DECODERS)
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (8000, 2), (16_000, 1), (48_000, 1)])
def test_lossless_and_in_place(codec, rate, channels, ids):
    transcoder = FlacTranscoder(codec, rate, channels)
    assert transcoder.track.timescale == rate
    assert transcoder.track.channels == channels
    payload = ids.random(rate * channels)
    step = rate // 50 * channels
    frames = []
    for at in range(0, len(payload), step):
        frames += transcoder.push(memoryview(payload)[at : at + step], 5000 + at // channels)
    frames += transcoder.flush()
    found = pcm_of(transcoder.track, frames)
    assert b"".join(found.values()) == linear(codec, payload)
    expected = 5000
    for pts, data in found.items():
        assert pts == expected
        expected += len(data) // (2 * channels)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from([0, 0, 0, 1, 40, 2000, -300, 10**12])), max_size=12))
def test_whatever_is_lost_sound_keeps_its_place(packets):
    transcoder = FlacTranscoder("pcmu", 8000, 1)
    frames, sent, at, number = [], b"", 1000, 0
    for size, jump in packets:
        payload = bytes((number + n) % 256 for n in range(size))
        number += size
        at += jump
        frames += transcoder.push(payload, at)
        at += size
        sent += payload
    frames += transcoder.flush()
    assert transcoder.flush() == []
    decoded = b"".join(pcm_of(transcoder.track, [(n, data) for n, (_, data) in enumerate(frames)]).values())
    assert decoded == linear("pcmu", sent)


def test_a_jump_closes_the_frame_and_jitter_does_not():
    transcoder = FlacTranscoder("pcma", 8000, 1)
    assert transcoder.push(bytes(160), 0) == []
    assert transcoder.push(bytes(160), 160 + 79) == []
    ((pts, _),) = transcoder.push(bytes(160), 10_000)
    assert pts == 0
    ((pts, _),) = transcoder.flush()
    assert pts == 10_000


def test_a_clip_of_it_plays(ids):
    transcoder = FlacTranscoder("pcmu", 8000, 1)
    payload = ids.random(8000)
    samples = [
        Sample(2, pts, True, len(data), [data], 0) for pts, data in [*transcoder.push(payload, 0), *transcoder.flush()]
    ]
    tracks = (VIDEO, transcoder.track)
    init = init_segment(tracks, None, b"")
    assert read_init(init).tracks == tracks
    buffers, _ = FragmentWriter(tracks, (None, None)).write([picture(0, key=True), *samples], 0)
    with av.open(io.BytesIO(init + b"".join(buffers))) as container:
        played = b"".join(frame.to_ndarray().tobytes() for frame in container.decode(audio=0))
    assert played == linear("pcmu", payload)


def test_what_it_cannot_do():
    with pytest.raises(Unsupported):
        FlacTranscoder("aac", 8000, 1)
    with pytest.raises(Unsupported):
        FlacTranscoder("pcmu", 8000, 40)
