# SPDX-License-Identifier: Apache-2.0
"""The cameras of a small shop, drawn and served: the pretend site as a whole."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import TracebackType
from typing import Self

import msgspec

from closedcircuit.base import Clock, Ids
from closedcircuit.media.encode import VideoCoding
from closedcircuit.model import Camera, Recording, Source
from closedcircuit.pretend.artist import SceneArtist
from closedcircuit.pretend.backdoor import BackDoor
from closedcircuit.pretend.backdrop import Easel
from closedcircuit.pretend.carpark import CarPark
from closedcircuit.pretend.outages import OutageHabit, Outages, Presence
from closedcircuit.pretend.rtsp import Login
from closedcircuit.pretend.scene import Scene
from closedcircuit.pretend.server import Feed, RtspServer
from closedcircuit.pretend.shopfloor import ShopFloor
from closedcircuit.pretend.sounds import RoomSound
from closedcircuit.pretend.studio import AudioCoding, Output, Studio
from closedcircuit.pretend.till import Till

PASSWORD = "looks-like-a-camera"  # noqa: S105 - of cameras that exist only as drawings, told to everybody


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """One camera of the site."""

    id: str
    name: str
    scene: Callable[[], Scene]
    main: VideoCoding
    sub: VideoCoding | None
    audio: AudioCoding | None = None
    login: Login | None = None
    outages: OutageHabit | None = None


def _coding(codec: str, width: int, height: int, fps: str, quality: int, kbps_max: int) -> VideoCoding:
    rate = Fraction(fps)
    return VideoCoding(
        codec=codec,
        width=width,
        height=height,
        interval_90k=int(90_000 / rate),
        gop=int(2 * rate),
        quality=quality,
        kbps_max=kbps_max,
    )


SHOP = (
    Drawn(
        id="shop-floor",
        name="Shop floor",
        scene=ShopFloor,
        main=_coding("h264", 1280, 720, "12.5", 23, 2500),
        sub=_coding("h264", 640, 360, "12.5", 25, 700),
        audio=AudioCoding("aac", 16_000),
    ),
    Drawn(
        id="till",
        name="Till",
        scene=Till,
        main=_coding("h264", 1280, 720, "12.5", 23, 2500),
        sub=_coding("h264", 640, 360, "12.5", 25, 700),
        audio=AudioCoding("pcmu", 8_000),
        login=Login("digest", "admin", PASSWORD),
    ),
    Drawn(
        id="car-park",
        name="Car park",
        scene=CarPark,
        main=_coding("h265", 1024, 576, "10", 26, 1500),
        sub=_coding("h264", 640, 360, "10", 25, 700),
    ),
    Drawn(
        id="back-door",
        name="Back door",
        scene=BackDoor,
        main=_coding("h264", 1280, 720, "12.5", 23, 2500),
        sub=_coding("h264", 640, 360, "12.5", 25, 700),
        audio=AudioCoding("opus", 48_000),
        login=Login("basic", "admin", PASSWORD),
        outages=OutageHabit(every_s=(90.0, 270.0), length_s=(5.0, 20.0), stalls=0.3),
    ),
)


class PretendServer:
    """The site, or some of its cameras, in this process. Its threads end with `close`.

    Ports are chosen by the operating system unless told. Use as a context manager, or `start` and `close`.
    """

    def __init__(self, clock: Clock, ids: Ids, *, port: int = 0, cameras: tuple[Drawn, ...] = SHOP) -> None:
        self._clock = clock
        self._began_s, began_90k = clock.monotonic_s(), clock.now_90k()
        feeds: list[Feed] = []
        plans: list[tuple[Drawn, list[Output]]] = []
        for drawn in cameras:
            outputs = []
            presence = _presence(drawn, self._elapsed_s)
            for stream, coding in (("main", drawn.main), ("sub", drawn.sub)):
                if coding is None:
                    continue
                feed = Feed(f"{drawn.id}/{stream}", drawn.name, drawn.login)
                feed.is_open = lambda presence=presence: presence() is not Presence.GONE  # type: ignore[misc] # B023: bound now
                feed.is_flowing = lambda presence=presence: presence() is Presence.THERE  # type: ignore[misc] # as above
                feeds.append(feed)
                outputs.append(Output(feed, coding, drawn.audio if stream == "main" else None, ids))
            plans.append((drawn, outputs))
        self._server = RtspServer(clock, ids, feeds, port=port)
        self.port = self._server.port
        self._cameras = cameras
        easel = Easel(len(plans))
        self._studios = [
            Studio(
                self._server,
                clock,
                SceneArtist(drawn.scene(), drawn.name, (drawn.main.width, drawn.main.height), began_90k, easel),
                outputs,
                RoomSound(drawn.id, drawn.audio.rate) if drawn.audio else None,
            )
            for drawn, outputs in plans
        ]

    def _elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._began_s

    def start(self) -> None:
        """Serve."""
        self._server.start()
        for studio in self._studios:
            studio.start()

    def close(self) -> None:
        """Stop and wait for every thread."""
        for studio in self._studios:
            studio.close()
        self._server.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_whole(self) -> bool:
        """Whether every camera's thread still runs; False is a fault of ours, and the site has to be started anew."""
        return all(studio.is_alive for studio in self._studios)

    def cameras(self) -> list[Camera]:
        """The camera records that point here."""
        return [_camera(drawn, self.port) for drawn in self._cameras]


def _presence(drawn: Drawn, elapsed_s: Callable[[], float]) -> Callable[[], Presence]:
    if drawn.outages is None:
        return lambda: Presence.THERE
    outages = Outages(drawn.outages, drawn.id.encode())
    return lambda: outages.at(elapsed_s())


def _camera(drawn: Drawn, port: int) -> Camera:
    base = f"rtsp://127.0.0.1:{port}/{drawn.id}"
    return Camera(
        id=drawn.id,
        name=drawn.name,
        main=Source(address=f"{base}/main"),
        sub=Source(address=f"{base}/sub") if drawn.sub else None,
        username=drawn.login.username if drawn.login else "",
        recording=Recording(),
        pretend=True,
    )


def pretend_cameras(port: int) -> list[Camera]:
    """The camera records of the pretend site served at `port`."""
    return [_camera(drawn, port) for drawn in SHOP]


def pretend_passwords() -> dict[str, str]:
    """Passwords by camera id, of those that have one."""
    return {drawn.id: drawn.login.password for drawn in SHOP if drawn.login}
