# SPDX-License-Identifier: Apache-2.0
"""Tiny made-up tracks, samples and a stand-in cipher for the tests of boxes. Not pictures: nothing can decode them."""

from __future__ import annotations

from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.model import Sample, Track, TrackKind

START = 1_800_000_000 * 90_000
VIDEO = Track(
    kind=TrackKind.VIDEO,
    codec="h264",
    codec_string="avc1.64001f",
    timescale=90_000,
    config=bytes.fromhex("0164001fffe10004676400000100026800"),
    width=64,
    height=48,
)
AUDIO = Track(
    kind=TrackKind.AUDIO, codec="aac", codec_string="mp4a.40.2", timescale=48_000, config=b"\x11\x88", channels=1
)
KID = bytes(range(16))


class Shift:
    """A cipher that adds its counter to each byte. Not its own inverse: that takes `sign` -1."""

    kid = KID

    def __init__(self, iv: bytes = b"PREFIXES" + bytes(8), *, sign: int = 1) -> None:
        self.prefix, self.counter, self.sign = iv[:8], int.from_bytes(iv[8:], "big"), sign
        self.calls = 0

    def begin(self) -> bytes:
        return self.prefix + self.counter.to_bytes(8, "big")

    def apply(self, buffer: memoryview, ranges: list[tuple[int, int]]) -> None:
        self.calls += 1
        at = 0
        for offset, length in ranges:
            for place in range(offset, offset + length):
                step = 7 * (self.counter + at // 16) + at % 16 + 1
                buffer[place] = (buffer[place] + self.sign * step) % 256
                at += 1
        self.counter += (at + 15) // 16


def opener(iv: bytes) -> Shift:
    return Shift(iv, sign=-1)


def picture(pts: int, *, key: bool = False, size: int = 60, fill: int = 0x55) -> Sample:
    data = (size - 4).to_bytes(4, "big") + bytes((0x65 if key else 0x41,)) + bytes((fill,)) * (size - 5)
    return Sample(1, pts, key, size, [data[:9], memoryview(data)[9:]], 0)


def sound(pts: int, size: int = 21, fill: int = 0xAA) -> Sample:
    return Sample(2, pts, True, size, [bytes((fill,)) * size], 0)


def sample_data(samples, track):
    return [b"".join(sample.parts) for sample in samples if sample.track == track]


def small_file(fragments: int = 3, *, tracks=(VIDEO, AUDIO), sealed: bool = True):
    """A segment of tiny fragments: its bytes, its samples, and what the writer said of each fragment."""
    kid = KID if sealed else None
    ciphers = tuple(Shift(bytes((number,)) * 8 + bytes(8)) if sealed else None for number, _ in enumerate(tracks))
    writer = FragmentWriter(tracks, ciphers)
    out = [init_segment(tracks, kid, b'{"v":1}')]
    samples, infos = [], []
    for number in range(fragments):
        group = [picture(1000 + (3 * number + step) * 3600, key=step == 0, size=60 + step) for step in range(3)]
        if len(tracks) == 2:
            group += [sound(533 + (6 * number + step) * 1024, 21 + step) for step in range(6)]
        buffers, info = writer.write(group, START + number * 10_800, 1000 + (number + 1) * 10_800)
        out.append(b"".join(buffers))
        samples += group
        infos.append(info)
    return out, samples, infos
