# SPDX-License-Identifier: Apache-2.0
"""Sound does not depend on how it is asked for; G.711 is what others make of it."""

from __future__ import annotations

import numpy as np
import pytest

from closedcircuit.media.encode import AudioEncoder
from closedcircuit.pretend.sounds import RoomSound
from closedcircuit.pretend.studio import mu_law


@pytest.mark.parametrize("scene", ["till", "shop-floor", "back-door"])
def test_pieces_join(scene: str):
    whole = RoomSound(scene, 8000).samples(1000, 80_000)
    pieces = RoomSound(scene, 8000)
    joined = np.concatenate([pieces.samples(1000 + at, 160) for at in range(0, 80_000, 160)])
    assert np.array_equal(whole, joined)
    assert np.abs(whole).max() > 1000
    assert np.abs(whole).max() < 32_000


def test_mu_law_decodes_to_what_went_in():
    import av

    samples = np.concatenate([np.arange(-32_768, 32_768, 37), [0, -1, 1, 32_767]]).astype(np.int16)
    decoder = av.CodecContext.create("pcm_mulaw", "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    frames = decoder.decode(av.Packet(mu_law(samples)))
    back = np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(int)
    error = np.abs(back - samples.astype(int))
    assert (error <= np.maximum(8, np.abs(samples.astype(int)) / 16)).all()
    assert mu_law(np.array([0], np.int16)) == b"\xff"


@pytest.mark.parametrize(("codec", "rate"), [("aac", 16_000), ("opus", 48_000)])
def test_audio_frames_follow_one_another(codec: str, rate: int):
    encoder = AudioEncoder(codec, rate, 32)
    tone = (8000 * np.sin(np.arange(encoder.frame_size * 20) * 0.05)).astype(np.int16)
    starts = []
    for number in range(20):
        part = tone[number * encoder.frame_size : (number + 1) * encoder.frame_size]
        starts += [at for at, data in encoder.encode(part, number * encoder.frame_size) if data]
    assert len(starts) >= 18
    assert set(np.diff(starts)) == {encoder.frame_size}
