# SPDX-License-Identifier: Apache-2.0
"""A strip along the bottom edge that a program can read back, after coding and scaling: which frame, drawn when.

64 cells of equal width across the picture, black (0) or white (1), left to right, most significant bit first:

    cells   0-3   1 0 1 0, so that a reader knows black from white
    cells   4-27  frame number, low 24 bits
    cells  28-55  wall time of the drawing in milliseconds since 1970, low 28 bits (3.1 days)
    cells  56-63  CRC-8 (polynomial 0x07, start 0) of the 52 bits before it, as 7 bytes with 4 zero bits in front

The strip is `bar_height(height)` lines high. A browser reads the middle line of it from a canvas, and the middle
third of each cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELLS = 64
FRAME_BITS, MILLIS_BITS = 24, 28
_BLACK, _WHITE = 24, 226


def bar_height(height: int) -> int:
    """Lines of the strip in a picture of `height` lines: 8 at 720, never less than 6; even."""
    return max(6, height // 90 & ~1)


def crc8(data: bytes) -> int:
    """CRC-8 with polynomial x^8 + x^2 + x + 1."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def bar_bits(frame: int, captured_ms: int) -> int:
    """The 64 bits of the strip."""
    fact = (frame % (1 << FRAME_BITS)) << MILLIS_BITS | captured_ms % (1 << MILLIS_BITS)
    return 0b1010 << 60 | fact << 8 | crc8(fact.to_bytes(7, "big"))


def draw_bar(y: NDArray[np.uint8], frame: int, captured_ms: int) -> None:
    """Draw the strip on a luma plane. Its chroma has to be neutral: the caller's background sees to that."""
    height, width = y.shape
    bits = np.unpackbits(np.frombuffer(bar_bits(frame, captured_ms).to_bytes(8, "big"), np.uint8))
    cells = np.arange(width) * CELLS // width
    y[height - bar_height(height) :] = np.where(bits[cells], _WHITE, _BLACK).astype(np.uint8)


def read_bar(rgb: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Frame number and low 28 bits of the milliseconds from a picture (height, width, 3 or luma alone).

    None where the strip cannot be read: not there, or the checksum is wrong.
    """
    height, width = rgb.shape[:2]
    strip = bar_height(height)
    middle = rgb[height - strip // 2 - 1 : height - strip // 2 + 1].astype(np.float32)
    line = middle.reshape(2, width, -1).mean(axis=(0, 2))
    edges = np.arange(CELLS) * width / CELLS
    span = width / CELLS
    levels = np.array(
        [line[int(e + span / 3) : max(int(e + span / 3) + 1, int(e + 2 * span / 3))].mean() for e in edges]
    )
    white, black = levels[[0, 2]].min(), levels[[1, 3]].max()
    if white - black < 40:
        return None
    value = 0
    for level in levels:
        value = value << 1 | int(level > (white + black) / 2)
    fact = value >> 8 & (1 << FRAME_BITS + MILLIS_BITS) - 1
    if value >> 60 != 0b1010 or crc8(fact.to_bytes(7, "big")) != value & 0xFF:
        return None
    return fact >> MILLIS_BITS, fact & (1 << MILLIS_BITS) - 1
