# SPDX-License-Identifier: Apache-2.0
"""What every scene is: a stage, three lights, and who is where when."""

from __future__ import annotations

import zlib
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

import msgspec
import numpy as np

from closedcircuit.pretend.car import Car
from closedcircuit.pretend.figure import Look, Pose
from closedcircuit.pretend.lens import Lens, Vector
from closedcircuit.pretend.stage import Light, Stage

STRIDE_M = 1.38
"""Metres of two steps."""
PHASES = 10
"""Pictures of a stride: eight a second at walking speed."""


class Actor(msgspec.Struct, frozen=True):
    """Somebody at a moment."""

    look: Look
    pose: Pose
    at: Vector
    heading: float  # radians, 0 = +x
    posed_at: Vector | None = None  # where the present phase of the walk began, so that a picture lasts for a phase


class Prop(msgspec.Struct, frozen=True):
    """A packet that somebody moves."""

    at: Vector  # middle of its underside
    size: Vector
    paint: str


class Cast(msgspec.Struct, frozen=True):
    """All that moves in a scene at a moment."""

    people: tuple[Actor, ...] = ()
    cars: tuple[Car, ...] = ()
    props: tuple[Prop, ...] = ()
    cat: tuple[float, float, float, float] | None = None  # x, y, heading, phase of its walk
    rain: float = 0.0  # 0 to 1
    torch: tuple[float, float, float] | None = None  # where a torch's beam falls: x, y on the ground, strength


class Scene(Protocol):
    """One camera's view. `cast` is a function of its arguments: the same moment is the same again."""

    sun: Vector
    """Where the light that shades moving things comes from."""

    def lens(self, size: tuple[int, int]) -> Lens:
        """Where the camera hangs."""

    def stage(self, size: tuple[int, int]) -> Stage:
        """Paint what stands still; takes a few tenths of a second."""

    def light(self, name: str) -> Light:
        """The light of "day", "dusk" or "night"."""

    def cast(self, elapsed_s: float, night: float) -> Cast:
        """Who is there; `night` is 0 by day, 1 by night."""


class Stop(msgspec.Struct, frozen=True):
    """A point of a walk, and what is done there."""

    x: float
    y: float
    stay_s: float = 0.0
    face: float | None = None  # heading while there
    reach: float = 0.0  # of the right arm while there


class Walk:
    """A way through a scene, as a function of the seconds since it began."""

    def __init__(self, stops: tuple[Stop, ...], speed: float = 1.15) -> None:
        self._stops, self._speed = stops, speed
        self._legs: list[tuple[float, float, Stop, Stop]] = []  # begins walking, arrives, from, to
        now = stops[0].stay_s
        for a, b in pairwise(stops):
            took = float(np.hypot(b.x - a.x, b.y - a.y)) / speed
            self._legs.append((now, now + took, a, b))
            now += took + b.stay_s
        self.length_s = now

    def _place(self, t: float) -> tuple[float, float, float]:
        """x, y and metres walked."""
        walked = 0.0
        x, y = self._stops[0].x, self._stops[0].y
        for begins, arrives, a, b in self._legs:
            if t <= begins:
                break
            share = min(1.0, (t - begins) / max(arrives - begins, 1e-6))
            x, y = a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share
            walked += share * (arrives - begins) * self._speed
        return x, y, walked

    def _staying(self, t: float) -> tuple[Stop | None, float]:
        """Where somebody stands still at t, and for how long already."""
        if t < self._stops[0].stay_s:
            return self._stops[0], t
        for i, (_, arrives, _, b) in enumerate(self._legs):
            leaves = self._legs[i + 1][0] if i + 1 < len(self._legs) else self.length_s
            if arrives <= t < leaves:
                return b, min(t - arrives, leaves - t)
        return None, 0.0

    def at(self, t: float, look: Look) -> Actor | None:
        """Who walks here, t seconds after the beginning; None before and after."""
        if not 0.0 <= t < self.length_s:
            return None
        x, y, walked = self._place(t)
        x0, y0, before = self._place(t - 0.3)
        x1, y1, after = self._place(t + 0.3)
        stride = min(1.0, (after - before) / (0.6 * self._speed))
        heading = float(np.arctan2(y1 - y0, x1 - x0)) if stride > 0.02 else 0.0
        stop, since = self._staying(t)
        reach = 0.0
        if stop is not None:
            turned = min(1.0, since / 0.5)
            if stop.face is not None:
                base = heading if stride > 0.02 else stop.face
                heading = base + _turn(base, stop.face) * turned
            elif stride <= 0.02:
                heading = self._heading_into(stop)
            reach = stop.reach * min(1.0, max(0.0, since - 0.4) / 0.5) * (0.72 + 0.28 * float(np.sin(t * 2.1)))
        phase = int(walked / STRIDE_M * PHASES) if stride > 0.02 else round(walked / STRIDE_M * PHASES)
        x2, y2, _ = (
            self._place(t - (walked - phase * STRIDE_M / PHASES) / self._speed) if stride > 0.02 else (x, y, 0.0)
        )
        return Actor(look, Pose(phase / PHASES % 1.0, stride, reach), (x, y, 0.0), heading, (x2, y2, 0.0))

    def _heading_into(self, stop: Stop) -> float:
        for _, _, a, b in self._legs:
            if b is stop:
                return float(np.arctan2(b.y - a.y, b.x - a.x))
        return 0.0


def _turn(a: float, b: float) -> float:
    """The short way round from heading a to b."""
    return float((b - a + np.pi) % (2 * np.pi) - np.pi)


def dice(*parts: object) -> np.random.Generator:
    """A generator that is the same for the same parts."""
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


_SKIN = ("#d8a988", "#c08e6a", "#8d5a3b", "#e2b796", "#6b4430")
_HAIR = ("#2b1d14", "#4a3120", "#8a6238", "#16120f", "#9b9690", "#6b2f1a")
_TOPS = ("#7c2f2f", "#2f4f7c", "#4f6b3a", "#b8a88a", "#30343c", "#8a5a2e", "#d9d6cf", "#5a3a63", "#c2762c", "#3f7f86")
_LEGS = ("#27303f", "#3f4f6f", "#2b2b2e", "#6b5a44", "#4a4f57")


@lru_cache(maxsize=128)
def anybody(*seed: object) -> Look:
    """A passer-by, one of fourteen regulars; the same one for the same seed."""
    d = dice("look", seed[0], zlib.crc32(repr(seed).encode()) % 14)

    def pick(choices: tuple[str, ...]) -> str:
        return choices[int(d.integers(len(choices)))]

    extra = int(d.integers(8))
    return Look(
        tall=float(np.round(d.normal(1.72, 0.07), 2)),
        broad=float(np.round(d.uniform(0.92, 1.14), 2)),
        skin=pick(_SKIN),
        hair=pick(_HAIR),
        long_hair=bool(d.integers(2)),
        top=pick(_TOPS),
        legs=pick(_LEGS),
        coat=extra == 0,
        bag=pick(_TOPS) if extra in (1, 2, 3) else "",
        pack=pick(_TOPS) if extra == 4 else "",
        cap=pick(_TOPS) if extra == 5 else "",
    )
