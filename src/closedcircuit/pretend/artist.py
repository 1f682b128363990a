# SPDX-License-Identifier: Apache-2.0
"""One camera's pictures: the scene in today's light, its people, the sensor's noise, the burnt-in line and the strip.

A picture costs a few milliseconds: the background is planes that are ready (and blended anew only while the light
changes), people are cut-outs that are kept, and all arithmetic is on small integers.
"""

from __future__ import annotations

import threading
import zlib
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from closedcircuit.base import TICKS
from closedcircuit.media.encode import Picture
from closedcircuit.pretend.bar import bar_height, draw_bar
from closedcircuit.pretend.car import Car, Cars, packet
from closedcircuit.pretend.daylight import daylight
from closedcircuit.pretend.figure import Figures
from closedcircuit.pretend.lens import Vector, coverage, window
from closedcircuit.pretend.lettering import text_width, write
from closedcircuit.pretend.scene import Actor, Cast, Prop, Scene
from closedcircuit.pretend.sprites import Board, Tint
from closedcircuit.pretend.stage import to_yuv

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

_NAMES = ("day", "dusk", "night")
_NOISE_SPARE = 64
_LIGHT_STEPS_S = 0.5


class SceneArtist:
    """Draws one scene. Belongs to one thread; a second one paints dusk and night while the first draws the day."""

    def __init__(self, scene: Scene, name: str, size: tuple[int, int], began_90k: int) -> None:
        self._scene, self._name, self._size, self._began_90k = scene, name.upper(), size, began_90k
        self._backgrounds: dict[str, Planes] = {}  # each written once, whole, by whoever painted it
        self._painting = threading.Lock()
        self._prepared = False

    def prepare(self) -> None:
        """Paint the background in the present light; the others follow in a thread of their own."""
        self._stage = self._scene.stage(self._size)
        self._figures = Figures(self._stage.lens)
        self._cars = Cars(self._stage.lens, self._scene.sun)
        self._lights = {name: self._scene.light(name) for name in _NAMES}
        self._depth = self._stage.depth.astype(np.float16)
        self._noise = self._make_noise()
        self._board = Board(self._size)
        self._blended: tuple[tuple[int, int, int], Planes] | None = None
        self._prepared = True

    def _make_noise(self) -> NDArray[np.uint8]:
        """Signed noise as bytes that wrap: adding it to 16..235 neither over- nor underflows."""
        width, height = self._size
        random = np.random.default_rng(zlib.crc32(self._name.encode()))
        noise = random.normal(0.0, 1.3, (height // 2 + _NOISE_SPARE, width + _NOISE_SPARE))
        wrapped: NDArray[np.uint8] = np.clip(np.rint(noise), -4, 4).astype(np.int8).view(np.uint8)
        return wrapped

    def _background(self, name: str) -> Planes:
        with self._painting:
            if name not in self._backgrounds:
                y, u, v = to_yuv(self._stage.lit(self._lights[name]))
                strip = bar_height(self._size[1])
                u[-strip // 2 :] = v[-strip // 2 :] = 128
                self._backgrounds[name] = (y, u, v)
            return self._backgrounds[name]

    def _lit(self, shares: tuple[float, float, float]) -> Planes:
        steps = tuple(round(share * 256) for share in shares)
        needed = [(name, step) for name, step in zip(_NAMES, steps, strict=True) if step]
        if len(needed) == 1:
            return self._background(needed[0][0])
        key = (steps[0], steps[1], steps[2])
        if self._blended is None or self._blended[0] != key:
            (a, a_share), (b, _) = needed[0], needed[1]
            first, second = self._background(a), self._background(b)
            mixed = [_mix(p, q, a_share) for p, q in zip(first, second, strict=True)]
            self._blended = (key, (mixed[0], mixed[1], mixed[2]))
        return self._blended[1]

    def draw(self, frame: int, now_90k: int) -> Picture:
        """The picture of this moment."""
        if not self._prepared:
            self.prepare()
        elapsed_s = (now_90k - self._began_90k) / TICKS
        shares = daylight(elapsed_s // _LIGHT_STEPS_S * _LIGHT_STEPS_S)
        picture = Picture(*self._size)
        y, u, v = self._lit(shares)
        picture.y[:], picture.u[:], picture.v[:] = y, u, v
        cast = self._scene.cast(elapsed_s, shares[2] + 0.4 * shares[1])
        if cast.torch is not None:
            self._torch(picture, cast.torch)
        self._movers(picture, cast, shares)
        if cast.rain > 0:
            self._board.rain(picture.y, frame, cast.rain)
        self._grain(picture.y, frame, shares[2])
        self._line(picture.y, frame, now_90k)
        draw_bar(picture.y, frame, now_90k // 90)
        return picture

    def _torch(self, picture: Picture, spot: tuple[float, float, float]) -> None:
        """A torch's beam on the ground: the scene by day shows through."""
        turns = np.linspace(0, 2 * np.pi, 17)[:-1]
        ring = np.stack([spot[0] + 0.9 * np.cos(turns), spot[1] + 0.9 * np.sin(turns), np.zeros(16)], axis=1)
        flat, away = self._stage.lens.project(ring)
        if away.min() < 0.5:
            return
        reach = window(flat, *self._size, 30.0)
        if reach is None:
            return
        x0, x1, y0, y1 = reach
        xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)
        soft = max(6.0, float(np.ptp(flat[:, 1])) * 0.45)
        mask = coverage(flat, xs, ys, soft) * np.float32(0.55 * spot[2])
        self._board.beam(picture, self._background("day"), mask, (x0, y0))

    def _movers(self, picture: Picture, cast: Cast, shares: tuple[float, float, float]) -> None:
        """People and cars, the farthest first."""
        eye = self._stage.lens.eye
        for car in cast.cars:
            if car.lights:
                self._headlights(picture, car)

        def far(mover: Actor | Car) -> float:
            x, y = (mover.at[0], mover.at[1]) if isinstance(mover, Actor) else (mover.x, mover.y)
            return -float(np.hypot(x - eye[0], y - eye[1]))

        if cast.cat is not None:
            self._cat(picture, cast.cat, shares)
        for mover in sorted((*cast.people, *cast.cars), key=far):
            if isinstance(mover, Actor):
                self._person(picture, mover, shares)
            else:
                self._car(picture, mover, shares)
        for prop in cast.props:
            self._prop(picture, prop, shares)

    def _car(self, picture: Picture, car: Car, shares: tuple[float, float, float]) -> None:
        cut = self._cars.cut(car)
        if cut is None:
            return
        self._board.darken(picture, cut.shadow, cut.corner, self._depth, cut.distance)
        tint = self._tint((car.x, car.y, 1.0), shares)
        self._board.put(picture, cut.sprite, cut.at, self._depth, (cut.distance, cut.distance), tint)
        for place, strength in self._cars.lamps(car):
            self._board.shine(picture, place, strength, red=False)

    def _cat(
        self, picture: Picture, cat: tuple[float, float, float, float], shares: tuple[float, float, float]
    ) -> None:
        at = (cat[0], cat[1], 0.0)
        flat, away = self._stage.lens.project(np.array([at]))
        if away[0] < 1.0:
            return
        sprite = self._figures.cat(at, cat[2], cat[3])
        where, distance = (round(float(flat[0, 0])), round(float(flat[0, 1]))), float(away[0])
        self._board.foot_shadow(picture, where, sprite.y.shape[1], self._depth, distance)
        self._board.put(
            picture, sprite, where, self._depth, (distance, distance), self._tint((cat[0], cat[1], 0.3), shares)
        )

    def _prop(self, picture: Picture, prop: Prop, shares: tuple[float, float, float]) -> None:
        sprite = packet(self._stage.lens, prop.at, prop.size, prop.paint)
        if sprite is not None:
            flat, away = self._stage.lens.project(np.array([prop.at]))
            where, distance = (round(float(flat[0, 0])), round(float(flat[0, 1]))), float(away[0])
            self._board.put(picture, sprite, where, self._depth, (distance, distance), self._tint(prop.at, shares))

    def _headlights(self, picture: Picture, car: Car) -> None:
        found = self._cars.beam(car)
        if found is not None:
            mask, corner = found
            self._board.beam(picture, self._background("day"), mask, corner)

    def _person(self, picture: Picture, actor: Actor, shares: tuple[float, float, float]) -> None:
        flat, away = self._stage.lens.project(np.array([actor.at, (actor.at[0], actor.at[1], actor.look.tall)]))
        if away.min() < 0.8:
            return
        sprite, _ = self._figures.sprite(actor.look, actor.pose, actor.at, actor.heading)
        tint = self._tint((actor.at[0], actor.at[1], 1.2), shares)
        where = (round(float(flat[0, 0])), round(float(flat[0, 1])))
        self._board.foot_shadow(picture, where, sprite.y.shape[1], self._depth, float(away[0]))
        self._board.put(picture, sprite, where, self._depth, (float(away[1]), float(away[0])), tint)

    def _tint(self, place: Vector, shares: tuple[float, float, float]) -> Tint:
        total = np.zeros(3, np.float32)
        for name, share in zip(_NAMES, shares, strict=True):
            if share > 0:
                total += self._stage.light_at(self._lights[name], place) * np.float32(share)
        mono = shares[2] > 0.5 and self._lights["night"].mono
        return Tint.of(total, mono=mono)

    def _grain(self, y: NDArray[np.uint8], frame: int, night: float) -> None:
        """Noise on half of the lines by day (the camera's own filter took the rest), on all at night."""
        height, width = y.shape
        x, top = frame * 37 % _NOISE_SPARE, frame * 23 % _NOISE_SPARE
        part = self._noise[top : top + height // 2, x : x + width]
        upper = frame % 2 == 0
        if night > 0.3 or upper:
            np.add(y[: height // 2], part, out=y[: height // 2])
        if night > 0.3 or not upper:
            np.add(y[height // 2 : height // 2 * 2], part, out=y[height // 2 : height // 2 * 2])

    def _line(self, y: NDArray[np.uint8], frame: int, now_90k: int) -> None:
        """Date, local time to a tenth, the camera's name, the frame's number."""
        tall = max(18, self._size[1] // 24)
        margin = tall // 2
        local = datetime.fromtimestamp(now_90k // TICKS, UTC).astimezone()
        after = write(y, f"{local:%Y-%m-%d %H:%M:%S}.", (margin, margin), tall)
        write(y, str(now_90k % TICKS * 10 // TICKS), (after, margin), tall)
        write(y, self._name, (self._size[0] - margin - text_width(self._name, tall), margin), tall)
        foot = self._size[1] - bar_height(self._size[1]) - tall - margin // 2
        number = f"{frame:08d}"
        after = write(y, number[:-2], (margin, foot), tall)
        write(y, number[-2:], (after, foot), tall)

    def smaller(self, picture: Picture, width: int, height: int) -> Picture:
        """The same for the substream, with a strip of its own."""
        made = picture.shrunk(width, height)
        strip = bar_height(height)
        cells = picture.y[-3, (np.arange(width) * picture.y.shape[1] // width)]
        made.y[-strip:] = cells
        made.u[-strip // 2 :] = made.v[-strip // 2 :] = 128
        return made


def _mix(a: NDArray[np.uint8], b: NDArray[np.uint8], share: int) -> NDArray[np.uint8]:
    """`share` of 256 parts of a, the rest of b."""
    mixed: NDArray[np.uint16] = a * np.uint16(share) + b * np.uint16(256 - share)
    return (mixed >> 8).astype(np.uint8)
