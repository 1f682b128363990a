# SPDX-License-Identifier: Apache-2.0
"""The part of a scene that stands still: surfaces are painted once, then lit for day, dusk and night.

It is a small deferred renderer: faces leave colour, distance, normal and gloss per pixel; `lit` then reckons the light
of each lamp at each pixel. Colours are linear light, 0 to 1; `shade("#8a7f70")` makes one from the usual notation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.pretend.lens import (
    Floats,
    Lens,
    Points,
    Vector,
    centres,
    clip_near,
    coverage,
    facing,
    unit,
    window,
)

Colour = tuple[float, float, float]
Texture = Callable[[Floats], Floats]
"""World positions (3, rows, columns) to colours of the same shape."""
FAR = 500.0
_PIECE = 1 << 16
"""Pixels that are worked on at once."""


def shade(text: str, level: float = 1.0) -> Colour:
    """`#rrggbb` as linear light."""
    red, green, blue = (((int(text[i : i + 2], 16) / 255) ** 2.2) * level for i in (1, 3, 5))
    return red, green, blue


class Lamp(msgspec.Struct, frozen=True, kw_only=True):
    """A small source of light."""

    at: Vector
    colour: Colour  # radiant strength: lights a facing white wall at 1 m to this
    aim: Vector | None = None  # a spot: where to
    cone: tuple[float, float] = (0.0, 1.0)  # cosines: dark outside, full inside


class Light(msgspec.Struct, frozen=True, kw_only=True):
    """All light of one time of day."""

    sky: Colour  # from above
    ground: Colour  # from below
    sun: Colour = (0.0, 0.0, 0.0)
    sun_from: Vector = (0.3, -0.4, 0.8)
    lamps: tuple[Lamp, ...] = ()
    glow: float = 1.0  # of what shines itself
    backdrop: tuple[Colour, Colour] = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))  # zenith and horizon, where nothing stands
    exposure: float = 1.0
    mono: bool = False  # an infra-red camera at night


class Stage:
    """Paint far things first where they touch; the distance of each pixel sorts the rest."""

    def __init__(self, lens: Lens) -> None:
        self.lens = lens
        shape = (lens.height, lens.width)
        # Colours are planes (3, height, width): numpy is several times quicker along long rows.
        self.albedo = np.zeros((3, *shape), np.float32)
        self.glow = np.zeros((3, *shape), np.float32)
        self.depth = np.full(shape, FAR, np.float32)
        self.gloss = np.zeros(shape, np.float32)
        self.sunny = np.ones(shape, np.float32)  # share of the sun that no shadow takes
        self._normal = np.zeros(shape, np.uint8)
        self._normals: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)]
        self._any_glow = False
        self._least = 0.8 if lens.width > 500 else 2.5  # pixels; in a coarse picture, what is small is left out

    # ------------------------------------------------------------------------------------------------ painting

    def face(
        self, corners: Points, colour: Colour | Texture, *, gloss: float = 0.0, glow: float = 0.0, both: bool = False
    ) -> None:
        """A convex flat surface, corners in order; seen from the side from which they run anticlockwise, or `both`."""
        normal = facing(corners)
        toward = float(normal @ (self.lens.eye - corners[0]))
        if toward <= 1e-6:
            if not both or toward > -1e-6:
                return
            normal = -normal
        index = np.uint8(self._normal_index(normal))
        for box, cover, xs, ys in self._pieces(corners):
            distance = self._distance(corners[0], normal, xs, ys)
            cover *= (distance < self.depth[box] + np.float32(0.02)) & (distance > 0)
            solid = cover > 0.5
            painted = self._colour(colour, distance, xs, ys)
            _blend(self.albedo, box, painted, cover)
            if glow or self._any_glow:
                _blend(self.glow, box, painted * np.float32(glow), cover)
                self._any_glow = True
            np.copyto(self.depth[box], distance, where=solid)
            np.copyto(self.gloss[box], np.float32(gloss), where=solid)
            np.copyto(self.sunny[box], np.float32(1), where=solid)
            np.copyto(self._normal[box], index, where=solid)

    def decal(self, corners: Points, colour: Colour | Texture, *, alpha: float = 1.0, soft: float = 1.0) -> None:
        """Paint on a surface that is there already and faces any way; `soft` is the width of its edge in pixels."""
        normal = facing(corners)
        for box, cover, xs, ys in self._pieces(corners, soft):
            distance = self._distance(corners[0], normal, xs, ys)
            cover *= np.abs(distance - self.depth[box]) < np.float32(0.01) * distance + np.float32(0.04)
            if alpha != 1.0:
                cover *= np.float32(alpha)
            _blend(self.albedo, box, self._colour(colour, distance, xs, ys), cover)

    def glowing(self, corners: Points, colour: Colour, *, soft: float = 1.0) -> None:
        """Let a part of a surface shine by itself (a sign, a lamp's cover)."""
        for (rows, columns), cover, _, _ in self._pieces(corners, soft):
            for plane, level in zip(self.glow, colour, strict=True):
                plane[rows, columns] += cover * np.float32(level)
            self._any_glow = True

    def shadow(self, corners: Points, *, soft: float = 3.0, strength: float = 1.0) -> None:
        """Take the sun away from a part of the ground."""
        for box, cover, _, _ in self._pieces(corners, soft):
            np.minimum(self.sunny[box], 1 - cover * np.float32(strength), out=self.sunny[box])

    def _pieces(
        self, corners: Points, soft: float = 1.0
    ) -> Iterator[tuple[tuple[slice, slice], Floats, Floats, Floats]]:
        """Where a polygon is in the picture, in pieces that fit into a processor's cache: box, coverage, xs, ys."""
        seen = clip_near(self.lens.seen(corners))
        if len(seen) < 3:
            return
        flat = self.lens.flat(seen)
        reach = window(flat, self.lens.width, self.lens.height, soft)
        if reach is None or float((flat.max(axis=0) - flat.min(axis=0)).max()) < self._least:
            return
        x0, x1, y0, y1 = reach
        xs = centres(x0, x1)
        step = max(1, _PIECE // (x1 - x0))
        for top in range(y0, y1, step):
            bottom = min(y1, top + step)
            ys = centres(top, bottom)
            yield (slice(top, bottom), slice(x0, x1)), coverage(flat, xs, ys, soft), xs, ys

    def _distance(self, point: Points, normal: Points, xs: Floats, ys: Floats) -> Floats:
        """Along the axis to the plane, per pixel: n . (point - eye) / (n . ray)."""
        lens = self.lens
        across = float(normal @ lens.right) / lens.focal
        down = -float(normal @ lens.up) / lens.focal
        level = float(normal @ lens.forward) - across * lens.width / 2 - down * lens.height / 2
        slope = (xs * np.float32(across) + np.float32(level)) + (ys * np.float32(down))[:, None]
        gap = float(normal @ (point - lens.eye))
        # Away from the horizon of the plane, and on the side of it that the lens sees.
        if gap < 0:
            np.minimum(slope, np.float32(-1e-6), out=slope)
        else:
            np.maximum(slope, np.float32(1e-6), out=slope)
        distance: Floats = np.float32(gap) / slope
        return distance

    def ground(self) -> Floats:
        """Distances of pixels that show level ground, give or take a kerb; infinite elsewhere."""
        xs, ys = centres(0, self.lens.width), centres(0, self.lens.height)
        level = self._distance(np.zeros(3), np.array((0.0, 0.0, 1.0)), xs, ys)
        level[np.abs(level - self.depth) > 0.05 + 0.02 * self.depth] = np.inf
        return level

    def _colour(self, colour: Colour | Texture, distance: Floats, xs: Floats, ys: Floats) -> Floats:
        if not callable(colour):
            return np.array(colour, np.float32)[:, None, None]
        rays = self.lens.rays(xs[None, :], ys[:, None])
        place: Floats = rays * distance + self.lens.eye.astype(np.float32)[:, None, None]
        return colour(place)

    def _normal_index(self, normal: Points) -> int:
        key = (round(float(normal[0]), 2), round(float(normal[1]), 2), round(float(normal[2]), 2))
        if key not in self._normals:
            self._normals.append(key)
        return min(self._normals.index(key), 255)

    # ------------------------------------------------------------------------------------------------ lighting

    def planes(self, light: Light) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture under a light, ready to be shown: Y, U and V (see `to_yuv`)."""
        height, width = self.depth.shape
        half = (height // 2, width // 2)
        y, u, v = (np.empty(shape, np.uint8) for shape in ((height, width), half, half))
        step = max(2, _PIECE // width & ~1)
        for top in range(0, height, step):
            bottom = min(height, top + step)
            band = (slice(top, bottom), slice(top // 2, bottom // 2), slice(top // 2, bottom // 2))
            for plane, rows, made in zip((y, u, v), band, to_yuv(self.lit(light, (top, bottom))), strict=True):
                plane[rows] = made
        return y, u, v

    def lit(self, light: Light, rows: tuple[int, int]) -> NDArray[np.float32]:
        """Some rows (from an even one on) of the picture under a light: (3, rows, width), 0 to 1, gamma 2.2.

        Light changes slowly over a surface, so it is reckoned for every other pixel of every other line, and for those
        between that belong to another surface.
        """
        height, width = self.depth.shape
        # Two more rows above and below, for the blur.
        first, last = max(0, rows[0] - 2), min(height, rows[1] + 2)
        part = slice(first, last)
        grid = np.mgrid[first:last:2, :width:2]
        small = (3, grid.shape[1], grid.shape[2])
        out, shine = (_twice(p.reshape(small)) for p in self._reaching(grid[0].ravel(), grid[1].ravel(), light))
        ys, xs = np.nonzero(self._strangers(part))
        out[:, ys, xs], shine[:, ys, xs] = self._reaching(ys + first, xs, light)
        out *= self.albedo[:, part]
        out += shine
        out += self.glow[:, part] * np.float32(light.glow)
        empty = self.depth[part] >= FAR
        if empty.any():
            down = centres(first, last)[:, None]
            rise = np.clip(self.lens.rays(np.float32(width / 2), down)[2] * 2.2, 0, 1) ** 0.7 * empty
            for plane, top, horizon in zip(out, *light.backdrop, strict=True):
                plane += empty * np.float32(horizon) + rise * np.float32(top - horizon)
        out *= np.float32(light.exposure)
        shown = develop(out, mono=light.mono)[:, rows[0] - first : rows[1] - first]
        across = np.linspace(-1, 1, width, dtype=np.float32) ** 2
        above = np.linspace(-1, 1, height, dtype=np.float32)[rows[0] : rows[1]] ** 2
        shown *= 1 - np.float32(0.10) * (across[None, :] + above[:, None])  # less light in the corners of a lens
        return shown

    def _strangers(self, part: slice) -> NDArray[np.bool_]:
        """Pixels whose surface is not that of the one that stands for their two by two."""
        depth, normal = self.depth[part], self._normal[part]
        near, same = (a[::2, ::2].repeat(2, axis=0).repeat(2, axis=1) for a in (depth, normal))
        other: NDArray[np.bool_] = (normal != same) | (np.abs(depth - near) > 0.1 + 0.02 * near)
        return other

    def _reaching(self, rows: NDArray[np.int64], columns: NDArray[np.int64], light: Light) -> tuple[Floats, Floats]:
        """Light that falls on pixels, and light that they throw back as a mirror would; both (3, N)."""
        lens = self.lens
        rays = lens.rays(columns.astype(np.float32) + 0.5, rows.astype(np.float32) + 0.5)
        place = rays * self.depth[rows, columns] + lens.eye.astype(np.float32)[:, None]
        normals = np.array(self._normals, np.float32).T[:, self._normal[rows, columns]]
        half = normals[2] * 0.5 + 0.5
        reaching = np.stack(
            [half * np.float32(a) + (1 - half) * np.float32(b) for a, b in zip(light.sky, light.ground, strict=True)]
        )
        shine = np.zeros_like(reaching)
        if any(light.sun):
            toward = unit(np.array(light.sun_from)).astype(np.float32)
            _add(reaching, np.clip(toward @ normals, 0, 1) * self.sunny[rows, columns], light.sun)
        gloss = self.gloss[rows, columns]
        glossy = np.flatnonzero(gloss)
        view = -rays[:, glossy] / np.sqrt(_dot(rays[:, glossy], rays[:, glossy]))
        mirrored = np.zeros((3, len(glossy)), np.float32)
        for lamp in light.lamps:
            toward, strength = _from_lamp(lamp, place)
            _add(reaching, np.clip(_dot(toward, normals), 0, 1) * strength, lamp.colour)
            if len(glossy):
                middle = toward[:, glossy] + view
                glint = np.clip(
                    _dot(middle, normals[:, glossy]) / (np.sqrt(_dot(middle, middle)) + np.float32(1e-6)), 0, 1
                )
                for _ in range(6):  # to the 64th power
                    glint *= glint
                _add(mirrored, glint * strength[glossy] * gloss[glossy] * np.float32(4), lamp.colour)
        shine[:, glossy] = mirrored
        return reaching, shine


def light_at(light: Light, point: Vector) -> Floats:
    """How strongly somebody who stands there is lit: factors of red, green and blue for display values."""
    total = (np.array(light.sky) + np.array(light.ground)) * 0.5 + np.array(light.sun) * 0.5
    for lamp in light.lamps:
        _, strength = _from_lamp(lamp, np.array(point, np.float32)[:, None])
        total = total + np.array(lamp.colour) * float(strength[0]) * 0.55
    factors: Floats = (np.clip(total * light.exposure, 0.0, 1.6) ** (1 / 2.2)).astype(np.float32)
    return factors


def _blend(below: Floats, box: tuple[slice, slice], colour: Floats, cover: Floats) -> None:
    place = below[:, box[0], box[1]]
    place += (colour - place) * cover


def _add(below: Floats, amount: Floats, colour: Colour) -> None:
    for plane, level in zip(below, colour, strict=True):
        plane += amount * np.float32(level)


def _dot(a: Floats, b: Floats) -> Floats:
    product: Floats = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _from_lamp(lamp: Lamp, place: Floats) -> tuple[Floats, Floats]:
    """Directions to the lamp (3, N) and how strongly it shines there (N), whichever way a surface faces."""
    toward = np.array(lamp.at, np.float32)[:, None] - place
    square = _dot(toward, toward) + np.float32(0.05)
    strength: Floats = 1 / square
    toward *= np.sqrt(strength)
    if lamp.aim is not None:
        aim = unit(np.array(lamp.aim) - np.array(lamp.at)).astype(np.float32)
        dark, full = lamp.cone
        strength *= np.clip((-(aim @ toward) - np.float32(dark)) / np.float32(full - dark), 0, 1) ** 2
    return toward, strength


def _twice(planes: Floats) -> Floats:
    """Each pixel four times."""
    return planes.repeat(2, axis=1).repeat(2, axis=2)


def develop(linear: Floats, *, mono: bool = False) -> NDArray[np.float32]:
    """Linear light to display values: a soft shoulder, gamma, the lens's slight blur."""
    if mono:
        linear = np.stack([linear[0] * 0.4 + linear[1] * 0.35 + linear[2] * 0.25] * 3)
    level = np.sqrt(np.maximum(linear, np.float32(0))) * np.float32(2048)
    shown = _TONES[np.minimum(level, np.float32(len(_TONES) - 1)).astype(np.int32)]
    shown[:, :, 1:-1] = shown[:, :, 1:-1] * 0.5 + (shown[:, :, :-2] + shown[:, :, 2:]) * 0.25
    shown[:, 1:-1] = shown[:, 1:-1] * 0.5 + (shown[:, :-2] + shown[:, 2:]) * 0.25
    developed: NDArray[np.float32] = shown
    return developed


def _tones() -> NDArray[np.float32]:
    """Display value of the square root of linear light, in steps of 1/2048 up to 2: a soft shoulder, then gamma 2.2."""
    linear = (np.arange(4096) / 2048) ** 2
    shouldered = np.where(linear > 0.7, 1 - 0.3 * np.exp((0.7 - linear) / 0.3), linear)
    made: NDArray[np.float32] = (shouldered ** (1 / 2.2)).astype(np.float32)
    return made


_TONES = _tones()


def to_yuv(rgb: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Display values (3, height, width) to BT.709 limited-range planes, chroma halved both ways."""
    red, green, blue = rgb
    luma = red * np.float32(0.2126) + green * np.float32(0.7152) + blue * np.float32(0.0722)

    def halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) * np.float32(0.25)

    small = halved(luma)
    u = np.float32(128.5) + (halved(blue) - small) * np.float32(224 / 1.8556)
    v = np.float32(128.5) + (halved(red) - small) * np.float32(224 / 1.5748)
    y8, u8, v8 = (
        np.clip(plane, 16, 240).astype(np.uint8) for plane in (np.float32(16.5) + np.float32(219) * luma, u, v)
    )
    return y8, u8, v8
