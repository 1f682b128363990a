# SPDX-License-Identifier: Apache-2.0
"""The part of a scene that stands still: surfaces are painted once, then lit for day, dusk and night.

It is a small deferred renderer: faces leave colour, distance, normal and gloss per pixel; `lit` then reckons the light of
each lamp at each pixel. Colours are linear light, 0 to 1; `shade("#8a7f70")` makes one from the usual notation.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.pretend.lens import Floats, Lens, Points, Vector, clip_near, coverage, facing, unit, window

Colour = tuple[float, float, float]
Texture = Callable[[Floats], Floats]
"""World positions (rows, columns, 3) to colours of the same shape."""
FAR = 500.0


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
        self.albedo = np.zeros((*shape, 3), np.float32)
        self.glow = np.zeros((*shape, 3), np.float32)
        self.depth = np.full(shape, FAR, np.float32)
        self.gloss = np.zeros(shape, np.float32)
        self.sunny = np.ones(shape, np.float32)  # share of the sun that no shadow takes
        self._normal = np.zeros(shape, np.uint8)
        self._normals: list[tuple[float, float, float]] = [(0.0, 0.0, 0.0)]

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
        found = self._reach(corners)
        if found is None:
            return
        box, cover, xs, ys = found
        distance = self._distance(corners[0], normal, xs, ys)
        cover *= (distance < self.depth[box] + 0.02) & (distance > 0)
        solid = cover > 0.5
        painted = self._colour(colour, distance, xs, ys)
        self._blend(self.albedo[box], painted, cover)
        self._blend(self.glow[box], painted * np.float32(glow), cover)
        self.depth[box][solid] = distance[solid]
        self.gloss[box][solid] = gloss
        self.sunny[box][solid] = 1.0
        self._normal[box][solid] = self._normal_index(normal)

    def decal(self, corners: Points, colour: Colour | Texture, *, alpha: float = 1.0, soft: float = 1.0) -> None:
        """Paint on a surface that is there already and faces any way; `soft` is the width of its edge in pixels."""
        found = self._reach(corners, soft)
        if found is None:
            return
        box, cover, xs, ys = found
        normal = facing(corners)
        distance = self._distance(corners[0], normal, xs, ys)
        cover *= np.abs(distance - self.depth[box]) < 0.01 * distance + 0.04
        self._blend(self.albedo[box], self._colour(colour, distance, xs, ys), cover * np.float32(alpha))

    def glowing(self, corners: Points, colour: Colour, *, soft: float = 1.0) -> None:
        """Let a part of a surface shine by itself (a sign, a lamp's cover)."""
        found = self._reach(corners, soft)
        if found is not None:
            box, cover, _, _ = found
            self.glow[box] += cover[..., None] * np.array(colour, np.float32)

    def shadow(self, corners: Points, *, soft: float = 3.0, strength: float = 1.0) -> None:
        """Take the sun away from a part of the ground."""
        found = self._reach(corners, soft)
        if found is not None:
            box, cover, _, _ = found
            np.minimum(self.sunny[box], 1 - cover * np.float32(strength), out=self.sunny[box])

    def _reach(self, corners: Points, soft: float = 1.0) -> tuple[tuple[slice, slice], Floats, Floats, Floats] | None:
        seen = clip_near(self.lens.seen(corners))
        if len(seen) < 3:
            return None
        flat = self.lens.flat(seen)
        reach = window(flat, self.lens.width, self.lens.height, soft)
        if reach is None:
            return None
        x0, x1, y0, y1 = reach
        xs, ys = np.arange(x0, x1, dtype=np.float32) + 0.5, np.arange(y0, y1, dtype=np.float32) + 0.5
        return (slice(y0, y1), slice(x0, x1)), coverage(flat, xs, ys, soft), xs, ys

    def _distance(self, point: Points, normal: Points, xs: Floats, ys: Floats) -> Floats:
        """Along the axis to the plane, per pixel: n . (point - eye) / (n . ray)."""
        lens = self.lens
        across = float(normal @ lens.right) / lens.focal
        down = -float(normal @ lens.up) / lens.focal
        level = float(normal @ lens.forward) - across * lens.width / 2 - down * lens.height / 2
        slope = (xs * np.float32(across) + np.float32(level)) + (ys * np.float32(down))[:, None]
        gap = float(normal @ (point - lens.eye))
        # Away from the horizon of the plane, and on the side of it that the lens sees.
        np.minimum(slope, np.float32(-1e-6), out=slope) if gap < 0 else np.maximum(slope, np.float32(1e-6), out=slope)
        distance: Floats = np.float32(gap) / slope
        return distance

    def _colour(self, colour: Colour | Texture, distance: Floats, xs: Floats, ys: Floats) -> Floats:
        if callable(colour):
            return colour(self.lens.eye.astype(np.float32) + distance[..., None] * self.lens.rays(xs, ys))
        return np.array(colour, np.float32)

    @staticmethod
    def _blend(below: Floats, colour: Floats, cover: Floats) -> None:
        below += (colour - below) * cover[..., None]

    def _normal_index(self, normal: Points) -> int:
        key = (round(float(normal[0]), 2), round(float(normal[1]), 2), round(float(normal[2]), 2))
        if key not in self._normals:
            self._normals.append(key)
        return min(self._normals.index(key), 255)

    # ------------------------------------------------------------------------------------------------ lighting

    def lit(self, light: Light) -> NDArray[np.float32]:
        """The picture (height, width, 3) under a light, 0 to 1, ready for a display (gamma 2.2).

        Light changes slowly over a surface, so it is reckoned for every other pixel of every other line, and for those
        between that belong to another surface.
        """
        lens = self.lens
        rows, columns = (a.reshape(-1) for a in np.mgrid[: lens.height : 2, : lens.width : 2])
        coarse = self._reaching(rows, columns, light)
        out = np.empty((lens.height, lens.width, 3), np.float32)
        shine = np.empty_like(out)
        for whole, part in zip((out, shine), coarse, strict=True):
            whole[:] = _twice(part.reshape(lens.height // 2, lens.width // 2, 3))
        rows, columns = np.nonzero(self._strangers())
        out[rows, columns], shine[rows, columns] = self._reaching(rows, columns, light)
        out *= self.albedo
        out += shine
        out += self.glow * np.float32(light.glow)
        if (self.depth >= FAR).any():
            ys, xs = np.arange(lens.height, dtype=np.float32) + 0.5, np.arange(lens.width, dtype=np.float32) + 0.5
            top, horizon = (np.array(c, np.float32) for c in light.backdrop)
            rise = np.clip(lens.rays(xs, ys)[..., 2:] * 2.2, 0, 1) ** 0.7
            out += np.where((self.depth >= FAR)[..., None], horizon + (top - horizon) * rise, np.float32(0))
        out *= np.float32(light.exposure)
        return develop(out, mono=light.mono)

    def _strangers(self) -> NDArray[np.bool_]:
        """Pixels whose surface is not that of the one that stands for their two by two."""
        depth = self.depth[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
        normal = self._normal[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
        other: NDArray[np.bool_] = (normal != self._normal) | (np.abs(self.depth - depth) > 0.1 + 0.02 * depth)
        return other

    def _reaching(self, rows: NDArray[np.int64], columns: NDArray[np.int64], light: Light) -> tuple[Floats, Floats]:
        """Light that falls on pixels, and light that they throw back as a mirror would; both (N, 3)."""
        lens = self.lens
        across = ((columns + np.float32(0.5) - lens.width / 2) / lens.focal).astype(np.float32)[:, None]
        down = ((rows + np.float32(0.5) - lens.height / 2) / lens.focal).astype(np.float32)[:, None]
        axes = [axis.astype(np.float32) for axis in (lens.forward, lens.right, lens.up)]
        rays = axes[0] + across * axes[1] - down * axes[2]
        place = self.depth[rows, columns][:, None] * rays + lens.eye.astype(np.float32)
        normals = np.array(self._normals, np.float32)[self._normal[rows, columns]]
        half = normals[:, 2:] * 0.5 + 0.5
        reaching = half * np.array(light.sky, np.float32) + (1 - half) * np.array(light.ground, np.float32)
        shine = np.zeros_like(reaching)
        if any(light.sun):
            toward = unit(np.array(light.sun_from)).astype(np.float32)
            turned = np.clip(normals @ toward, 0, 1) * self.sunny[rows, columns]
            reaching += turned[:, None] * np.array(light.sun, np.float32)
        gloss = self.gloss[rows, columns]
        glossy = np.flatnonzero(gloss)
        view = -rays[glossy] / np.linalg.norm(rays[glossy], axis=-1, keepdims=True)
        for lamp in light.lamps:
            toward, strength = _from_lamp(lamp, place)
            turned = np.clip(np.einsum("ij,ij->i", toward, normals), 0, 1)
            colour = np.array(lamp.colour, np.float32)
            reaching += (turned * strength)[:, None] * colour
            middle = toward[glossy] + view
            middle /= np.linalg.norm(middle, axis=-1, keepdims=True) + np.float32(1e-6)
            glint = np.clip(np.einsum("ij,ij->i", middle, normals[glossy]), 0, 1)
            for _ in range(6):  # to the 64th power
                glint *= glint
            shine[glossy] += (glint * strength[glossy] * gloss[glossy])[:, None] * colour * np.float32(4)
        return reaching, shine

    def light_at(self, light: Light, point: Vector, *, sunny: float = 1.0) -> Floats:
        """How strongly somebody who stands there is lit: factors of red, green and blue for display values."""
        total = (np.array(light.sky) + np.array(light.ground)) * 0.5 + np.array(light.sun) * 0.5 * sunny
        for lamp in light.lamps:
            _, strength = _from_lamp(lamp, np.array([point], np.float32))
            total = total + np.array(lamp.colour) * float(strength[0]) * 0.55
        factors: Floats = (np.clip(total * light.exposure, 0.0, 1.6) ** (1 / 2.2)).astype(np.float32)
        return factors


def _from_lamp(lamp: Lamp, place: Floats) -> tuple[Floats, Floats]:
    """Directions to the lamp (N, 3) and how strongly it shines there (N), whichever way a surface faces."""
    toward = np.array(lamp.at, np.float32) - place
    square = np.einsum("ij,ij->i", toward, toward) + np.float32(0.05)
    toward /= np.sqrt(square)[:, None]
    strength = 1 / square
    if lamp.aim is not None:
        aim = unit(np.array(lamp.aim) - np.array(lamp.at)).astype(np.float32)
        dark, full = lamp.cone
        strength *= np.clip((-(toward @ aim) - np.float32(dark)) / np.float32(full - dark), 0, 1) ** 2
    return toward, strength


def _twice(plane: Floats) -> Floats:
    """Each pixel four times."""
    return plane.repeat(2, axis=0).repeat(2, axis=1)


def develop(linear: Floats, *, mono: bool = False) -> NDArray[np.float32]:
    """Linear light to display values: a soft shoulder, gamma, the lens's slight blur and fall-off to the corners."""
    if mono:
        linear = np.repeat(linear @ np.array([[0.4], [0.35], [0.25]], np.float32), 3, axis=2)
    shown = np.where(linear > 0.7, 1 - 0.3 * np.exp((0.7 - linear) / 0.3), linear)
    shown = np.clip(shown, 0, 1) ** np.float32(1 / 2.2)
    shown[:, 1:-1] = shown[:, 1:-1] * 0.5 + (shown[:, :-2] + shown[:, 2:]) * 0.25
    shown[1:-1] = shown[1:-1] * 0.5 + (shown[:-2] + shown[2:]) * 0.25
    height, width = shown.shape[:2]
    across = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    down = np.linspace(-1, 1, height, dtype=np.float32) ** 2
    shown *= (1 - 0.10 * (across[None, :] + down[:, None]))[..., None]
    developed: NDArray[np.float32] = shown
    return developed


def to_yuv(rgb: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Display values to BT.709 limited-range planes, chroma halved both ways."""
    red, green, blue = (rgb[..., i] for i in range(3))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def halved(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) * 0.25

    small = halved(luma)
    u = 128 + (halved(blue) - small) * np.float32(112 / 0.9278)
    v = 128 + (halved(red) - small) * np.float32(112 / 0.7874)
    planes = (16 + 219 * luma, u, v)
    y8, u8, v8 = (np.clip(np.rint(plane), 16, 240).astype(np.uint8) for plane in planes)
    return y8, u8, v8
