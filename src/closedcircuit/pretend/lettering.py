# SPDX-License-Identifier: Apache-2.0
"""A small stroke font of our own, for the burnt-in line, signs and number plates.

Each glyph is polylines on a grid 4 wide and 6 high: `"06 00 40"` goes from (0, 6), bottom left, to (0, 0) and (4, 0).
Strokes have round ends and are anti-aliased by their distance, so one font serves every size.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

GLYPHS: dict[str, str] = {
    "A": "06 01 10 30 41 46|04 44",
    "B": "00 06 36 45 44 33 03|00 30 41 42 33",
    "C": "41 30 10 01 05 16 36 45",
    "D": "00 06 26 45 41 20 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "20 26|10 30|16 36",
    "J": "40 45 36 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|24 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 22 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    "0": "10 30 41 45 36 16 05 01 10",
    "1": "01 20 26",
    "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 44 45 36 16 05|13 33",
    "4": "30 36|30 04 44",
    "5": "40 00 02 32 43 45 36 16 05",
    "6": "30 10 01 05 16 36 45 44 33 03",
    "7": "00 40 16",
    "8": "10 30 41 42 33 13 02 01 10|13 04 05 16 36 45 44 33",
    "9": "43 13 02 01 10 30 41 45 36 16",
    "-": "13 33",
    ":": "22 22|25 25",
    ".": "26 26",
    "/": "06 40",
    "+": "13 33|22 24",
    "%": "06 40|00 00|46 46",
    "'": "20 21",
    "&": "46 02 11 21 22 04 05 16 26 44",
    " ": "",
}
ADVANCE, TALL = 6.0, 6.0
"""Grid units from one glyph to the next, and of a capital's height."""

Ink = tuple[NDArray[np.uint16], NDArray[np.uint16]]


def strokes(text: str) -> list[tuple[float, float, float, float]]:
    """Segments (x0, y0, x1, y1) of a text in grid units, y downwards; unknown letters are left out."""
    found = []
    for place, letter in enumerate(text.upper()):
        for line in filter(None, GLYPHS.get(letter, "").split("|")):
            points = [(int(p[0]) + place * ADVANCE, float(int(p[1]))) for p in line.split()]
            found += [(*a, *b) for a, b in pairwise(points)]
    return found


@lru_cache(maxsize=512)
def _glyph(letter: str, height: int) -> Ink:
    """How a letter changes a luma plane: `y * keep >> 8` and then `+ add`; white with a soft dark rim."""
    unit = height / (TALL + 3.0)
    wide = round(ADVANCE * unit)
    ys, xs = np.mgrid[:height, :wide].astype(np.float32) + 0.5
    distance = np.full((height, wide), 99.0, np.float32)
    for x0, y0, x1, y1 in strokes(letter):
        ax, ay, bx, by = ((v + shift) * unit for v, shift in ((x0, 1.0), (y0, 1.5), (x1, 1.0), (y1, 1.5)))
        dx, dy = bx - ax, by - ay
        along = np.clip(((xs - ax) * dx + (ys - ay) * dy) / max(dx * dx + dy * dy, 1e-6), 0.0, 1.0)
        np.minimum(distance, np.hypot(xs - ax - along * dx, ys - ay - along * dy), out=distance)
    fill = np.clip(0.5 + 0.46 * unit - distance, 0.0, 1.0)
    rim = np.clip((1.5 * unit - distance) / unit, 0.0, 1.0) * 0.75
    keep = (1 - rim) * (1 - fill)
    add = 16.0 * rim * (1 - fill) + 232.0 * fill
    return np.rint(keep * 256).astype(np.uint16), np.rint(add).astype(np.uint16)


@lru_cache(maxsize=64)
def ink(text: str, height: int) -> Ink:
    """A line of text, `height` pixels with its margins."""
    glyphs = [_glyph(letter if letter in GLYPHS else " ", height) for letter in text.upper()]
    return np.hstack([g[0] for g in glyphs]), np.hstack([g[1] for g in glyphs])


def write(y: NDArray[np.uint8], text: str, at: tuple[int, int], height: int) -> int:
    """Write on a luma plane with the upper left corner at (x, y); what does not fit is cut. Returns the x after it."""
    keep, add = ink(text, height)
    x, top = at
    place = y[top : top + height, x : x + keep.shape[1]]
    keep, add = keep[: place.shape[0], : place.shape[1]], add[: place.shape[0], : place.shape[1]]
    place[:] = (place * keep >> 8) + add
    return x + int(keep.shape[1])


def text_width(text: str, height: int) -> int:
    """Pixels that `write` would take."""
    return len(text) * round(ADVANCE * height / (TALL + 3.0))
