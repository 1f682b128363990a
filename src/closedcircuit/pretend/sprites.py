# SPDX-License-Identifier: Apache-2.0
"""Putting cut-outs on a picture: lit as their place is, hidden by what stands before them, a shadow at their feet."""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.media.encode import Picture
from closedcircuit.pretend.figure import Sprite


class Tint(msgspec.Struct, frozen=True):
    """How light changes a cut-out: factors of 256, and colour that it gets by its brightness."""

    gain: int
    u: int
    v: int
    mono: bool

    @staticmethod
    def of(rgb: NDArray[np.float32], *, mono: bool) -> Tint:
        """From factors of red, green and blue on display values."""
        red, green, blue = (float(part) for part in rgb)
        luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        u = (blue - luma) * 112 / 0.9278 if not mono else 0.0
        v = (red - luma) * 112 / 0.7874 if not mono else 0.0
        return Tint(max(0, min(400, round(luma * 256))), round(u), round(v), mono)


class Board:
    """Pastes on pictures of one size."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._width, self._height = size

    def put(
        self,
        picture: Picture,
        sprite: Sprite,
        at: tuple[int, int],
        depth: NDArray[np.float16],
        distance: tuple[float, float],
        tint: Tint,
    ) -> None:
        """Paste with the feet at pixel `at`. `distance` is that of head and feet; nearer things in `depth` hide it."""
        x, y = at[0] - sprite.foot[0], at[1] - sprite.foot[1]
        x -= x % 2
        y -= y % 2
        height, width = sprite.y.shape
        x0, x1, y0, y1 = max(0, x), min(self._width, x + width), max(0, y), min(self._height, y + height)
        if x0 >= x1 or y0 >= y1:
            return
        limits = np.linspace(distance[0], distance[1], height, dtype=np.float32)[y0 - y : y1 - y]
        reach = max(0.18, 0.02 * distance[1])
        hidden = depth[y0:y1, x0:x1] < (limits - np.float32(reach)).astype(np.float16)[:, None]
        part = (slice(y0 - y, y1 - y), slice(x0 - x, x1 - x))
        half = (slice((y0 - y) // 2, (y1 - y) // 2), slice((x0 - x) // 2, (x1 - x) // 2))
        alpha, alpha_uv = sprite.alpha[part], sprite.alpha_uv[half]
        if hidden.any():
            alpha = np.where(hidden, np.uint16(0), alpha)
            alpha_uv = np.where(hidden[::2, ::2], np.uint16(0), alpha_uv)
        lit = np.minimum((sprite.y[part] - np.uint16(16)) * np.uint16(tint.gain) >> 8, 219).astype(np.uint16) + 16
        _over(picture.y[y0:y1, x0:x1], lit, alpha)
        place = (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
        bright = lit[::2, ::2].astype(np.int32)
        for plane, own, shift in ((picture.u, sprite.u, tint.u), (picture.v, sprite.v, tint.v)):
            if tint.mono:
                coloured = np.full(alpha_uv.shape, 128, np.uint16)
            else:
                scaled = (own[half].astype(np.int32) - 128) * min(tint.gain, 256) + bright * shift
                coloured = np.clip((scaled >> 8) + 128, 16, 240).astype(np.uint16)
            _over(plane[place], coloured, alpha_uv)

    def beam(
        self,
        picture: Picture,
        bright: tuple[NDArray[np.uint8], ...],
        mask: NDArray[np.float32],
        corner: tuple[int, int],
    ) -> None:
        """Let `bright` (planes of the same scene in a better light) show through where `mask` (0 to 1) falls."""
        x, y = (n - n % 2 for n in corner)
        height, width = (n - n % 2 for n in mask.shape)
        x0, x1, y0, y1 = max(0, x), min(self._width, x + width), max(0, y), min(self._height, y + height)
        if x0 >= x1 or y0 >= y1:
            return
        alpha = np.rint(mask[y0 - y : y1 - y, x0 - x : x1 - x] * 256).astype(np.uint16)
        _over(picture.y[y0:y1, x0:x1], bright[0][y0:y1, x0:x1].astype(np.uint16), alpha)
        half = (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
        for plane, other in ((picture.u, bright[1]), (picture.v, bright[2])):
            _over(plane[half], other[half].astype(np.uint16), alpha[::2, ::2])

    def foot_shadow(
        self, picture: Picture, at: tuple[int, int], width: int, depth: NDArray[np.float16], distance: float
    ) -> None:
        """A soft dark patch where the feet touch the ground."""
        wide = max(8, width * 9 // 10)
        mask = _patch(wide, max(4, wide * 2 // 5))
        self.darken(picture, mask, (at[0] - wide // 2, at[1] - mask.shape[0] // 2), depth, distance)

    def darken(
        self,
        picture: Picture,
        mask: NDArray[np.uint16],
        corner: tuple[int, int],
        depth: NDArray[np.float16],
        distance: float,
    ) -> None:
        """Take light away where `depth` is about `distance`; `mask` is what is left, of 256."""
        x, y = corner
        tall, wide = mask.shape
        x0, x1, y0, y1 = max(0, x), min(self._width, x + wide), max(0, y), min(self._height, y + tall)
        if x0 >= x1 or y0 >= y1:
            return
        near = np.abs(depth[y0:y1, x0:x1] - np.float16(distance)) < np.float16(max(1.5, distance * 0.2))
        keep = np.where(near, mask[y0 - y : y1 - y, x0 - x : x1 - x], np.uint16(256))
        place = picture.y[y0:y1, x0:x1]
        place[:] = place * keep >> 8

    def shine(self, picture: Picture, at: tuple[int, int], strength: float) -> None:
        """A lamp that dazzles: a halo around pixel `at`."""
        size = 2 * max(6, int(26 * strength))
        halo = _halo(size)
        x, y = at[0] - size // 2, at[1] - size // 2
        x0, x1, y0, y1 = max(0, x), min(self._width, x + size), max(0, y), min(self._height, y + size)
        if x0 >= x1 or y0 >= y1:
            return
        alpha = halo[y0 - y : y1 - y, x0 - x : x1 - x]
        place = picture.y[y0:y1, x0:x1]
        place[:] = (place * (256 - alpha) + np.uint16(235) * alpha) >> 8

    def rain(self, y: NDArray[np.uint8], frame: int, strength: float) -> None:
        """Streaks, somewhere else in every picture."""
        streaks = _streaks(self._width, self._height)
        shift = frame * 131 % self._width
        wet = streaks[:, shift : shift + self._width]
        np.minimum(y + (wet >> (2 if strength < 0.35 else 1 if strength < 0.7 else 0)), 235, out=y)


def _over(place: NDArray[np.uint8], colour: NDArray[np.uint16], alpha: NDArray[np.uint16]) -> None:
    place[:] = (place * (256 - alpha) + colour * alpha) >> 8


@lru_cache(maxsize=64)
def _halo(size: int) -> NDArray[np.uint16]:
    away = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    near = np.clip(1 - np.hypot(away[None, :], away[:, None]), 0, 1)
    made: NDArray[np.uint16] = np.rint(250 * (0.45 * near**2 + 0.55 * near**6)).astype(np.uint16)
    return made


@lru_cache(maxsize=4)
def _streaks(width: int, height: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(5)
    made = np.zeros((height, 2 * width), np.uint8)
    for _ in range(760):
        x, y, long = int(random.integers(2 * width)), int(random.integers(height)), int(random.integers(10, 34))
        for step in range(long):
            if y + step < height:
                made[y + step, (x - step // 6) % (2 * width)] = 12 + int(14 * step / long)
    return made


@lru_cache(maxsize=256)
def _patch(width: int, height: int) -> NDArray[np.uint16]:
    """How much light is left under somebody, of 256."""
    xs = (np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1
    ys = (np.arange(height, dtype=np.float32) + 0.5) / height * 2 - 1
    left: NDArray[np.uint16] = np.rint(
        256 * (1 - 0.5 * np.clip(1 - xs[None, :] ** 2 - ys[:, None] ** 2, 0, 1) ** 1.2)
    ).astype(np.uint16)
    return left
