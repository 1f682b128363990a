# SPDX-License-Identifier: Apache-2.0
"""Cars: faces in metres, painted on a stage where they are parked for good, or cut out where they move."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.pretend.figure import Sprite, cut_out
from closedcircuit.pretend.lens import Floats, Lens, Points, coverage, facing, unit, window
from closedcircuit.pretend.stage import Stage, shade

LONG, WIDE, TALL = 4.2, 1.76, 1.46


class Car(msgspec.Struct, frozen=True):
    """A car at a moment: the middle of its footprint, where it faces (radians, 0 = +x)."""

    x: float
    y: float
    heading: float
    paint: str = "#7a2f2f"
    lights: bool = False
    braking: bool = False


class _Face(msgspec.Struct, frozen=True):
    corners: Points  # in the car's own axes: ahead, left, up
    colour: str
    glow: float = 0.0


_BELT, _ROOF = 0.86, 0.64  # half widths
_LOWER = (
    (-2.08, 0.36),
    (2.06, 0.36),
    (2.1, 0.62),
    (1.95, 0.72),
    (0.95, 0.92),
    (-1.75, 0.95),
    (-2.06, 0.86),
    (-2.1, 0.6),
)
_GLASS, _RUBBER = "#232d35", "#17181a"


def _at_side(points: tuple[tuple[float, float], ...], half: float, side: int, *, inset: float = 0.0) -> Points:
    """A side view at `half` metres from the middle, its corners anticlockwise from outside."""
    made = np.array([(x, side * (half + inset), z) for x, z in points])
    return made if side < 0 else made[::-1]


def _ring(x: float, z: float, radius: float, count: int = 16) -> tuple[tuple[float, float], ...]:
    turns = np.linspace(0, 2 * np.pi, count + 1)[:-1]
    return tuple((float(x + radius * np.cos(t)), float(z + radius * np.sin(t))) for t in turns)


def _across(a: tuple[float, float], b: tuple[float, float], half_a: float, half_b: float) -> Points:
    """A face right across the car from profile point a to b, seen from above or ahead."""
    return np.array([(b[0], half_b, b[1]), (b[0], -half_b, b[1]), (a[0], -half_a, a[1]), (a[0], half_a, a[1])])


def _faces(car: Car) -> list[_Face]:
    """In painting order: what is nearer to the eye of somebody above the car comes later."""
    paint = car.paint
    faces = [_Face(_at_side(_LOWER, _BELT, side), paint) for side in (-1, 1)]
    for side in (-1, 1):
        faces.append(
            _Face(
                _at_side(((-2.05, 0.36), (2.05, 0.36), (2.05, 0.46), (-2.05, 0.46)), _BELT, side, inset=0.005),
                "#26282b",
            )
        )
        faces.append(
            _Face(
                _at_side(((-0.42, 0.5), (-0.405, 0.5), (-0.405, 0.92), (-0.42, 0.92)), _BELT, side, inset=0.005),
                "#1d1d1f",
            )
        )
        for x in (-1.3, 1.32):
            faces.append(_Face(_at_side(_ring(x, 0.36, 0.39), _BELT, side, inset=0.004), "#101113"))
            faces.append(_Face(_at_side(_ring(x, 0.32, 0.32), _BELT, side, inset=0.008), _RUBBER))
            faces.append(_Face(_at_side(_ring(x, 0.32, 0.19), _BELT, side, inset=0.012), "#9a9da1"))
    faces += [
        _Face(_across((-2.08, 0.36), (-2.1, 0.6), _BELT, _BELT)[::-1], "#26282b"),
        _Face(_across((-2.1, 0.6), (-2.06, 0.86), _BELT, _BELT)[::-1], paint),
        _Face(_across((2.06, 0.36), (2.1, 0.62), _BELT, _BELT), "#2a2c2f"),
        _Face(_across((2.1, 0.62), (1.95, 0.72), _BELT, _BELT), paint),
        _Face(_across((1.95, 0.72), (0.95, 0.92), _BELT, _BELT), paint),
        _Face(_across((-2.06, 0.86), (-1.75, 0.95), _BELT, _BELT)[::-1], paint),
    ]
    faces += _lights(car)
    return faces + _cabin(paint)


def _lights(car: Car) -> list[_Face]:
    found = []
    for side in (-1.0, 1.0):
        inner, outer = side * 0.5, side * 0.82
        low, high = min(inner, outer), max(inner, outer)
        head = np.array([(2.105, high, 0.56), (2.105, low, 0.56), (2.03, low, 0.70), (2.03, high, 0.70)])
        tail = np.array([(-2.105, low, 0.62), (-2.105, high, 0.62), (-2.075, high, 0.80), (-2.075, low, 0.80)])
        found.append(_Face(head[::-1], "#fff6d8" if car.lights else "#c9ced2", 1.0 if car.lights else 0.0))
        found.append(
            _Face(
                tail, "#ff3322" if car.braking or car.lights else "#8c1f1a", 0.8 if car.braking or car.lights else 0.0
            )
        )
    plate = ((0.26, -0.26, 0.44), (0.26, -0.26, 0.55))
    for x, turn in ((2.108, -1), (-2.108, 1)):
        (left, right, low_z), (_, _, high_z) = plate
        corners = np.array([(x, left, low_z), (x, right, low_z), (x, right, high_z), (x, left, high_z)])
        found.append(_Face(corners[::turn], "#e6e2d0" if turn < 0 else "#d9b93a"))
    return found


def _cabin(paint: str) -> list[_Face]:
    faces = []
    outline = ((-1.72, _BELT, 0.94), (0.98, _BELT, 0.92), (0.28, _ROOF, TALL - 0.03), (-1.3, _ROOF, TALL - 0.06))
    for side in (-1.0, 1.0):
        shell = np.array([(x, side * y, z) for x, y, z in outline])
        faces.append(_Face(shell if side < 0 else shell[::-1], paint))
        for a, b, c, d in (
            ((-0.36, 0.97), (0.74, 0.97), (0.22, 1.36), (-0.36, 1.36)),
            ((-1.5, 0.99), (-0.46, 0.97), (-0.46, 1.36), (-1.22, 1.34)),
        ):
            pane = np.array(
                [(x, side * (_BELT - (z - 0.93) / (TALL - 0.97) * (_BELT - _ROOF) + 0.008), z) for x, z in (a, b, c, d)]
            )
            faces.append(_Face(pane if side < 0 else pane[::-1], _GLASS))
    faces.append(_Face(_across((0.98, 0.92), (0.28, TALL - 0.03), _BELT, _ROOF), _GLASS))
    faces.append(_Face(_across((-1.72, 0.94), (-1.3, TALL - 0.06), _BELT, _ROOF)[::-1], _GLASS))
    faces.append(_Face(_across((0.28, TALL - 0.03), (-0.3, TALL), _ROOF, _ROOF), paint))
    faces.append(_Face(_across((-0.3, TALL), (-1.3, TALL - 0.06), _ROOF, _ROOF), paint))
    return faces


def _placed(car: Car, points: Points) -> Points:
    ahead = np.array([np.cos(car.heading), np.sin(car.heading), 0.0])
    left = np.array([-np.sin(car.heading), np.cos(car.heading), 0.0])
    moved: Points = points @ np.stack([ahead, left, np.array([0.0, 0.0, 1.0])]) + np.array([car.x, car.y, 0.0])
    return moved


def footprint(car: Car, grow: float = 0.0) -> Points:
    """The rectangle on the ground."""
    x, y = LONG / 2 + grow, WIDE / 2 + grow
    return _placed(car, np.array([(-x, -y, 0.002), (x, -y, 0.002), (x, y, 0.002), (-x, y, 0.002)]))


def park(stage: Stage, car: Car, sun: tuple[float, float, float]) -> None:
    """Paint a car that stays, with its shadows."""
    for grow, alpha in ((0.25, 0.2), (0.05, 0.45)):
        stage.decal(footprint(car, grow), (0.004, 0.004, 0.004), alpha=alpha, soft=5.0)
    away = -np.array([sun[0], sun[1], 0.0]) / sun[2]
    for tall in (0.5, 1.0, 1.35):
        stage.shadow(footprint(car, -0.1 if tall > 1 else 0.0) + away * tall, soft=3.0)
    for face in _faces(car):
        gloss = 0.25 if face.colour in (car.paint, _GLASS) else 0.0
        stage.face(_placed(car, face.corners), shade(face.colour), gloss=gloss, glow=face.glow)


def packet(lens: Lens, at: tuple[float, float, float], size: tuple[float, float, float], paint: str) -> Sprite | None:
    """A small box, cut out."""
    x, y, z = (n / 2 for n in size)
    x0, x1, y0, y1, z0, z1 = at[0] - x, at[0] + x, at[1] - y, at[1] + y, at[2], at[2] + 2 * z
    sides = (
        (((x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)), 0.72),
        (((x1, y0, z0), (x1, y1, z0), (x1, y1, z1), (x1, y0, z1)), 0.85),
        (((x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)), 1.0),
    )
    flat, away = lens.project(np.array([*(corner for corners, _ in sides for corner in corners), at]))
    if away.min() < 0.5:
        return None
    origin = np.floor(flat.min(axis=0)) - 2
    origin -= origin % 2
    width, height = (int(n + n % 2) for n in np.ceil(flat.max(axis=0)) + 2 - origin)
    rgb, alpha = np.zeros((3, height, width), np.float32), np.zeros((height, width), np.float32)
    colour = np.array([int(paint[i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
    for i, (_, tone) in enumerate(sides):
        Cars.fill(rgb, alpha, flat[4 * i : 4 * i + 4] - origin, colour * np.float32(tone))
    foot = flat[-1] - origin
    return cut_out(rgb, alpha, (round(float(foot[0])), round(float(foot[1]))))


class CutCar(msgspec.Struct, frozen=True):
    """A car ready to paste: its sprite, its shadow on the ground and that one's corner."""

    sprite: Sprite
    at: tuple[int, int]
    shadow: NDArray[np.uint16]  # light left, of 256
    corner: tuple[int, int]
    distance: float  # of its middle
    near: float  # of its nearest part


class _Shape(msgspec.Struct, frozen=True):
    """All faces of a kind of car, ready to be placed at once."""

    faces: tuple[_Face, ...]
    corners: Points
    starts: tuple[int, ...]  # of each face in `corners`, and the end


@lru_cache(maxsize=64)
def _shape(paint: str, lights: bool, braking: bool) -> _Shape:
    faces = tuple(_faces(Car(0.0, 0.0, 0.0, paint, lights, braking)))
    starts = np.cumsum([0, *(len(face.corners) for face in faces)])
    return _Shape(faces, np.vstack([face.corners for face in faces]), tuple(int(n) for n in starts))


class Cars:
    """Cuts cars out for one lens and keeps a few. Belongs to one thread."""

    def __init__(self, lens: Lens, sun: tuple[float, float, float], keep: int = 160) -> None:
        self._lens, self._sun, self._keep = lens, unit(np.array(sun)), keep
        self._kept: OrderedDict[Car, CutCar] = OrderedDict()

    def cut(self, car: Car) -> CutCar | None:
        """The car as the lens sees it; None where it is outside the picture or too near.

        A distant car keeps its shape for a metre, and is moved as a picture meanwhile.
        """
        flat, away = self._lens.project(np.array([(car.x, car.y, 0.0)]))
        distance = float(away[0])
        if distance < 2.0:
            return None
        grid = 3.0 if distance > 24 else 0.05
        settled = msgspec.structs.replace(
            car, x=round(car.x / grid) * grid, y=round(car.y, 2), heading=round(car.heading, 3)
        )
        kept = self._kept.get(settled)
        if kept is None:
            made = self._draw(settled)
            if made is None:
                return None
            kept = self._kept[settled] = made
            if len(self._kept) > self._keep:
                self._kept.popitem(last=False)
        at = (round(float(flat[0, 0])), round(float(flat[0, 1])))
        corner = (kept.corner[0] + at[0] - kept.at[0], kept.corner[1] + at[1] - kept.at[1])
        return CutCar(kept.sprite, at, kept.shadow, corner, distance, kept.near + distance - kept.distance)

    def lamps(self, car: Car) -> list[tuple[tuple[int, int], float]]:
        """Pixels and strengths of the headlights that shine into the lens."""
        if not car.lights:
            return []
        ends = _placed(car, np.array([(2.1, 0.66, 0.63), (2.1, -0.66, 0.63)]))
        ahead = np.array([np.cos(car.heading), np.sin(car.heading), 0.0])
        toward = float(unit(self._lens.eye - ends[0]) @ ahead)
        flat, away = self._lens.project(ends)
        if toward < 0.1 or away.min() < 1.0:
            return []
        return [((round(float(x)), round(float(y))), toward * min(1.6, 14.0 / float(away[0]))) for x, y in flat]

    def beam(self, car: Car) -> tuple[Floats, tuple[int, int]] | None:
        """Where the headlights fall on the ground: a mask, 0 to 1, and its corner."""
        cone = _placed(car, np.array([(2.2, 0.75, 0.0), (2.2, -0.75, 0.0), (9.5, -2.3, 0.0), (9.5, 2.3, 0.0)]))
        flat, away = self._lens.project(cone)
        reach = window(flat, self._lens.width, self._lens.height, 8.0) if away.min() > 1.0 else None
        if reach is None:
            return None
        x0, x1, y0, y1 = reach
        xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)
        mask = coverage(flat, xs, ys, max(6.0, 300.0 / float(away.min())))
        near, far = flat[:2].mean(axis=0), flat[2:].mean(axis=0)
        run = far - near
        along = ((xs - near[0]) * run[0])[None, :] + ((ys - near[1]) * run[1])[:, None]
        mask *= np.clip(0.62 - 0.5 * along / float(run @ run), 0.06, 0.62).astype(np.float32)
        return mask, (x0, y0)

    def _draw(self, car: Car) -> CutCar | None:
        shape = _shape(car.paint, car.lights, car.braking)
        placed = _placed(car, shape.corners)
        flat, away = self._lens.project(np.vstack([placed, [(car.x, car.y, 0.0)]]))
        if away.min() < 1.0 or window(flat, self._lens.width, self._lens.height) is None:
            return None
        low = np.floor(flat[:-1].min(axis=0)) - 2
        low -= low % 2
        width, height = (int(n + n % 2) for n in np.ceil(flat[:-1].max(axis=0)) + 2 - low)
        rgb, alpha = np.zeros((3, height, width), np.float32), np.zeros((height, width), np.float32)
        flat -= low
        for face, first, last in zip(shape.faces, shape.starts, shape.starts[1:], strict=False):
            normal = facing(placed[first:last])
            seen = flat[first:last]
            if float(normal @ (self._lens.eye - placed[first])) > 0 and float(np.ptp(seen, axis=0).max()) > 1.5:
                self.fill(rgb, alpha, seen, self._toned(face, normal))
        foot = (round(float(flat[-1, 0])), round(float(flat[-1, 1])))
        shadow, corner = self._shadow(car)
        at = (foot[0] + int(low[0]), foot[1] + int(low[1]))
        return CutCar(cut_out(rgb, alpha, foot), at, shadow, corner, float(away[-1]), float(away.min()))

    def _toned(self, face: _Face, normal: Points) -> Floats:
        tone = 0.50 + 0.26 * max(0.0, float(normal[2])) + 0.30 * max(0.0, float(normal @ self._sun))
        if face.colour == _GLASS:
            tone += 0.35 * max(0.0, float(normal[2]))  # the sky in it
        if face.glow:
            tone = 1.6
        red, green, blue = (min(1.0, int(face.colour[i : i + 2], 16) / 255 * tone) for i in (1, 3, 5))
        return np.array((red, green, blue), np.float32)

    @staticmethod
    def fill(rgb: Floats, alpha: Floats, corners: Points, colour: Floats) -> None:
        """Paint a convex polygon, a bit enlarged: no seams between neighbours. `rgb` is (3, rows, columns)."""
        middle = corners.mean(axis=0)
        size = max(4.0, float((corners.max(axis=0) - corners.min(axis=0)).max()))
        corners = middle + (corners - middle) * (1 + 0.9 / size)
        reach = window(corners, alpha.shape[1], alpha.shape[0])
        if reach is None:
            return
        x0, x1, y0, y1 = reach
        cover = coverage(corners, np.arange(x0, x1, dtype=np.float32) + 0.5, np.arange(y0, y1, dtype=np.float32) + 0.5)
        place = rgb[:, y0:y1, x0:x1]
        place += (colour[:, None, None] - place) * cover
        alpha[y0:y1, x0:x1] += (1 - alpha[y0:y1, x0:x1]) * cover

    def _shadow(self, car: Car) -> tuple[NDArray[np.uint16], tuple[int, int]]:
        flat, _ = self._lens.project(footprint(car, 0.12))
        reach = window(flat, self._lens.width, self._lens.height, 8.0)
        if reach is None:
            return np.zeros((0, 0), np.uint16), (0, 0)
        x0, x1, y0, y1 = reach
        cover = coverage(flat, np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32), 7.0)
        return np.rint(256 - 135 * cover).astype(np.uint16), (x0, y0)
