# SPDX-License-Identifier: Apache-2.0
"""The strip comes back through coding, scaling and noise, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.media.encode import Picture, VideoCoding, VideoEncoder
from closedcircuit.pretend.bar import bar_bits, crc8, draw_bar, read_bar


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width), 110, np.uint8)


@given(st.integers(0, 2**30), st.integers(0, 2**45))
def test_what_is_drawn_is_read(frame: int, millis: int):
    y = grey(180, 320)
    draw_bar(y, frame, millis)
    assert read_bar(y) == (frame % 2**24, millis % 2**28)


@given(st.integers(0, 2**24 - 1), st.integers(0, 2**28 - 1), st.integers(0, 63))
def test_one_wrong_cell_is_noticed(frame: int, millis: int, cell: int):
    y = grey(180, 640)
    draw_bar(y, frame, millis)
    strip = y[-6:, cell * 10 : cell * 10 + 10]
    strip[:] = 250 - strip
    assert read_bar(y) is None


def test_layout_is_the_documented_one():
    bits = bar_bits(0xABCDEF, 0x1234567)
    assert bits >> 60 == 0b1010
    assert bits >> 36 & 0xFFFFFF == 0xABCDEF
    assert bits >> 8 & 0xFFFFFFF == 0x1234567
    assert bits & 0xFF == crc8(((0xABCDEF << 28) | 0x1234567).to_bytes(7, "big"))


def test_crc_is_the_known_one():
    assert crc8(b"123456789") == 0xF4  # CRC-8/SMBUS check value


def test_no_strip_no_answer():
    assert read_bar(grey(180, 320)) is None


@pytest.mark.parametrize("size", [(1280, 720), (640, 360)])
def test_it_survives_poor_coding(size: tuple[int, int]):
    import av

    width, height = size
    coding = VideoCoding(codec="h264", width=width, height=height, interval_90k=7200, gop=25, quality=38, kbps_max=300)
    encoder = VideoEncoder(coding)
    decoder = av.CodecContext.create("h264", "r")
    random = np.random.default_rng(3)
    seen = 0
    for number in range(12):
        picture = Picture(width, height)
        picture.y[:] = random.integers(60, 180, (height, width))
        picture.u[:] = picture.v[:] = 128
        draw_bar(picture.y, 70_000 + number, 1_234_567 + 80 * number)
        _, nals = encoder.encode(picture, number * 7200)
        for decoded in decoder.decode(av.Packet(b"".join(b"\0\0\0\1" + nal for nal in nals))):
            assert read_bar(decoded.to_ndarray(format="rgb24")) == (70_000 + seen, 1_234_567 + 80 * seen)
            seen += 1
    assert seen >= 11
