# SPDX-License-Identifier: Apache-2.0
"""The till: customers queue, put things on the counter, pay; the cashier scans. Closed at night, one lamp on."""

from __future__ import annotations

import numpy as np

from closedcircuit.pretend.figure import Look, Pose
from closedcircuit.pretend.lens import Lens
from closedcircuit.pretend.props import GOODS, box, contact, floor, quad, shelves, sign, sign_width, tiles
from closedcircuit.pretend.scene import Actor, Cast, Prop, Stop, Walk, anybody, dice
from closedcircuit.pretend.stage import Lamp, Light, Stage, shade

_CASHIER = Look(
    top="#e9e6df", apron="#2f6b4f", legs="#2b2b2e", hair="#2b1d14", long_hair=True, skin="#c08e6a", tall=1.7
)
_EVERY_S = 24.0
_PAYS_AT = (0.75, 3.35)
_LAMPS = ((-1.6, 2.2), (1.5, 2.2), (-1.6, 5.2), (1.5, 5.2))


class Till:
    """See the module."""

    sun = (0.2, -0.3, 0.9)

    def lens(self, size: tuple[int, int]) -> Lens:
        """Where the camera hangs."""
        return Lens((2.75, 0.35, 2.62), (-0.35, 4.0, 0.85), 70.0, size)

    def stage(self, size: tuple[int, int]) -> Stage:
        """Paint the counter and the room behind it."""
        stage = Stage(self.lens(size))
        random = dice("till", "goods")
        stage.face(floor(-4, 4, 0, 8), tiles(0.6, shade("#b9b4a8"), shade("#6f6a60")), gloss=0.10)
        self._room(stage, random)
        self._counter(stage)
        return stage

    def _room(self, stage: Stage, random: np.random.Generator) -> None:
        wall = shade("#cfc7b6")
        stage.face(quad((-4, 8, 0), (4, 8, 0), (4, 8, 3), (-4, 8, 3)), wall)
        stage.face(quad((-3.6, 0, 0), (-3.6, 8, 0), (-3.6, 8, 3), (-3.6, 0, 3)), shade("#c4bcab"))
        stage.face(floor(-4, 4, 0, 8, 3.0)[::-1], tiles(0.6, shade("#d4d1c8"), shade("#a9a69d"), vary=0.02))
        for x, y in _LAMPS:
            panel = floor(x - 0.58, x + 0.58, y - 0.28, y + 0.28, 2.985)[::-1]
            stage.face(panel, shade("#ffffff"))
            stage.glowing(panel, (0.9, 0.9, 0.85))
        box(stage, (-3.6, 1.4, 0.0), (-3.22, 5.9, 0.5), shade("#6d5a44"))  # spirits behind the counter
        shelves(stage, (-3.25, 1.4, 0.5), (0, 1, 0), 4.5, (0.0, 0.38, 0.76, 1.14, 1.52), random)
        stage.face(quad((-3.22, 1.4, 2.1), (-3.22, 5.9, 2.1), (-3.22, 5.9, 2.45), (-3.22, 1.4, 2.45)), shade("#27533d"))
        sign(stage, "PLEASE HAVE ID READY", (-3.215, 2.75, 2.345), (0, 1, 0), 0.13, shade("#f3efe2"))
        contact(stage, 0.4, 3.6, 6.8, 7.4)
        box(stage, (0.4, 7.0, 0.0), (3.6, 7.5, 0.14), shade("#4a4844"))
        shelves(stage, (0.4, 6.95, 0.14), (1, 0, 0), 3.2, (0.0, 0.36, 0.70, 1.04, 1.38), random)
        box(stage, (0.4, 6.95, 1.64), (3.6, 7.5, 1.70), shade("#dcd8cd"))
        half = sign_width("SNACKS & PAPERS", 0.16) / 2
        sign(stage, "SNACKS & PAPERS", (0.75 - half, 7.99, 2.3), (1, 0, 0), 0.16, shade("#7c2f2f"))
        stage.face(quad((-2.9, 7.98, 0), (-1.7, 7.98, 0), (-1.7, 7.98, 2.15), (-2.9, 7.98, 2.15)), shade("#6f5138"))
        stage.decal(
            quad((-2.55, 7.97, 1.3), (-2.05, 7.97, 1.3), (-2.05, 7.97, 1.95), (-2.55, 7.97, 1.95)), shade("#9db4c4")
        )
        sign(stage, "STAFF", (-2.57, 7.965, 1.18), (1, 0, 0), 0.14, shade("#efe9da"))

    def _counter(self, stage: Stage) -> None:
        wood, top = shade("#9a7b55"), shade("#4a4d50")
        contact(stage, -1.6, -0.5, 1.6, 5.6)
        box(stage, (-1.45, 1.6, 0.0), (-0.6, 5.5, 0.9), wood)
        box(stage, (-1.5, 1.55, 0.9), (-0.5, 5.55, 0.95), shade("#77736a"), top=top, gloss=0.06)
        for y in np.arange(1.75, 5.4, 0.62):  # panels of the front
            stage.decal(
                quad((-0.595, y, 0.1), (-0.595, y + 0.52, 0.1), (-0.595, y + 0.52, 0.82), (-0.595, y, 0.82)),
                shade("#8a6c48"),
            )
        stage.decal(floor(-1.35, -0.62, 3.8, 5.4, 0.952), shade("#1d1f21"), alpha=0.9)  # the belt
        box(stage, (-1.4, 2.55, 0.95), (-0.95, 2.9, 1.02), shade("#2a2c2f"))
        box(stage, (-1.32, 2.68, 1.02), (-1.08, 2.74, 1.12), shade("#2a2c2f"))
        screen = quad((-1.42, 2.72, 1.12), (-0.96, 2.60, 1.12), (-0.96, 2.66, 1.46), (-1.42, 2.78, 1.46))
        stage.face(screen, shade("#15181b"), both=True)
        lit = quad((-1.39, 2.716, 1.15), (-0.99, 2.612, 1.15), (-0.99, 2.664, 1.43), (-1.39, 2.768, 1.43))
        stage.glowing(lit, (0.10, 0.22, 0.30))
        box(stage, (-0.72, 3.05, 0.95), (-0.6, 3.22, 1.06), shade("#202326"))  # card terminal
        stage.glowing(
            quad((-0.715, 3.09, 1.062), (-0.64, 3.09, 1.062), (-0.64, 3.16, 1.062), (-0.715, 3.16, 1.062)),
            (0.1, 0.4, 0.15),
        )
        box(stage, (-1.3, 3.15, 0.95), (-0.85, 3.55, 0.965), shade("#8fa0a8"), gloss=0.15)  # the scanner's glass
        for n in range(9):  # sweets before the till
            y = 1.75 + 0.2 * n
            box(stage, (-0.58, y, 0.55), (-0.42, y + 0.16, 0.72), shade(GOODS[n]))
            box(stage, (-0.58, y, 0.26), (-0.42, y + 0.16, 0.43), shade(GOODS[(n * 5 + 3) % len(GOODS)]))
        box(stage, (-0.6, 1.7, 0.5), (-0.4, 3.6, 0.54), shade("#dcd8cd"))
        box(stage, (-0.6, 1.7, 0.21), (-0.4, 3.6, 0.25), shade("#dcd8cd"))
        box(stage, (-1.2, 1.75, 0.95), (-0.8, 2.15, 1.3), shade("#b5322b"))
        sign(stage, "LOTTO", (-0.797, 1.785, 1.2), (0, 1, 0), 0.07, shade("#f3efe2"))

    def light(self, name: str) -> Light:
        """Bright while open."""
        strength = {"day": 1.35, "dusk": 1.25, "night": 0.03}[name]
        lamps = [Lamp(at=(x, y, 2.9), colour=(strength, strength * 0.97, strength * 0.9)) for x, y in _LAMPS]
        if name == "night":
            lamps.append(Lamp(at=(-2.2, 3.6, 2.5), colour=(0.42, 0.34, 0.2)))
            lamps.append(Lamp(at=(-1.1, 3.0, 1.5), colour=(0.03, 0.06, 0.08)))
            return Light(
                sky=(0.010, 0.012, 0.018), ground=(0.008, 0.009, 0.012), lamps=tuple(lamps), glow=0.18, exposure=1.5
            )
        return Light(sky=(0.15, 0.15, 0.145), ground=(0.2, 0.19, 0.175), lamps=tuple(lamps), glow=1.0, exposure=1.9)

    def cast(self, elapsed_s: float, night: float) -> Cast:
        """The cashier, who is served, who waits, and what lies on the belt."""
        people: list[Actor] = []
        props: list[Prop] = []
        slot = int(elapsed_s // _EVERY_S)
        served = 0.0
        for number in range(slot - 2, slot + 1):
            since = elapsed_s - number * _EVERY_S
            if (night > 0.35 and since < 10.0) or night > 0.8 or dice("comes", number).uniform() < 0.12:
                continue
            d = dice("customer", number)
            way = _way(d)
            who = way.at(since, anybody("till", number))
            if who is None:
                continue
            people.append(who)
            paying = 9.0 < since < 21.5
            served = max(served, float(paying))
            if paying:
                props += _shopping(d, since - 9.0)
        if night < 0.6:
            scan = served * max(0.0, float(np.sin(elapsed_s * 2.6)))
            sway = 0.08 * float(np.sin(elapsed_s * 0.5))
            people.append(
                Actor(
                    _CASHIER,
                    Pose(0.0, 0.0, 0.35 + 0.5 * scan),
                    (-1.95, 3.3 + sway, 0.0),
                    0.25 * float(np.sin(elapsed_s * 0.31)),
                )
            )
        return Cast(people=tuple(people), props=tuple(props))


def _way(d: np.random.Generator) -> Walk:
    """From the shop, to the counter, out towards the lens."""
    speed = float(d.uniform(1.0, 1.25))
    wait_y = float(d.uniform(5.1, 5.5))
    return Walk(
        (
            Stop(0.1, 7.9 - 1.4, 0.0),
            Stop(0.05, wait_y, 4.5, -np.pi / 2 - 0.4),
            Stop(-0.12, _PAYS_AT[1], 12.5, np.pi, 0.62),
            Stop(0.25, 2.0),
            Stop(0.1, -1.2),
        ),
        speed,
    )


def _shopping(d: np.random.Generator, since: float) -> list[Prop]:
    """Packets that travel along the belt and vanish into the bag, one after the other."""
    found = []
    for number in range(int(d.integers(2, 6))):
        paint = GOODS[int(d.integers(len(GOODS)))]
        size = (float(d.uniform(0.10, 0.2)), float(d.uniform(0.08, 0.14)), float(d.uniform(0.08, 0.26)))
        laid, y = 0.5 + 0.7 * number, 4.25 + 0.24 * number
        scanned = 3.5 + 1.7 * number
        if laid < since < scanned + 0.7:
            ahead = max(0.0, min(1.0, (since - scanned + 1.2) / 1.2))
            found.append(Prop((-0.95 + 0.05 * (number % 2), y + (3.3 - y) * ahead, 0.955), size, paint))
    return found
