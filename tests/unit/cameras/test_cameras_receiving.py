# SPDX-License-Identifier: Apache-2.0
"""Well-behaved cameras: what arrives is what was sent, in order, with the right times."""

import pytest

from closedcircuit.cameras.fakes import intervals, payload_of
from closedcircuit.media.codecs import join_lengths


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_every_picture_arrives_as_it_was_sent(stage, codec):
    camera = stage.camera(codec=codec)
    sink = stage.watch(camera.address)
    stage.run(11)
    assert [payload_of(sample) for sample in sink.video] == [join_lengths(frame.nals) for frame in camera.frames]
    assert [sample.size for sample in sink.video] == [len(payload_of(sample)) for sample in sink.video]
    assert [sample.pts for sample in sink.video] == [frame.at for frame in camera.frames]
    assert [sample.key for sample in sink.video] == [number % 25 == 0 for number in range(250)]
    assert intervals(sink.video) == {3600}
    (tracks, at_90k), *more = sink.runs
    assert not more
    assert (tracks[0].codec, tracks[0].width, tracks[0].height, tracks[0].timescale) == (codec, 320, 240, 90_000)
    assert at_90k == sink.samples[0].arrived_90k
    assert sink.losses == []
    health = stage.health()
    assert (health["state"], health["codec"], health["lost_packets"]) == ("live", codec, 0)
