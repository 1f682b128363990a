# SPDX-License-Identifier: Apache-2.0
"""Sound: kept as it comes; G.711 becomes FLAC once FFmpeg is loaded, and pictures never wait for that."""

from __future__ import annotations

import time

import msgspec

from closedcircuit.base import SystemIds
from closedcircuit.base.errors import Unsupported
from closedcircuit.model import Sample, Track
from closedcircuit.recording import FlacLoader, Sound
from closedcircuit.recording.fakes import SOUND, VIDEO, Acted, Rig

G711 = msgspec.structs.replace(SOUND, codec="pcmu", codec_string="", timescale=8000, config=b"", channels=1)


class NoCoder:
    """A transcoder that only wraps."""

    def __init__(self, codec: str, rate: int, channels: int) -> None:
        if channels > 2:
            raise Unsupported("too many channels")
        self.track = msgspec.structs.replace(SOUND, codec="flac", timescale=rate)

    def push(self, payload: bytes | memoryview, pts: int) -> list[tuple[int, bytes]]:
        return [(pts, b"flac" + bytes(payload))]


class Loader(FlacLoader):
    """Loaded when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded = False

    def get(self):  # type: ignore[no-untyped-def]
        return NoCoder if self.loaded else None


def test_aac_stays_as_it_is() -> None:
    sound = Sound(Loader())
    assert sound.take_up((VIDEO, SOUND)) == (VIDEO, SOUND)
    sample = Sample(2, 0, True, 2, [b"ab"], 0)
    assert list(sound.turn(sample)) == [sample]


def test_what_nobody_can_play_is_left_out() -> None:
    strange = msgspec.structs.replace(SOUND, codec="g726")
    assert Sound(Loader()).take_up((VIDEO, strange)) == (VIDEO,)
    loader = Loader()
    loader.loaded = True
    assert Sound(loader).take_up((VIDEO, msgspec.structs.replace(G711, channels=6))) == (VIDEO,)


def test_pictures_do_not_wait_for_the_transcoder() -> None:
    rig = Rig(SystemIds())
    loader = Loader()
    rig.recorder._sound = Sound(loader)
    source = Acted(rig.recorder, audio=True)
    source.tracks = (VIDEO, G711)
    source.start(rig.clock.now_90k())
    rig.play(source, 3)
    loader.loaded = True
    rig.play(source, 5)
    rig.recorder.stop()
    assert rig.covered() == [(0, 8)]
    codecs = [[track.codec for track in plan.tracks] for plan in rig.outlet.opened]
    assert codecs == [["h264"], ["h264", "flac"]]
    assert rig.gaps() == []
    heard = [s for _, piece in rig.outlet.pieces for s in piece.samples if s.track == 2]
    assert heard
    assert all(bytes(sample.parts[0][:4]) == b"flac" and sample.size == 68 for sample in heard)


def test_the_real_transcoder_is_loaded_beside() -> None:
    loader = FlacLoader()
    deadline = time.monotonic() + 30
    while (maker := loader.get()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    sound = Sound(loader)
    tracks: tuple[Track, ...] = sound.take_up((VIDEO, G711))
    assert (tracks[1].codec, tracks[1].timescale) == ("flac", 8000)
    made = [s for n in range(20) for s in sound.turn(Sample(2, n * 160, True, 160, [bytes(160)], 5))]
    assert made
    assert all(s.track == 2 and s.key and s.arrived_90k == 5 for s in made)
    assert maker is not None
