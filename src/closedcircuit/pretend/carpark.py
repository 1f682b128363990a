# SPDX-License-Identifier: Apache-2.0
"""The car park behind the shop: cars come, park and go, drivers walk to the shop; lamps at night, sometimes rain."""

from __future__ import annotations

import numpy as np

from closedcircuit.pretend.car import Car, park
from closedcircuit.pretend.lens import Lens, Points
from closedcircuit.pretend.props import box, floor, post, quad, rough, sign
from closedcircuit.pretend.scene import Actor, Cast, Stop, Walk, anybody, dice
from closedcircuit.pretend.stage import Lamp, Light, Stage, shade

_SUN = (-0.55, -0.42, 0.72)
_BAY_W, _BAY_Y, _LANE_Y = 2.7, 17.6, 10.6
_BAYS = tuple(-10.8 + _BAY_W * i for i in range(9))
_TAKEN = {0: "#8f9499", 1: "#27435f", 3: "#a9aca8", 5: "#6e2323", 8: "#3b4a3f"}
_FREE = (4, 6, 2, 7)
_EVERY_S = 33.0
_PAINTS = ("#7a1f1f", "#c9ccd0", "#20242a", "#2b4f7a", "#d8d4c4", "#5d6b3a", "#b5762a")
_RADIUS = 4.6
_LAMPS = ((-7.2, 21.6), (4.2, 21.6), (12.6, 9.0))


class CarPark:
    """See the module."""

    sun = _SUN

    def lens(self, size: tuple[int, int]) -> Lens:
        """Where the camera hangs."""
        return Lens((-1.8, 0.0, 6.1), (0.3, 15.2, 0.0), 72.0, size)

    def stage(self, size: tuple[int, int]) -> Stage:
        """Paint the ground, what grows and stands around it, and the cars that stay."""
        stage = Stage(self.lens(size))
        self._beyond(stage)
        stage.face(floor(-40, 40, 1.0, 21.0), rough(shade("#6c6d6e"), grain=0.10), gloss=0.02)
        self._marks(stage)
        stage.shadow(
            quad((-40, 1, 0), (40, 1, 0), (40, 5.6, 0), (-40, 5.6, 0)), soft=4.0, strength=0.85
        )  # our own roof
        self._hedge(stage)
        for number, paint in _TAKEN.items():
            backs = number in (3, 8)
            park(stage, Car(_BAYS[number], _BAY_Y + 0.1, -np.pi / 2 if backs else np.pi / 2, paint), _SUN)
        for x, y in _LAMPS:
            stage.shadow(_thin_shadow(x, y, 5.6), soft=2.0)
            post(stage, (x, y), 0.07, (0.0, 5.6), shade("#55595c"))
            box(stage, (x - 0.3, y - 0.55, 5.55), (x + 0.3, y + 0.1, 5.67), shade("#7d8184"))
            stage.glowing(floor(x - 0.24, x + 0.24, y - 0.5, y, 5.54), (2.2, 1.9, 1.4), soft=2.0)
        self._trolleys(stage)
        return stage

    def _beyond(self, stage: Stage) -> None:
        stage.face(floor(-60, 60, 21.0, 24.2, 0.1), rough(shade("#98958e"), grain=0.06))
        stage.face(floor(-60, 60, 24.2, 33.0, 0.0), rough(shade("#5c5d60"), grain=0.06))
        for x in np.arange(-40, 40, 5.0):
            stage.decal(floor(x, x + 2.2, 28.4, 28.55, 0.01), shade("#dcdad2"), alpha=0.8)
        stage.face(floor(-60, 60, 33.0, 36.0, 0.1), rough(shade("#98958e"), grain=0.06))
        random = dice("street")
        x = -48.0
        while x < 48:
            wide, tall = float(random.uniform(6.5, 10)), float(random.uniform(7.4, 9.6))
            wall = shade(("#a2553f", "#c7b493", "#8d8a85", "#b98f6a", "#d3cfc4")[int(random.integers(5))])
            stage.face(quad((x, 36, 0), (x + wide, 36, 0), (x + wide, 36, tall), (x, 36, tall)), wall)
            ridge = 2.2
            stage.face(
                quad(
                    (x, 36, tall), (x + wide, 36, tall), (x + wide - 0.5, 39, tall + ridge), (x + 0.5, 39, tall + ridge)
                ),
                shade("#584a45"),
            )
            for level in np.arange(1.0, tall - 1.5, 2.7):
                for place in np.arange(0.9, wide - 1.4, 2.0):
                    self._pane(stage, x + float(place), float(level), lit=float(random.uniform()) < 0.38)
            x += wide

    @staticmethod
    def _pane(stage: Stage, x: float, z: float, *, lit: bool) -> None:
        corners = quad((x, 35.98, z), (x + 1.1, 35.98, z), (x + 1.1, 35.98, z + 1.4), (x, 35.98, z + 1.4))
        frame = quad(
            (x - 0.1, 35.99, z - 0.1), (x + 1.2, 35.99, z - 0.1), (x + 1.2, 35.99, z + 1.5), (x - 0.1, 35.99, z + 1.5)
        )
        stage.decal(frame, shade("#e4e1d8"))
        stage.decal(corners, shade("#56646f"))
        if lit:
            stage.glowing(corners, (0.55, 0.40, 0.18))

    def _marks(self, stage: Stage) -> None:
        white = shade("#e4e2da")
        for x in (*_BAYS, _BAYS[-1] + _BAY_W):
            stage.decal(floor(x - _BAY_W / 2 - 0.06, x - _BAY_W / 2 + 0.06, 15.0, 20.3, 0.003), white, alpha=0.85)
        for x, turn in ((8.0, -1.0), (-6.0, -1.0)):
            stage.decal(floor(x - 0.9, x + 0.9, _LANE_Y - 0.09, _LANE_Y + 0.09, 0.003), white, alpha=0.75)
            tip = np.array(
                [
                    (x + turn * 1.7, _LANE_Y, 0.003),
                    (x + turn * 0.8, _LANE_Y + 0.45, 0.003),
                    (x + turn * 0.8, _LANE_Y - 0.45, 0.003),
                ]
            )
            stage.decal(tip, white, alpha=0.75)
        for n in range(7):  # a crossing to the shop's door
            stage.decal(floor(-4.6 + n * 0.9, -4.15 + n * 0.9, 4.2, 7.4, 0.003), white, alpha=0.8)
        random = dice("stains")
        for _ in range(14):
            x, y, r = float(random.uniform(-12, 12)), float(random.uniform(7, 20)), float(random.uniform(0.2, 0.8))
            turns = np.linspace(0, 2 * np.pi, 11)[:-1]
            ring = np.stack([x + r * np.cos(turns), y + 0.8 * r * np.sin(turns), np.full(10, 0.002)], axis=1)
            stage.decal(ring, shade("#3a3a3b"), alpha=0.35, soft=6.0)

    def _hedge(self, stage: Stage) -> None:
        box(stage, (-40, 20.75, 0.0), (40, 21.0, 0.13), shade("#b3b1aa"))
        stage.shadow(floor(-40, 40, 21.0, 21.9, 0.1), soft=3.0, strength=0.5)
        for x0, x1 in ((-14.5, -0.6), (1.6, 14.5)):
            box(stage, (x0, 21.1, 0.1), (x1, 21.9, 0.95), rough(shade("#3c5a2c"), grain=0.5), top=shade("#4f7238"))
        random = dice("trees")
        for x, y, tall in (
            (-12.5, 22.6, 5.0),
            (-2.9, 22.8, 4.2),
            (9.4, 22.6, 5.4),
            (16.5, 20.5, 6.0),
            (-17.5, 17.5, 6.2),
        ):
            post(stage, (x, y), 0.13, (0.0, tall * 0.6), shade("#5a4636"))
            eye = stage.lens.eye
            for _ in range(90):
                spread = random.normal(0.0, 1.0, 3) * (tall * 0.16, tall * 0.16, tall * 0.15)
                centre = np.array((x, y, tall * 0.78)) + spread
                toward = (eye - centre) / np.linalg.norm(eye - centre)
                right = np.cross((0.0, 0.0, 1.0), toward)
                right /= np.linalg.norm(right)
                up = np.cross(toward, right)
                turns = np.linspace(0, 2 * np.pi, 8)[:-1] + float(random.uniform(0, 1))
                r = tall * float(random.uniform(0.045, 0.095))
                disc = centre + np.outer(np.cos(turns), right) * r + np.outer(np.sin(turns), up) * r * 0.85
                level = 0.75 + 0.5 * float(np.clip((spread[2] - spread[0] * 0.6) / (tall * 0.25), -0.6, 1.0))
                stage.face(disc, shade(("#4d6f36", "#3e5e2e", "#5d8040")[int(random.integers(3))], level))
            stage.shadow(_round_shadow(x, y, tall), soft=8.0, strength=0.8)

    def _trolleys(self, stage: Stage) -> None:
        for y in (8.6, 9.0, 9.4, 9.8):
            box(stage, (9.6, y, 0.45), (10.15, y + 0.05, 0.95), shade("#9fa4a8"))
            box(stage, (9.62, y, 0.12), (9.66, y + 0.05, 0.45), shade("#55585c"))
            box(stage, (10.1, y, 0.12), (10.14, y + 0.05, 0.45), shade("#55585c"))
        for x, y in ((9.3, 8.3), (10.5, 8.3), (9.3, 10.3), (10.5, 10.3)):
            post(stage, (x, y), 0.035, (0.0, 2.1), shade("#7d8184"))
        stage.face(floor(9.1, 10.7, 8.1, 10.5, 2.12), shade("#9db4c4"), gloss=0.2)
        stage.shadow(floor(9.1, 10.7, 8.1, 10.5, 0.01) + np.array((1.55, 1.2, 0.0)), soft=3.0, strength=0.6)
        sign(stage, "TROLLEYS", (9.15, 8.09, 2.11), (1, 0, 0), 0.16, shade("#ffffff"))

    def light(self, name: str) -> Light:
        """Sun by day, a red evening, lamps at night."""
        if name == "day":
            return Light(
                sky=(0.62, 0.70, 0.82),
                ground=(0.25, 0.24, 0.22),
                sun=(1.75, 1.62, 1.40),
                sun_from=_SUN,
                glow=0.0,
                backdrop=((0.22, 0.42, 0.85), (0.66, 0.80, 0.95)),
                exposure=0.92,
            )
        lamps = tuple(
            Lamp(at=(x, y - 0.25, 5.5), colour=(80.0, 61.0, 35.0), aim=(x, y - 4.0, 0.0), cone=(0.1, 0.8))
            for x, y in _LAMPS
        )
        door = Lamp(at=(-1.8, 1.0, 3.2), colour=(15.0, 14.0, 12.0), aim=(-1.8, 6.0, 0.0), cone=(0.1, 0.9))
        if name == "dusk":
            soft = tuple(Lamp(at=a.at, colour=(11.0, 8.4, 4.6), aim=a.aim, cone=a.cone) for a in lamps)
            return Light(
                sky=(0.20, 0.19, 0.26),
                ground=(0.12, 0.10, 0.09),
                sun=(0.55, 0.27, 0.10),
                sun_from=(-0.9, 0.25, 0.22),
                lamps=(*soft, door),
                glow=0.8,
                backdrop=((0.13, 0.18, 0.38), (0.95, 0.46, 0.20)),
                exposure=1.0,
            )
        return Light(
            sky=(0.030, 0.038, 0.062),
            ground=(0.012, 0.012, 0.014),
            lamps=(*lamps, door),
            glow=1.0,
            backdrop=((0.004, 0.006, 0.014), (0.030, 0.028, 0.034)),
            exposure=0.85,
        )

    def cast(self, elapsed_s: float, night: float) -> Cast:
        """Cars on their way, drivers on theirs, passers-by beyond the hedge."""
        people: list[Actor] = []
        cars: list[Car] = []
        slot = int(elapsed_s // _EVERY_S)
        for number in range(slot - 4, slot + 1):
            self._visit(number, elapsed_s - number * _EVERY_S, night, people, cars)
        for number in range(int(elapsed_s // 19) - 3, int(elapsed_s // 19) + 1):
            d = dice("passer", number)
            if d.uniform() < (0.75 if night > 0.5 else 0.25):
                continue
            left, y = bool(d.integers(2)), float(d.uniform(22.4, 23.6))
            way = Walk((Stop(-22 if left else 22, y), Stop(22 if left else -22, y)), float(d.uniform(1.1, 1.5)))
            someone = way.at(elapsed_s - number * 19 - float(d.uniform(0, 12)), anybody("street", number))
            people += [someone] if someone else []
        for number in range(int(elapsed_s // 11) - 2, int(elapsed_s // 11) + 1):
            d = dice("traffic", number)
            gone = elapsed_s - number * 11 - float(d.uniform(0, 4))
            left = bool(d.integers(2))
            x = (-48 + gone * 11.5) * (1 if left else -1)
            if d.uniform() < (0.3 if night > 0.5 else 0.55) and abs(x) < 47:
                paint = _PAINTS[int(d.integers(len(_PAINTS)))]
                cars.append(Car(x, 26.4 if left else 30.6, 0.0 if left else np.pi, paint, lights=night > 0.2))
        rain = float(np.clip(np.sin(elapsed_s / 97.0) * 3 - 1.6, 0, 1)) * float(night > 0.6)
        return Cast(people=tuple(people), cars=tuple(cars), rain=rain)

    def _visit(self, number: int, since_s: float, night: float, people: list[Actor], cars: list[Car]) -> None:
        """A car comes in from the right, parks, its driver shops, and it leaves to the left; all within four slots."""
        d = dice("visit", number)
        bay = _BAYS[_FREE[number % len(_FREE)]]
        paint = _PAINTS[int(d.integers(len(_PAINTS)))]
        stay_s = float(d.uniform(62.0, 80.0))
        arrive_s, leave_s = 9.5, 9.5 + stay_s
        lit = night > 0.2
        look = anybody("driver", number)
        if since_s < 0:
            return
        if since_s < arrive_s:
            share = since_s / arrive_s
            x, y, heading = _way_in(bay, 1 - (1 - share) ** 1.8)
            cars.append(Car(x, y, heading, paint, lights=lit, braking=share > 0.6))
        elif since_s < leave_s:
            on = lit and (since_s < arrive_s + 1.5 or since_s > leave_s - 2.5)
            cars.append(Car(bay, _BAY_Y, np.pi / 2, paint, lights=on, braking=since_s > leave_s - 1.2))
            aside = bay - 1.25
            out = Walk(
                (Stop(aside, _BAY_Y + 0.2, 1.2, np.pi), Stop(aside, 14.2), Stop(-2.0, 8.0), Stop(-1.9, 3.4)), 1.3
            )
            back = Walk(
                (Stop(-1.9, 3.4), Stop(-2.0, 8.0), Stop(aside, 14.2), Stop(aside, _BAY_Y + 0.2, 1.5, 0.0, 0.6)), 1.3
            )
            who = out.at(since_s - arrive_s - 1.6, look) or back.at(since_s - (leave_s - back.length_s - 2.0), look)
            people += [who] if who else []
        elif since_s < leave_s + 14.0:
            since_s -= leave_s
            if since_s < 5.0:
                x, y, heading = _way_in(bay, 1 - 0.42 * _eased(since_s / 5.0))
                cars.append(Car(x, y, heading, paint, lights=lit, braking=True))
            else:
                x, y, _ = _way_in(bay, 0.58)
                gone = (since_s - 5.0) ** 2 * 0.6 + (since_s - 5.0) * 0.4
                if x - gone > -26:
                    cars.append(Car(x - gone, y, np.pi, paint, lights=lit))


def _eased(share: float) -> float:
    return share * share * (3 - 2 * share)


def _way_in(bay: float, share: float) -> tuple[float, float, float]:
    """Along the lane from the right, round a quarter of a circle, straight into the bay; share 0 to 1 of the way."""
    turn = _RADIUS * np.pi / 2
    straight = _BAY_Y - (_LANE_Y + _RADIUS)
    lane = max(6.0, 21.0 - (bay + _RADIUS))
    total = lane + turn + straight
    # The lane is taken in the first 0.58 of the way whatever its length, so that leaving knows where to stop.
    if share < 0.58:
        return bay + _RADIUS + lane * (1 - share / 0.58), _LANE_Y, np.pi
    here = (share - 0.58) / 0.42 * (total - lane)
    if here < turn:
        angle = here / _RADIUS
        return (
            bay + _RADIUS - _RADIUS * float(np.sin(angle)),
            _LANE_Y + _RADIUS - _RADIUS * float(np.cos(angle)),
            np.pi - angle,
        )
    return bay, _LANE_Y + _RADIUS + here - turn, np.pi / 2


def _thin_shadow(x: float, y: float, tall: float) -> Points:
    dx, dy = -_SUN[0] / _SUN[2] * tall, -_SUN[1] / _SUN[2] * tall
    return quad(
        (x - 0.06, y + 0.04, 0),
        (x + 0.06, y - 0.04, 0),
        (x + dx + 0.06, y + dy - 0.04, 0),
        (x + dx - 0.06, y + dy + 0.04, 0),
    )


def _round_shadow(x: float, y: float, tall: float) -> Points:
    dx, dy = -_SUN[0] / _SUN[2] * tall * 0.75, -_SUN[1] / _SUN[2] * tall * 0.75
    turns = np.linspace(0, 2 * np.pi, 13)[:-1]
    return np.stack(
        [x + dx + tall * 0.3 * np.cos(turns), y + dy + tall * 0.27 * np.sin(turns), np.full(12, 0.01)], axis=1
    )
