# SPDX-License-Identifier: Apache-2.0
"""The shop floor: aisles, a cold cabinet, the entrance. Customers come, look, take, go; after hours a guard walks."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from closedcircuit.pretend.figure import Look
from closedcircuit.pretend.lens import Lens
from closedcircuit.pretend.props import box, contact, floor, quad, rough, shelves, sign, sign_width, tiles
from closedcircuit.pretend.scene import Actor, Cast, Stop, Walk, anybody, dice
from closedcircuit.pretend.stage import Lamp, Light, Stage, shade

_PANELS = tuple((x, y) for y in (2.0, 5.0, 8.0) for x in (-2.4, 0.35, 3.0))
_ASSISTANT = Look(top="#e9e6df", apron="#2f6b4f", legs="#2b2b2e", hair="#4a3120", long_hair=True, tall=1.68)
_GUARD = Look(top="#1f2733", legs="#1b1e24", cap="#151a22", tall=1.82, broad=1.12)
_EVERY_S = 11.0
_AISLES = (-2.6, 0.35, 2.85)


class ShopFloor:
    """See the module."""

    sun = (0.2, -0.3, 0.9)

    def lens(self, size: tuple[int, int]) -> Lens:
        """Where the camera hangs."""
        return Lens((-3.75, 0.25, 2.78), (0.35, 5.4, 0.55), 80.0, size)

    def stage(self, size: tuple[int, int]) -> Stage:
        """Paint the room."""
        stage = Stage(self.lens(size))
        random = dice("shop-floor", "goods")
        stage.face(floor(-4, 4, 0, 11), tiles(0.6, shade("#b9b4a8"), shade("#6f6a60")), gloss=0.10)
        self._street(stage)
        self._walls(stage)
        self._racks(stage, random)
        self._far_end(stage)
        return stage

    def _street(self, stage: Stage) -> None:
        stage.face(floor(-3, 9, 11.0, 15.0, -0.02), rough(shade("#8d8a84")))
        stage.face(floor(-3, 9, 15.0, 22.0, -0.1), rough(shade("#4b4c4f")))
        stage.face(quad((-6, 22, -0.1), (12, 22, -0.1), (12, 22, 6), (-6, 22, 6)), shade("#9c8d7c"), glow=0.25)
        for x in np.arange(-5, 11, 2.2):
            stage.face(
                quad((x, 21.9, 1.0), (x + 1.1, 21.9, 1.0), (x + 1.1, 21.9, 2.6), (x, 21.9, 2.6)), shade("#5e6f80")
            )

    def _walls(self, stage: Stage) -> None:
        wall = shade("#cfc7b6")
        for x0, x1, z0 in ((-4.0, 0.9, 0.0), (3.3, 4.0, 0.0), (0.9, 3.3, 2.35)):
            stage.face(quad((x0, 11, z0), (x1, 11, z0), (x1, 11, 3), (x0, 11, 3)), wall)
        stage.face(quad((4, 0, 0), (4, 11, 0), (4, 11, 3), (4, 0, 3))[::-1], shade("#c4bcab"))
        stage.face(quad((-4, 0, 0), (-4, 0, 3), (-4, 11, 3), (-4, 11, 0))[::-1], wall)
        stage.face(floor(-4, 4, 0, 11, 3.0)[::-1], tiles(0.6, shade("#d4d1c8"), shade("#a9a69d"), vary=0.02))
        for x, y in _PANELS:
            panel = floor(x - 0.58, x + 0.58, y - 0.28, y + 0.28, 2.985)[::-1]
            stage.face(panel, shade("#ffffff"))
            stage.glowing(panel, (0.9, 0.9, 0.85))
        for x in (0.9, 2.08, 3.26):  # the door's frame
            box(stage, (x, 10.9, 0.0), (x + 0.06, 11.0, 2.35), shade("#55585c"))
        box(stage, (0.9, 10.9, 2.3), (3.32, 11.0, 2.38), shade("#55585c"))
        stage.face(floor(1.0, 3.2, 9.7, 10.9, 0.012), rough(shade("#3b3a38"), grain=0.3))
        box(stage, (1.7, 10.86, 2.5), (2.5, 10.9, 2.75), shade("#1f6b46"))
        sign(stage, "EXIT", (1.83, 10.855, 2.71), (1, 0, 0), 0.17, (1.2, 1.5, 1.25), glow=True)

    def _racks(self, stage: Stage, random: np.random.Generator) -> None:
        for x in (-1.55, 1.35):
            contact(stage, x, x + 0.95, 3.0, 8.6)
            box(stage, (x, 3.0, 0.0), (x + 0.95, 8.6, 0.16), shade("#4a4844"))
            shelves(stage, (x, 8.6, 0.16), (0, -1, 0), 5.6, (0.0, 0.34, 0.66, 0.98, 1.3), random)
            box(stage, (x + 0.28, 3.3, 0.16), (x + 0.95, 8.6, 1.52), shade("#8b877d"))
            shelves(stage, (x, 2.98, 0.16), (1, 0, 0), 0.95, (0.0, 0.34, 0.66, 0.98, 1.3), random)
            for side in (0.0, 0.93):
                box(stage, (x + side, 2.98, 0.0), (x + side + 0.03, 3.3, 1.56), shade("#e2dfd6"))
            box(stage, (x, 2.98, 1.52), (x + 0.95, 8.6, 1.56), shade("#dcd8cd"))
            box(stage, (x, 8.58, 0.0), (x + 0.95, 8.64, 1.5), shade("#e2dfd6"))
            for n, text in enumerate(("PASTA & RICE", "COFFEE")) if x < 0 else enumerate(("SWEETS", "BISCUITS")):
                self._hang(stage, text, x + 0.45, 5.6 + 2.6 * n)
        contact(stage, 3.4, 4.0, 1.5, 9.4)
        self._cold(stage, random)

    def _hang(self, stage: Stage, text: str, x: float, y: float) -> None:
        half = sign_width(text, 0.15) / 2 + 0.12
        box(stage, (x - half, y, 2.12), (x + half, y + 0.03, 2.42), shade("#27533d"))
        sign(stage, text, (x - half + 0.12, y - 0.004, 2.345), (1, 0, 0), 0.15, shade("#f3efe2"))
        for side in (-0.7, 0.7):
            post(stage, x + half * side, y)

    def _cold(self, stage: Stage, random: np.random.Generator) -> None:
        box(stage, (3.42, 1.5, 0.0), (4.0, 9.4, 0.22), shade("#d9dbdb"))
        shelves(stage, (3.45, 9.4, 0.22), (0, -1, 0), 7.9, (0.0, 0.42, 0.82, 1.22, 1.62), random)
        box(stage, (3.4, 1.45, 0.0), (4.0, 1.5, 2.15), shade("#cfd2d2"))
        stage.face(quad((3.4, 9.4, 1.9), (3.4, 1.5, 1.9), (3.4, 1.5, 2.15), (3.4, 9.4, 2.15)), shade("#2c6fa8"))
        sign(stage, "FRESH & COLD", (3.395, 7.5, 2.10), (0, -1, 0), 0.15, shade("#ffffff"))
        sign(stage, "DRINKS", (3.395, 4.6, 2.10), (0, -1, 0), 0.15, shade("#ffffff"))
        stage.glowing(quad((3.41, 9.4, 1.86), (3.41, 1.5, 1.86), (3.41, 1.5, 1.9), (3.41, 9.4, 1.9)), (0.9, 1.05, 1.15))

    def _far_end(self, stage: Stage) -> None:
        contact(stage, -3.9, -1.8, 9.3, 9.9)
        box(stage, (-3.95, 9.3, 0.0), (-1.7, 9.9, 0.95), shade("#8a6f4d"), top=shade("#3a3d40"), gloss=0.05)
        box(stage, (-2.6, 9.45, 0.95), (-2.2, 9.6, 1.25), shade("#26282b"))
        box(stage, (-3.6, 9.42, 0.95), (-3.1, 9.75, 1.15), shade("#b5322b"))
        for n, text in enumerate(("OFFERS", "THIS WEEK")):
            sign(stage, text, (-3.4 + 0.12 * n, 10.99, 2.62 - 0.28 * n), (1, 0, 0), 0.19, shade("#7c2f2f"))
        contact(stage, 3.35, 3.85, 10.0, 10.5)
        for n in range(6):  # baskets
            box(stage, (3.4, 10.05, 0.07 * n), (3.82, 10.42, 0.07 * n + 0.05), shade("#a8282b"))

    def light(self, name: str) -> Light:
        """Lamps on by day and at dusk; after hours one lamp, the cold cabinet and the street."""
        white = (1.0, 0.97, 0.9)
        strength = {"day": 1.25, "dusk": 1.2, "night": 0.03}[name]
        lamps = [
            Lamp(at=(x, y, 2.9), colour=(white[0] * strength, white[1] * strength, white[2] * strength))
            for x, y in _PANELS
        ]
        outside = {"day": (2.6, 2.8, 3.0), "dusk": (0.9, 0.55, 0.35), "night": (0.10, 0.09, 0.05)}[name]
        lamps.append(Lamp(at=(2.1, 11.6, 1.9), colour=outside))
        cold = {"day": 0.25, "dusk": 0.3, "night": 0.22}[name]
        lamps += [Lamp(at=(3.2, y, 1.6), colour=(cold * 0.7, cold * 0.95, cold)) for y in (3.2, 6.8)]
        if name == "night":
            lamps.append(Lamp(at=(-2.8, 9.6, 2.6), colour=(0.35, 0.30, 0.2)))
            return Light(
                sky=(0.012, 0.014, 0.020),
                ground=(0.008, 0.009, 0.012),
                lamps=tuple(lamps),
                glow=0.1,
                backdrop=((0.01, 0.012, 0.02), (0.02, 0.02, 0.03)),
                exposure=1.5,
            )
        warm = 1.0 if name == "day" else 0.55
        return Light(
            sky=(0.15, 0.15, 0.145),
            ground=(0.2, 0.19, 0.175),
            lamps=tuple(lamps),
            glow=1.0 if name == "day" else 0.85,
            backdrop=((0.8 * warm, 0.9 * warm, 1.0), (1.0, 0.95 * warm, 0.9 * warm)),
            exposure=1.5,
        )

    def cast(self, elapsed_s: float, night: float) -> Cast:
        """Customers until closing time, somebody filling shelves, a guard at night."""
        people: list[Actor] = []
        slot = int(elapsed_s // _EVERY_S)
        for number in range(slot - 8, slot + 1):
            begins = number * _EVERY_S + float(dice("when", number).uniform(0, 8))
            if closed_at(begins, elapsed_s, night) or dice("comes", number).uniform() < 0.2:
                continue
            found = _visit(number).at(elapsed_s - begins, anybody("shop", number))
            if found:
                people.append(found)
        if night < 0.5:
            busy = _RESTOCK.at(elapsed_s % _RESTOCK.length_s, _ASSISTANT)
            people += [busy] if busy else []
        if night > 0.6:
            round_s = elapsed_s % 75.0
            guard = _GUARD_ROUND.at(round_s, _GUARD)
            if guard:
                people.append(guard)
                ahead = (
                    np.cos(guard.heading + 0.25 * np.sin(elapsed_s)),
                    np.sin(guard.heading + 0.25 * np.sin(elapsed_s)),
                )
                spot = (guard.at[0] + 2.2 * float(ahead[0]), guard.at[1] + 2.2 * float(ahead[1]), 1.0)
                return Cast(people=tuple(people), torch=spot)
        return Cast(people=tuple(people))


def post(stage: Stage, x: float, y: float) -> None:
    """A thread that a sign hangs on."""
    stage.face(quad((x, y, 2.4), (x + 0.012, y, 2.4), (x + 0.012, y, 3.0), (x, y, 3.0)), shade("#8d8a84"))


def closed_at(begins: float, elapsed_s: float, night: float) -> bool:
    """Whether a visit that began then would have begun after hours; those inside finish their way."""
    return night > 0.8 or (night > 0.35 and elapsed_s - begins < 12.0)


@lru_cache(maxsize=32)
def _visit(number: int) -> Walk:
    d = dice("visit", number)
    aisle = _AISLES[int(d.integers(3))]
    deep, deeper = float(d.uniform(5.2, 7.8)), float(d.uniform(3.2, 5.0))
    left = np.pi if aisle < 0 else 0.0  # which shelf
    aside = -0.35 if left else 0.25
    enter = 2.1 + float(d.uniform(-0.5, 0.5))
    stops = [Stop(enter, 13.2), Stop(enter, 10.6), Stop(aisle, 9.2)]
    stops.append(Stop(aisle + aside, deep, float(d.uniform(2.5, 6.0)), left, 0.9))
    if d.uniform() < 0.65:
        stops.append(Stop(aisle + aside, deeper, float(d.uniform(2.0, 5.0)), left, 0.8))
    if d.uniform() < 0.5:
        other = _AISLES[int(d.integers(3))]
        stops += [
            Stop(aisle, 2.4),
            Stop(other, 2.3, float(d.uniform(0.0, 1.5))),
            Stop(other, float(d.uniform(4.0, 7.0)), 2.5, 0.0, 0.7),
        ]
        stops.append(Stop(other, 9.0))
    else:
        stops.append(Stop(aisle, 9.0))
    stops += [
        Stop(-1.2, 9.1),
        Stop(-2.3, 9.0, float(d.uniform(3.0, 6.0)), np.pi / 2, 0.5),
        Stop(-1.2, 9.1),
        Stop(2.2, 10.4),
        Stop(2.4, 13.2),
    ]
    return Walk(tuple(stops), float(d.uniform(1.0, 1.3)))


_RESTOCK = Walk(
    (
        Stop(-1.95, 7.2, 14.0, 0.0, 0.7),
        Stop(-1.95, 6.3, 12.0, 0.0, 1.0),
        Stop(-1.95, 5.4, 13.0, 0.0, 0.6),
        Stop(-2.4, 9.0),
        Stop(-2.8, 10.4, 20.0, -np.pi / 2, 0.3),
        Stop(-1.4, 9.0),
        Stop(0.3, 8.9),
        Stop(0.95, 7.0, 12.0, 0.0, 0.8),
        Stop(0.95, 5.8, 11.0, 0.0, 1.0),
        Stop(0.3, 9.0),
        Stop(-1.95, 8.8),
    ),
    1.0,
)
_GUARD_ROUND = Walk(
    (
        Stop(2.1, 13.4),
        Stop(2.1, 10.2),
        Stop(2.85, 8.6),
        Stop(2.8, 2.4, 2.0, -2.0),
        Stop(0.35, 2.3),
        Stop(0.35, 8.8, 1.5, 1.0),
        Stop(-2.6, 8.8),
        Stop(-2.6, 3.4, 3.0, -1.2),
        Stop(-2.6, 9.0),
        Stop(2.1, 10.2),
        Stop(2.1, 13.4),
    ),
    1.05,
)
