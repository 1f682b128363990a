# SPDX-License-Identifier: Apache-2.0
"""One camera's pictures: the scene in today's light, its people, the sensor's noise, the burnt-in line and the strip.

A picture costs a few milliseconds: the background is planes that are ready (and blended anew only while the light
changes), people are cut-outs that are kept, and all arithmetic is on small integers.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from closedcircuit.base import TICKS
from closedcircuit.media.encode import Picture
from closedcircuit.pretend.backdrop import NAMES, Backdrop, Easel
from closedcircuit.pretend.bar import bar_height, draw_bar
from closedcircuit.pretend.car import Car, Cars, packet
from closedcircuit.pretend.daylight import daylight
from closedcircuit.pretend.figure import Figures
from closedcircuit.pretend.lens import Points, Vector, coverage, window
from closedcircuit.pretend.lettering import text_width, write
from closedcircuit.pretend.scene import Actor, Cast, Prop, Scene
from closedcircuit.pretend.sprites import Board, Tint
from closedcircuit.pretend.stage import light_at

_NOISE_SPARE = 64
_LIGHT_STEP_S = 0.5

Shares = tuple[float, float, float]
"""How much of the light is day, dusk and night."""


class SceneArtist:
    """Draws one scene. Belongs to one thread (`Backdrop` has a second one of its own)."""

    def __init__(
        self, scene: Scene, name: str, size: tuple[int, int], began_90k: int, easel: Easel | None = None
    ) -> None:
        self._scene, self._name, self._size, self._began_90k = scene, name.upper(), size, began_90k
        self._lens = scene.lens(size)
        self._backdrop = Backdrop(scene, size, easel)
        self._figures = Figures(self._lens)
        self._cars = Cars(self._lens, scene.sun)
        self._board = Board(size)
        self._tints: dict[tuple[int, int, int, Shares], Tint] = {}

    def prepare(self, *, coarse: bool = True) -> None:
        """Paint the background; `coarse`: quickly, and sharper within seconds."""
        self._noise = self._make_noise()
        self._backdrop.prepare("day", coarse=coarse)

    def close(self) -> None:
        """End the painting."""
        self._backdrop.close()

    def _make_noise(self) -> NDArray[np.uint8]:
        """Signed noise as bytes that wrap: adding it to 16..235 neither over- nor underflows."""
        width, height = self._size
        random = np.random.default_rng(zlib.crc32(self._name.encode()))
        noise = random.normal(0.0, 1.3, (height // 2 + _NOISE_SPARE, width + _NOISE_SPARE))
        wrapped: NDArray[np.uint8] = np.clip(np.rint(noise), -4, 4).astype(np.int8).view(np.uint8)
        return wrapped

    # ------------------------------------------------------------------------------------------------ a picture

    def draw(self, frame: int, now_90k: int) -> Picture:
        """The picture of this moment."""
        elapsed_s = (now_90k - self._began_90k) / TICKS
        shares = daylight(elapsed_s // _LIGHT_STEP_S * _LIGHT_STEP_S)
        picture = Picture(*self._size)
        picture.y[:], picture.u[:], picture.v[:] = self._backdrop.planes(shares)
        cast = self._scene.cast(elapsed_s, shares[2] + 0.4 * shares[1])
        self._perform(picture, cast, shares)
        if cast.rain > 0:
            self._board.rain(picture.y, frame, cast.rain)
        self._grain(picture.y, frame, shares[2])
        self._burn_in(picture.y, frame, now_90k)
        draw_bar(picture.y, frame, now_90k // 90)
        return picture

    def smaller(self, picture: Picture, width: int, height: int) -> Picture:
        """The same for the substream, its strip cell for cell."""
        made = picture.resized(width, height)
        strip = bar_height(height)
        made.y[-strip:] = picture.y[-3, (np.arange(width) * picture.y.shape[1] // width)]
        for plane in (made.u, made.v):
            plane[-(strip // 2) :] = 128
        return made

    def _grain(self, y: NDArray[np.uint8], frame: int, night: float) -> None:
        """Noise on one half of the picture after the other by day, on all of it at night."""
        height, width = y.shape
        x, top = frame * 37 % _NOISE_SPARE, frame * 23 % _NOISE_SPARE
        part = self._noise[top : top + height // 2, x : x + width]
        for half, rows in enumerate((slice(0, height // 2), slice(height // 2, height // 2 * 2))):
            if night > 0.3 or frame % 2 == half:
                np.add(y[rows], part, out=y[rows])

    def _burn_in(self, y: NDArray[np.uint8], frame: int, now_90k: int) -> None:
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

    # ------------------------------------------------------------------------------------------------ what moves

    def _perform(self, picture: Picture, cast: Cast, shares: Shares) -> None:
        """People, cars, packets and the cat, the farthest first."""
        for car in cast.cars:
            if car.lights:
                self._headlights(picture, car)
        if cast.torch is not None:
            self._torch(picture, cast.torch)
        if cast.cat is not None:
            self._cat(picture, cast.cat, shares)
        movers: list[Actor | Car | Prop] = [*cast.people, *cast.cars, *cast.props]
        for mover in sorted(movers, key=self._nearness):
            if isinstance(mover, Actor):
                self._person(picture, mover, shares)
            elif isinstance(mover, Car):
                self._car(picture, mover, shares)
            else:
                self._prop(picture, mover, shares)

    def _nearness(self, mover: Actor | Car | Prop) -> float:
        x, y = (mover.x, mover.y) if isinstance(mover, Car) else mover.at[:2]
        return -float(np.hypot(x - self._lens.eye[0], y - self._lens.eye[1]))

    def _pixel(self, at: Vector) -> tuple[tuple[int, int], float]:
        flat, away = self._lens.project(np.array([at]))
        distance = float(away[0])
        if distance < 0.8:
            return (0, 0), distance
        return (round(float(flat[0, 0])), round(float(flat[0, 1]))), distance

    def _person(self, picture: Picture, actor: Actor, shares: Shares) -> None:
        where, distance = self._pixel(actor.at)
        _, head = self._pixel((actor.at[0], actor.at[1], actor.look.tall))
        if min(distance, head) < 0.8:
            return
        sprite = self._figures.sprite(actor.look, actor.pose, actor.posed_at or actor.at, actor.heading)
        tint = self._tint((actor.at[0], actor.at[1], 1.2), shares)
        if any(self._backdrop.lights["day"].sun) and shares[0] > 0.3:
            self._long_shadow(picture, actor, shares[0])
        self._board.foot_shadow(picture, where, sprite.y.shape[1], self._backdrop.ground, distance)
        self._board.put(picture, sprite, where, self._backdrop.depth, (head, distance), tint)

    def _long_shadow(self, picture: Picture, actor: Actor, day: float) -> None:
        """Somebody's shadow in the sun, on level ground."""
        sun = self._scene.sun
        run = np.array((-sun[0] / sun[2], -sun[1] / sun[2], 0.0)) * actor.look.tall
        aside = np.array((-run[1], run[0], 0.0)) / max(float(np.hypot(run[0], run[1])), 1e-6) * 0.17
        foot = np.array((actor.at[0], actor.at[1], 0.0))
        outline = np.array(
            [foot - aside * 0.6, foot + run * 0.8 - aside, foot + run, foot + run * 0.8 + aside, foot + aside * 0.6]
        )
        found = self._outline(outline, 3.0)
        if found is not None:
            cover, corner, distance = found
            left = np.rint(256 - 105 * day * cover).astype(np.uint16)
            self._board.darken(picture, left, corner, self._backdrop.ground, distance)

    def _outline(self, corners: Points, soft: float) -> tuple[NDArray[np.float32], tuple[int, int], float] | None:
        """A patch on the ground: its mask, the mask's corner, the mean distance."""
        flat, away = self._lens.project(corners)
        reach = window(flat, *self._size, soft) if away.min() > 0.8 else None
        if reach is None:
            return None
        x0, x1, y0, y1 = reach
        xs, ys = np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32)
        return coverage(flat, xs, ys, soft), (x0, y0), float(away.mean())

    def _car(self, picture: Picture, car: Car, shares: Shares) -> None:
        cut = self._cars.cut(car)
        if cut is None:
            return
        depth = self._backdrop.depth
        self._board.darken(picture, cut.shadow, cut.corner, self._backdrop.ground, cut.distance)
        tint = self._tint((car.x, car.y, 1.0), shares)
        self._board.put(picture, cut.sprite, cut.at, depth, (cut.distance, cut.near - 0.5), tint)
        for place, strength in self._cars.lamps(car):
            self._board.shine(picture, place, strength)

    def _cat(self, picture: Picture, cat: tuple[float, float, float, float], shares: Shares) -> None:
        at = (cat[0], cat[1], 0.0)
        where, distance = self._pixel(at)
        if distance < 0.8:
            return
        sprite = self._figures.cat(at, cat[2], cat[3])
        self._board.foot_shadow(picture, where, sprite.y.shape[1], self._backdrop.ground, distance)
        tint = self._tint((cat[0], cat[1], 0.3), shares)
        self._board.put(picture, sprite, where, self._backdrop.depth, (distance, distance), tint)

    def _prop(self, picture: Picture, prop: Prop, shares: Shares) -> None:
        sprite = packet(self._lens, prop.at, prop.size, prop.paint)
        if sprite is not None:
            where, distance = self._pixel(prop.at)
            tint = self._tint(prop.at, shares)
            self._board.put(picture, sprite, where, self._backdrop.depth, (distance, distance), tint)

    def _headlights(self, picture: Picture, car: Car) -> None:
        found = self._cars.beam(car)
        if found is not None:
            mask, corner = found
            self._board.beam(picture, self._backdrop.bright(), mask, corner)

    def _torch(self, picture: Picture, spot: tuple[float, float, float]) -> None:
        """A torch's beam on the ground: the scene by day shows through."""
        turns = np.linspace(0, 2 * np.pi, 17)[:-1]
        ring = np.stack([spot[0] + 0.9 * np.cos(turns), spot[1] + 0.9 * np.sin(turns), np.zeros(16)], axis=1)
        found = self._outline(ring, 30.0)
        if found is not None:
            mask, corner, _ = found
            self._board.beam(picture, self._backdrop.bright(), mask * np.float32(0.6 * spot[2]), corner)

    def _tint(self, place: Vector, shares: Shares) -> Tint:
        """How the light of a place, to the half metre, changes a cut-out."""
        key = (round(place[0] * 2), round(place[1] * 2), round(place[2]), shares)
        kept = self._tints.get(key)
        if kept is None:
            total = np.zeros(3, np.float32)
            for name, share in zip(NAMES, shares, strict=True):
                if share > 0:
                    total += light_at(self._backdrop.lights[name], place) * np.float32(share)
            mono = shares[2] > 0.5 and self._backdrop.lights["night"].mono
            if len(self._tints) > 500:
                self._tints.clear()
            kept = self._tints[key] = Tint.of(total, mono=mono)
        return kept
