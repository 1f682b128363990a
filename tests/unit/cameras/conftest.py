# SPDX-License-Identifier: Apache-2.0
"""A receiver and fake cameras under one manual clock."""

import pytest

from closedcircuit.base import ManualClock, Secret, SeededIds
from closedcircuit.cameras import Receiver
from closedcircuit.cameras.fakes import CollectingSink, FakeCamera, Manners, drive, made_up_frames
from closedcircuit.model import Source


class Stage:
    """One receiver, any number of fake cameras, one clock that tests move."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.receiver = Receiver(self.clock, SeededIds())
        self.cameras: list[FakeCamera] = []

    def camera(self, frames=None, *, codec="h264", tls=None, **manners) -> FakeCamera:
        frames = frames if frames is not None else made_up_frames(250, codec=codec)
        camera = FakeCamera(frames, self.clock, Manners(**manners), codec=codec, tls=tls)
        self.cameras.append(camera)
        return camera

    def watch(self, address: str, username="", password="", name="cam", **source) -> CollectingSink:
        sink = CollectingSink()
        self.receiver.add((name, "main"), Source(address=address, **source), username, Secret(password), sink)
        return sink

    def run(self, seconds: float, *more) -> None:
        drive(self.clock, seconds, [*[camera.sweep for camera in self.cameras], self.receiver.sweep, *more])

    def until(self, true, seconds: float = 30) -> None:
        end = self.clock.monotonic_s() + seconds
        while not true():
            assert self.clock.monotonic_s() < end, "it did not come to pass"
            self.run(0.04)

    def health(self, name="cam") -> dict:
        return self.receiver.health((name, "main"))

    def close(self) -> None:
        self.receiver.close()
        for camera in self.cameras:
            camera.close()


@pytest.fixture
def stage():
    made = Stage()
    yield made
    made.close()
