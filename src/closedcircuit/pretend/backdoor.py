# SPDX-License-Identifier: Apache-2.0
"""The back door: a yard with bins; staff come out, deliveries arrive, and at night a cat. Infra-red after dark."""

from __future__ import annotations

import numpy as np

from closedcircuit.pretend.figure import Look
from closedcircuit.pretend.lens import Lens
from closedcircuit.pretend.props import box, bricks, contact, floor, post, quad, rough, sign
from closedcircuit.pretend.scene import Actor, Cast, Stop, Walk, anybody, dice
from closedcircuit.pretend.stage import Lamp, Light, Stage, shade

_SUN = (0.45, -0.5, 0.75)
_STAFF = (
    Look(top="#e9e6df", apron="#2f6b4f", legs="#2b2b2e", hair="#4a3120", long_hair=True, tall=1.68),
    Look(top="#e9e6df", apron="#2f6b4f", legs="#27303f", hair="#16120f", skin="#8d5a3b", tall=1.8),
)
_DRIVER = Look(top="#b5762a", legs="#27303f", cap="#7a4a1a", tall=1.83, broad=1.1)
_EVERY_S = 37.0
_DOOR = (-2.35, 6.2)


class BackDoor:
    """See the module."""

    sun = _SUN

    def lens(self, size: tuple[int, int]) -> Lens:
        """Where the camera hangs."""
        return Lens((3.3, -0.4, 3.7), (-0.7, 5.2, 0.45), 74.0, size)

    def stage(self, size: tuple[int, int]) -> Stage:
        """Paint the yard."""
        stage = Stage(self.lens(size))
        stage.face(floor(-3, 14, -1, 13), rough(shade("#7b7973"), grain=0.13))
        for y in (2.2, 5.2, 8.2):
            stage.decal(floor(-3, 9, y, y + 0.03, 0.002), shade("#45433f"), alpha=0.6)
        stage.decal(floor(0.55, 0.6, -1, 13, 0.002), shade("#45433f"), alpha=0.6)
        self._walls(stage)
        self._things(stage)
        return stage

    def _walls(self, stage: Stage) -> None:
        brick = bricks(1, shade("#96553f"), shade("#b9ada0"))
        stage.face(quad((-3, -1, 0), (-3, 13, 0), (-3, 13, 5), (-3, -1, 5)), brick)
        for z0, z1, paint in ((0.0, 0.3, "#5c5750"),):
            stage.face(quad((-2.98, -1, z0), (-2.98, 13, z0), (-2.98, 13, z1), (-2.98, -1, z1)), shade(paint))
        back = bricks(0, shade("#8d5240"), shade("#b0a497"))
        stage.face(quad((-3, 13, 0), (9, 13, 0), (9, 13, 2.3), (-3, 13, 2.3)), back)
        box(stage, (-3, 12.95, 2.3), (9, 13.25, 2.42), shade("#8f8a80"))
        stage.face(quad((-30, 30, 0), (40, 30, 0), (40, 30, 6.5), (-30, 30, 6.5)), shade("#a39a8c"))
        for x in np.arange(-8, 18, 3.1):
            pane = quad((x, 29.9, 3.1), (x + 1.3, 29.9, 3.1), (x + 1.3, 29.9, 4.8), (x, 29.9, 4.8))
            stage.face(pane, shade("#56646f"))
            stage.glowing(pane, (0.16, 0.11, 0.05))
        x, (_, y) = -2.97, _DOOR
        stage.face(quad((x, y - 0.62, 0), (x, y + 0.62, 0), (x, y + 0.62, 2.2), (x, y - 0.62, 2.2)), shade("#3c4146"))
        stage.face(
            quad(
                (x + 0.01, y - 0.52, 0.05),
                (x + 0.01, y + 0.52, 0.05),
                (x + 0.01, y + 0.52, 2.1),
                (x + 0.01, y - 0.52, 2.1),
            ),
            shade("#2f5d4a"),
        )
        stage.decal(
            quad(
                (x + 0.012, y + 0.3, 1.0),
                (x + 0.012, y + 0.42, 1.0),
                (x + 0.012, y + 0.42, 1.12),
                (x + 0.012, y + 0.3, 1.12),
            ),
            shade("#c9c9c4"),
        )
        stage.decal(
            quad(
                (x + 0.012, y - 0.5, 0.08),
                (x + 0.012, y + 0.5, 0.08),
                (x + 0.012, y + 0.5, 0.3),
                (x + 0.012, y - 0.5, 0.3),
            ),
            shade("#8f9499"),
        )
        sign(stage, "STAFF ONLY", (x + 0.02, y - 0.42, 1.75), (0, 1, 0), 0.09, shade("#f3efe2"))
        sign(stage, "DELIVERIES", (-2.99, 7.3, 2.35), (0, 1, 0), 0.24, shade("#efe9da"))
        box(stage, (-3.0, y - 0.12, 2.5), (-2.75, y + 0.12, 2.68), shade("#2a2c2f"))
        stage.glowing(floor(-2.96, -2.78, y - 0.09, y + 0.09, 2.495), (1.6, 1.4, 1.0), soft=2.0)
        box(stage, (-3.0, 3.2, 1.9), (-2.9, 4.6, 3.1), shade("#c7c9c9"))  # a barred window
        stage.face(
            quad((-2.895, 3.3, 2.0), (-2.895, 4.5, 2.0), (-2.895, 4.5, 3.0), (-2.895, 3.3, 3.0)),
            shade("#39444d"),
            gloss=0.2,
        )
        for n in range(7):
            yy = 3.36 + n * 0.18
            stage.face(
                quad((-2.87, yy, 1.95), (-2.87, yy + 0.025, 1.95), (-2.87, yy + 0.025, 3.05), (-2.87, yy, 3.05)),
                shade("#2a2c2f"),
            )
        post(stage, (-2.85, 9.9), 0.05, (0.0, 4.8), shade("#77736a"))
        box(stage, (-2.98, 10.75, 0.0), (-2.9, 11.0, 4.9), shade("#5c5750"))

    def _things(self, stage: Stage) -> None:
        for x, paint in ((-2.5, "#31573a"), (-1.15, "#2c4f7a"), (0.2, "#4a4d50")):  # bins along the far wall
            contact(stage, x, x + 1.1, 11.6, 12.4)
            box(stage, (x, 11.65, 0.14), (x + 1.1, 12.4, 1.1), shade(paint))
            box(stage, (x - 0.03, 11.6, 1.1), (x + 1.13, 12.45, 1.2), shade(paint, 0.75))
            for wheel in (x + 0.12, x + 0.9):
                box(stage, (wheel, 11.62, 0.0), (wheel + 0.1, 11.75, 0.15), shade("#17181a"))
            stage.shadow(floor(x, x + 1.1, 11.6, 12.4, 0.01) + np.array((-0.5, 0.5, 0)), soft=5.0)
        sign(stage, "PAPER", (-0.95, 11.645, 0.85), (1, 0, 0), 0.16, shade("#efe9da"))
        sign(stage, "GLASS", (-2.3, 11.645, 0.85), (1, 0, 0), 0.16, shade("#efe9da"))
        random = dice("crates")
        contact(stage, -2.95, -1.85, 7.9, 9.6)
        for column, y in enumerate((8.5, 9.1)):
            for level in range((4, 2)[column]):
                paint = ("#a8282b", "#c98f2b", "#2c6fa8", "#5d6b3a")[int(random.integers(4))]
                box(stage, (-2.7, y, 0.27 * level), (-2.2, y + 0.52, 0.27 * level + 0.24), shade(paint, 0.9))
        for level in range(3):  # pallets
            z = 0.15 * level
            box(stage, (1.6, 10.9, z), (2.9, 12.0, z + 0.03), shade("#a88f66"))
            box(stage, (1.6, 10.9, z + 0.1), (2.9, 12.0, z + 0.13), shade("#b89f74"))
            for x in (1.6, 2.2, 2.8):
                box(stage, (x, 10.9, z + 0.03), (x + 0.1, 12.0, z + 0.1), shade("#8f7850"))
        box(stage, (1.75, 11.0, 0.45), (2.6, 11.8, 0.95), shade("#b08a5a"))
        stage.decal(
            quad((2.0, 10.995, 0.6), (2.35, 10.995, 0.6), (2.35, 10.995, 0.8), (2.0, 10.995, 0.8)), shade("#e4e1d8")
        )
        stage.shadow(quad((-3, -1, 0), (-1.6, -1, 0), (-1.6, 13, 0), (-3, 13, 0)), soft=6.0, strength=0.0)
        turns = np.linspace(0, 2 * np.pi, 15)[:-1]
        for x, y, r in ((1.4, 4.6, 0.32), (0.1, 2.6, 0.5)):
            ring = np.stack([x + r * np.cos(turns), y + 0.7 * r * np.sin(turns), np.full(14, 0.003)], axis=1)
            stage.decal(ring, shade("#3c3b39"), alpha=0.45, soft=6.0)
        drain = quad((0.2, 7.0, 0.004), (0.75, 7.0, 0.004), (0.75, 7.5, 0.004), (0.2, 7.5, 0.004))
        stage.decal(drain, shade("#2a2b2c"))
        for n in range(5):
            stage.decal(floor(0.25 + n * 0.1, 0.3 + n * 0.1, 7.04, 7.46, 0.005), shade("#6d6a63"))

    def light(self, name: str) -> Light:
        """Sun by day; at night the camera's own infra-red, and no colour."""
        if name == "day":
            return Light(
                sky=(0.60, 0.66, 0.76),
                ground=(0.28, 0.26, 0.23),
                sun=(1.45, 1.36, 1.2),
                sun_from=_SUN,
                glow=0.25,
                backdrop=((0.25, 0.45, 0.85), (0.7, 0.82, 0.95)),
                exposure=0.95,
            )
        door = Lamp(at=(-2.6, _DOOR[1], 2.55), colour=(1.9, 1.5, 0.95))
        if name == "dusk":
            return Light(
                sky=(0.20, 0.19, 0.25),
                ground=(0.12, 0.10, 0.09),
                sun=(0.3, 0.16, 0.07),
                sun_from=(0.8, 0.2, 0.3),
                lamps=(door,),
                glow=0.8,
                backdrop=((0.13, 0.18, 0.38), (0.9, 0.45, 0.2)),
                exposure=1.15,
            )
        own = Lamp(at=(3.3, -0.4, 3.7), colour=(30.0, 30.0, 30.0), aim=(-0.7, 6.0, 0.2), cone=(0.72, 0.97))
        return Light(
            sky=(0.02, 0.02, 0.02),
            ground=(0.012, 0.012, 0.012),
            lamps=(own, door),
            glow=0.8,
            backdrop=((0.004, 0.004, 0.004), (0.01, 0.01, 0.01)),
            exposure=1.0,
            mono=True,
        )

    def cast(self, elapsed_s: float, night: float) -> Cast:
        """Somebody with rubbish, a break in the sun, a delivery; a cat, mostly at night."""
        people: list[Actor] = []
        slot = int(elapsed_s // _EVERY_S)
        for number in (slot - 1, slot):
            since = elapsed_s - number * _EVERY_S - float(dice("late", number).uniform(0, 6))
            kind = number % 4 if night < 0.6 else 9
            if kind in (0, 2):
                look = _STAFF[number // 2 % 2]
                way = _RUBBISH if kind == 0 else _BREAK
                who = way.at(since, look)
                people += [who] if who else []
            elif kind in (1, 3):
                who = _DELIVERY.at(since, _DRIVER if kind == 1 else anybody("yard", number))
                people += [who] if who else []
            elif number % 3 == 0:
                who = _PROWL.at(since, anybody("prowl", number))
                people += [who] if who else []
        return Cast(people=tuple(people), cat=_cat(elapsed_s, night))


def _cat(elapsed_s: float, night: float) -> tuple[float, float, float, float] | None:
    """Where the cat is: x, y, heading, phase; it crosses the yard now and then, and stops to look."""
    number = int(elapsed_s // 53.0)
    if night < 0.3 and number % 3:
        return None
    d = dice("cat", number)
    begin, end = np.array((5.5, float(d.uniform(3.0, 6.0)))), np.array((-2.4, float(d.uniform(9.5, 11.0))))
    if d.uniform() < 0.5:
        begin, end = end, begin
    since = elapsed_s - number * 53.0 - float(d.uniform(0, 20))
    way = float(np.hypot(*(end - begin)))
    pause = float(d.uniform(0.3, 0.6)) * way
    walked = since * 1.15
    if walked > pause:
        walked = max(pause, walked - 4.5)
    if not 0 <= walked <= way:
        return None
    place = begin + (end - begin) * walked / way
    heading = float(np.arctan2(end[1] - begin[1], end[0] - begin[0]))
    return float(place[0]), float(place[1]), heading, walked / 0.42


_RUBBISH = Walk(
    (
        Stop(_DOOR[0] - 0.4, _DOOR[1], 0.4, 0.0),
        Stop(-1.5, 6.6),
        Stop(-1.0, 10.9, 4.0, np.pi / 2, 1.0),
        Stop(-1.4, 7.0),
        Stop(-2.75, 6.2),
    ),
    1.1,
)
_BREAK = Walk(
    (Stop(-2.75, 6.2, 0.4, 0.0), Stop(-0.6, 5.4), Stop(0.9, 4.4, 17.0, -0.9, 0.55), Stop(-0.8, 5.6), Stop(-2.75, 6.2)),
    0.95,
)
_DELIVERY = Walk(
    (Stop(6.5, 5.2), Stop(2.0, 5.6), Stop(-1.9, 6.2, 7.0, np.pi, 0.7), Stop(2.0, 5.9), Stop(6.8, 5.6)), 1.2
)
_PROWL = Walk(
    (
        Stop(6.5, 8.0),
        Stop(1.5, 7.2, 2.0, np.pi),
        Stop(-1.9, 6.3, 5.0, np.pi, 0.8),
        Stop(-0.5, 9.8, 3.0, 1.4),
        Stop(6.8, 8.6),
    ),
    1.0,
)
