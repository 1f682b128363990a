# SPDX-License-Identifier: Apache-2.0
"""Small cheap cameras for tests of other rooms: real streams of an empty yard, 320 by 180."""

from __future__ import annotations

import numpy as np

from closedcircuit.media.encode import VideoCoding
from closedcircuit.pretend.figure import Look, Pose
from closedcircuit.pretend.lens import Lens
from closedcircuit.pretend.outages import OutageHabit
from closedcircuit.pretend.props import box, floor
from closedcircuit.pretend.rtsp import Login
from closedcircuit.pretend.scene import Actor, Cast
from closedcircuit.pretend.site import Drawn
from closedcircuit.pretend.stage import Light, Stage, shade
from closedcircuit.pretend.studio import AudioCoding


class YardScene:
    """A floor, a block, and somebody who walks in a circle. Painted in a few milliseconds."""

    sun = (0.3, -0.4, 0.8)

    def lens(self, size: tuple[int, int]) -> Lens:
        """Where the camera hangs."""
        return Lens((0.0, -2.0, 3.0), (0.0, 5.0, 0.5), 60.0, size)

    def stage(self, size: tuple[int, int]) -> Stage:
        """Paint it."""
        stage = Stage(self.lens(size))
        stage.face(floor(-20, 20, 0, 40), shade("#8a8a86"))
        box(stage, (-0.5, 6.0, 0.0), (0.5, 7.0, 1.2), shade("#7c2f2f"))
        return stage

    def light(self, name: str) -> Light:
        """One light, weaker at night."""
        level = {"day": 0.7, "dusk": 0.35, "night": 0.1}[name]
        return Light(sky=(level, level, level), ground=(level / 2, level / 2, level / 2))

    def cast(self, elapsed_s: float, night: float) -> Cast:
        """Somebody at one turn in ten seconds."""
        turn = elapsed_s * 2 * np.pi / 10
        at = (2.2 * float(np.cos(turn)), 6.0 + 2.2 * float(np.sin(turn)), 0.0)
        tall = 1.6 if night else 1.75
        return Cast(people=(Actor(Look(tall=tall), Pose(elapsed_s % 1.0), at, turn + np.pi / 2),))


def small_camera(
    name: str,
    *,
    codec: str = "h264",
    audio: AudioCoding | None = None,
    sub: bool = False,
    login: Login | None = None,
    outages: OutageHabit | None = None,
) -> Drawn:
    """A camera for `PretendServer(cameras=...)`: 320 by 180, 12.5 a second, a key frame every two seconds."""
    coding = VideoCoding(codec=codec, width=320, height=180, interval_90k=7200, gop=25, quality=24, kbps_max=600)
    small = VideoCoding(codec="h264", width=160, height=90, interval_90k=7200, gop=25, quality=24, kbps_max=200)
    return Drawn(
        id=name,
        name=name.title(),
        scene=YardScene,
        main=coding,
        sub=small if sub else None,
        audio=audio,
        login=login,
        outages=outages,
    )
