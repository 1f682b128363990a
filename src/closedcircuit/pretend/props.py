# SPDX-License-Identifier: Apache-2.0
"""What stands about in the scenes: boxes, shelves full of goods, signs, lamps, parked things."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from closedcircuit.pretend.lens import Floats, Points, Vector
from closedcircuit.pretend.lettering import ADVANCE, TALL, strokes
from closedcircuit.pretend.stage import Colour, Stage, Texture, shade

GOODS = (
    "#b5322b", "#d98a1f", "#e3c63a", "#4f8a3c", "#2c6fa8", "#7a3f86", "#e9e4d6", "#2f3b4c",
    "#c9563c", "#8fb0c9", "#d9a7a0", "#5d4632", "#ece9e4", "#1f7f7a", "#a3bf4f", "#f0d9b0",
)  # fmt: skip


def quad(a: Vector, b: Vector, c: Vector, d: Vector) -> Points:
    """Four corners as an array."""
    return np.array([a, b, c, d], np.float64)


def floor(x0: float, x1: float, y0: float, y1: float, z: float = 0.0) -> Points:
    """A level rectangle that is seen from above."""
    return quad((x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z))


def box(
    stage: Stage, low: Vector, high: Vector, colour: Colour | Texture, *, top: Colour | None = None, gloss: float = 0.0
) -> None:
    """An upright box; faces that look away cost nothing."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    for corners in (
        quad((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)),
        quad((x1, y1, z0), (x0, y1, z0), (x0, y1, z1), (x1, y1, z1)),
        quad((x0, y1, z0), (x0, y0, z0), (x0, y0, z1), (x0, y1, z1)),
        quad((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)),
    ):
        stage.face(corners, colour, gloss=gloss)
    stage.face(floor(x0, x1, y0, y1, z1), top or colour, gloss=gloss)


def contact(stage: Stage, x0: float, x1: float, y0: float, y1: float) -> None:
    """The dark that gathers on a floor around something that stands on it; call before the thing itself."""
    for grow, alpha in ((0.22, 0.16), (0.12, 0.2), (0.05, 0.3)):
        stage.decal(floor(x0 - grow, x1 + grow, y0 - grow, y1 + grow, 0.001), (0.01, 0.01, 0.01), alpha=alpha, soft=9.0)


def post(stage: Stage, at: tuple[float, float], radius: float, heights: tuple[float, float], colour: Colour) -> None:
    """An upright round post."""
    turns = np.linspace(0, 2 * np.pi, 9)
    x, y = at
    for a, b in pairwise(turns):
        ax, ay, bx, by = x + radius * np.cos(a), y + radius * np.sin(a), x + radius * np.cos(b), y + radius * np.sin(b)
        stage.face(quad((ax, ay, heights[0]), (bx, by, heights[0]), (bx, by, heights[1]), (ax, ay, heights[1])), colour)


def sign(
    stage: Stage, text: str, corner: Vector, along: Vector, tall: float, colour: Colour, *, glow: bool = False
) -> None:
    """Letters on an upright wall: `corner` is the upper left one, `along` points to the right, `tall` in metres."""
    right, down = np.array(along), np.array((0.0, 0.0, -1.0))
    scale = tall / TALL
    half = 0.42 * scale
    for x0, y0, x1, y1 in strokes(text):
        a = np.array(corner) + right * x0 * scale + down * y0 * scale
        b = np.array(corner) + right * x1 * scale + down * y1 * scale
        length = float(np.linalg.norm(b - a))
        run = (b - a) / length if length > 1e-6 else right
        aside = np.cross(run, np.cross(right, down)) * half
        stroke = np.array(
            [a - run * half - aside, b + run * half - aside, b + run * half + aside, a - run * half + aside]
        )
        if glow:
            stage.glowing(stroke, colour)
        else:
            stage.decal(stroke, colour)


def sign_width(text: str, tall: float) -> float:
    """Metres that a sign takes."""
    return (len(text) * ADVANCE - 2.0) * tall / TALL


def goods(stage: Stage, start: Vector, along: Vector, length: float, tall: float, random: np.random.Generator) -> None:
    """A row of packets on a shelf whose front edge begins at `start`; their backs are of no account."""
    here = 0.0
    base, right = np.array(start), np.array(along)
    inward = np.cross((0.0, 0.0, 1.0), right)
    while here < length - 0.05:
        wide = min(float(random.uniform(0.07, 0.2)), length - here)
        count = int(random.integers(1, 5))
        high = tall * float(random.uniform(0.55, 0.92))
        colour = shade(GOODS[int(random.integers(len(GOODS)))], 0.85)
        label = shade(GOODS[int(random.integers(len(GOODS)))], 0.9)
        depth = float(random.uniform(0.0, 0.03))
        for _ in range(count):
            if here + wide > length:
                break
            a = base + right * (here + 0.004) + inward * depth
            b = a + right * (wide - 0.008)
            up = np.array((0.0, 0.0, high))
            stage.face(np.array([a, b, b + up, a + up]), colour, gloss=0.03)
            low, top = a + up * 0.3, a + up * 0.62
            span = b - a
            stage.decal(np.array([low + span * 0.1, low + span * 0.9, top + span * 0.9, top + span * 0.1]), label)
            here += wide
        here += float(random.uniform(0.0, 0.05))


def shelves(
    stage: Stage, start: Vector, along: Vector, length: float, levels: tuple[float, ...], random: np.random.Generator
) -> None:
    """The front of a rack: back panel, boards with price rails, goods. `start` is the foot of its left end."""
    base, right, up = np.array(start), np.array(along), np.array((0.0, 0.0, 1.0))
    inward = np.cross(up, right)
    back = base + inward * 0.3
    top = levels[-1] + 0.06
    stage.face(
        np.array([back, back + right * length, back + right * length + up * top, back + up * top]), shade("#6d6a63")
    )
    for low, high in pairwise(levels):
        board = base + up * low
        stage.face(
            np.array([board, board + right * length, board + right * length + inward * 0.3, board + inward * 0.3]),
            shade("#5f5d58"),
        )
        goods(
            stage,
            (board[0] + inward[0] * 0.01, board[1] + inward[1] * 0.01, low),
            along,
            length,
            high - low - 0.05,
            random,
        )
        rail = board + up * -0.035
        stage.face(np.array([rail, rail + right * length, board + right * length, board]), shade("#e8e6df"))
        for place in np.arange(0.06, length - 0.1, 0.23):
            tag = rail + right * place + up * 0.008
            stage.decal(
                np.array([tag, tag + right * 0.07, tag + right * 0.07 + up * 0.03, tag + up * 0.03]), shade("#e7c93c")
            )


def tiles(size: float, colour: Colour, joint: Colour, *, vary: float = 0.06) -> Texture:
    """A tiled floor, each tile a little different."""

    def texture(place: Floats) -> Floats:
        across, along = place[0] / size, place[1] / size
        column, row = np.floor(across), np.floor(along)
        wild = np.sin(column * 12.9898 + row * 78.233) * 43758.547
        tone = 1 + (wild - np.floor(wild) - 0.5) * np.float32(2 * vary)
        # A joint of constant width in metres fades with distance, as it would through a lens.
        edge = np.minimum(np.minimum(across - column, column + 1 - across), np.minimum(along - row, row + 1 - along))
        blur = np.maximum(place[1], 1.0) * np.float32(0.0016 / size)
        line = np.clip(1 - edge / (np.float32(0.008 / size) + blur), 0, 1) * np.clip(0.012 / size / blur, 0.1, 1)
        made = np.array(colour, np.float32)[:, None, None] * tone
        made += (np.array(joint, np.float32)[:, None, None] - made) * line
        mixed: Floats = made
        return mixed

    return texture


def bricks(axis: int, colour: Colour, joint: Colour) -> Texture:
    """A brick wall that runs along the x (0) or y (1) axis."""

    def texture(place: Floats) -> Floats:
        row = np.floor(place[2] / 0.085)
        along = place[axis] / 0.25 + (row % 2) * 0.5
        column = np.floor(along)
        wild = np.sin(column * 12.9898 + row * 78.233) * 43758.547
        tone = 1 + (wild - np.floor(wild) - 0.5) * np.float32(0.5)
        up, side = place[2] / 0.085 - row, along - column
        line = np.clip(1 - np.minimum(np.minimum(up, 1 - up) * 0.085, np.minimum(side, 1 - side) * 0.25) / 0.009, 0, 1)
        made = np.array(colour, np.float32)[:, None, None] * tone
        made += (np.array(joint, np.float32)[:, None, None] - made) * (line * np.float32(0.7))
        mixed: Floats = made
        return mixed

    return texture


def rough(colour: Colour, *, grain: float = 0.12, seed: float = 1.0) -> Texture:
    """Asphalt, concrete, plaster: blotches of several sizes."""

    def texture(place: Floats) -> Floats:
        x, y, z = place[0] + place[2], place[1], place[2]
        blotch = np.sin(x * 0.9 + seed + np.sin(y * 1.3)) * np.sin(y * 1.1 + seed * 2 + np.sin(x * 0.7 + z))
        wild = np.sin(np.floor(x * 40) * 12.9898 + np.floor(y * 40) * 78.233 + np.floor(z * 40) * 37.7) * 43758.547
        tone = 1 + blotch * np.float32(grain * 0.7) + (wild - np.floor(wild) - 0.5) * np.float32(grain)
        made: Floats = np.array(colour, np.float32)[:, None, None] * tone.astype(np.float32)
        return made

    return texture
