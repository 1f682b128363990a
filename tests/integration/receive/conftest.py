# SPDX-License-Identifier: Apache-2.0
"""Clips made on the spot, and a receiver under the real clock."""

import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from closedcircuit.base import Secret, SystemClock, SystemIds
from closedcircuit.cameras import Receiver
from closedcircuit.cameras.fakes import CollectingSink
from closedcircuit.model import Source

SIZE = (320, 240)


def make_clip(
    path: Path, video: str, *, seconds: int = 6, audio: str = "", options: dict[str, str] | None = None
) -> Path:
    """A moving picture, and a tone where `audio` names a coder."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream(video, rate=25)
        picture.width, picture.height, picture.pix_fmt = *SIZE, "yuvj420p" if video == "mjpeg" else "yuv420p"
        picture.gop_size = 25
        picture.options = options or {}
        picture.codec_context.max_b_frames = int((options or {}).get("bf", "0"))
        sound = container.add_stream(audio, rate=48_000 if audio == "libopus" else 16_000) if audio else None
        if sound is not None:
            sound.layout = "mono"
        for number in range(seconds * 25):
            frame = av.VideoFrame(*SIZE, picture.pix_fmt)
            for index, plane in enumerate(frame.planes):
                row = bytes((number * 5 + at * (index + 1)) % 200 + 20 for at in range(plane.line_size))
                plane.update(row * plane.height)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        if sound is not None:
            rate = sound.codec_context.sample_rate
            for number in range(0, seconds * rate, 1024):
                block = av.AudioFrame(format="s16", layout="mono", samples=1024)
                block.planes[0].update(bytes((number + at) * 7 % 251 for at in range(block.planes[0].buffer_size)))
                block.sample_rate, block.pts, block.time_base = rate, number, Fraction(1, rate)
                resampled = av.AudioResampler(sound.codec_context.format.name, "mono", rate).resample(block)
                for piece in resampled:
                    piece.pts, piece.time_base = number, Fraction(1, rate)
                    container.mux(sound.encode(piece))
            container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> dict[str, Path]:
    """One of each kind."""
    folder = tmp_path_factory.mktemp("clips")
    plain = {"preset": "ultrafast", "tune": "zerolatency"}
    h265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none:bframes=0:keyint=25"}
    return {
        "h264": make_clip(folder / "h264.mp4", "libx264", options=plain),
        "h264-aac": make_clip(folder / "h264-aac.mp4", "libx264", audio="aac", options=plain),
        "h264-b": make_clip(
            folder / "h264-b.mp4",
            "libx264",
            options={"preset": "veryfast", "bf": "2", "x264-params": "b-adapt=0:scenecut=0"},
        ),
        "h265": make_clip(folder / "h265.mp4", "libx265", options=h265),
        "ts-aac": make_clip(folder / "both.ts", "libx264", audio="aac", options=plain),
        "mkv-opus": make_clip(folder / "opus.mkv", "libx264", audio="libopus", options=plain),
        "mjpeg": make_clip(folder / "mjpeg.avi", "mjpeg", seconds=4),
    }


class Watch:
    """A receiver that is swept until something is true."""

    def __init__(self) -> None:
        self.receiver = Receiver(SystemClock(), SystemIds())

    def add(self, address: str, username: str = "", password: str = "", name: str = "cam", **source) -> CollectingSink:
        sink = CollectingSink()
        self.receiver.add((name, "main"), Source(address=address, **source), username, Secret(password), sink)
        return sink

    def until(self, true: Callable[[], object], seconds: float = 20) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.receiver.sweep()
            if true():
                return True
            self.receiver.wait()
        return False

    def health(self, name: str = "cam") -> dict:
        return self.receiver.health((name, "main"))


@pytest.fixture
def watch():
    made = Watch()
    yield made
    made.receiver.close()


@pytest.fixture
def process():
    """Start foreign programs; they are ended with the test."""
    started: list[subprocess.Popen] = []

    def start(command: list[str], **more) -> subprocess.Popen:
        made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
        started.append(made)
        return made

    yield start
    for made in started:
        made.terminate()
        try:
            made.wait(5)
        except subprocess.TimeoutExpired:
            made.kill()
            made.wait(5)
        if made.stdout is not None:
            made.stdout.close()
