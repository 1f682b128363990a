# SPDX-License-Identifier: Apache-2.0
"""A camera's stream without a camera, and an outlet without a disk, for the tests of this room and of those above."""

from __future__ import annotations

from collections.abc import Iterator

from closedcircuit.base import TICKS
from closedcircuit.model import PacketSink, Sample, Track, TrackKind
from closedcircuit.recording.account import Reason
from closedcircuit.recording.pieces import Piece, Plan

# Parameter sets of a 64x48 stream, as x264 makes them.
_SPS = bytes.fromhex("6742c00ad90911f9f0110000030001000003003c0f142b90")
_PPS = bytes.fromhex("68cb83cb20")
VIDEO = Track(
    kind=TrackKind.VIDEO,
    codec="h264",
    codec_string="avc1.42c00a",
    timescale=90_000,
    config=bytes((1, _SPS[1], _SPS[2], _SPS[3], 0xFF, 0xE1))
    + len(_SPS).to_bytes(2, "big") + _SPS + b"\1" + len(_PPS).to_bytes(2, "big") + _PPS,
    width=64,
    height=48,
)  # fmt: skip
SOUND = Track(
    kind=TrackKind.AUDIO,
    codec="aac",
    codec_string="mp4a.40.2",
    timescale=16_000,
    config=bytes.fromhex("1408"),
    channels=1,
)


class Acted:
    """Acts as a source: gives a sink the samples of a stream, second by second."""

    def __init__(
        self, sink: PacketSink, *, fps: int = 25, gop_s: float = 2.0, size: int = 400, audio: bool = False
    ) -> None:
        self.sink = sink
        self.tracks = (VIDEO, SOUND) if audio else (VIDEO,)
        self.pts = 0
        self.frame = 0
        self._step, self._gop, self._size, self._audio = TICKS // fps, round(fps * gop_s), size, audio
        self._audio_pts = 0

    def start(self, at_90k: int) -> None:
        """Begin a run."""
        self.pts = self.frame = self._audio_pts = 0
        self.sink.started(self.tracks, at_90k)

    def frames(self, count: int, now_90k: int) -> int:
        """Give `count` pictures, each arriving as it is taken, the first at `now_90k`; return when the next is due."""
        for _ in range(count):
            self.sink.sample(self.picture(now_90k))
            if self._audio:
                for sample in self._sound(now_90k):
                    self.sink.sample(sample)
            now_90k += self._step
        return now_90k

    def picture(self, arrived_90k: int) -> Sample:
        """The next picture: a length, a NAL header, and a text that a scan for plaintext would find.

        The text begins late: up to 15 bytes after a NAL header stay clear (docs/design/footage.md, "Sealing").
        """
        key = self.frame % self._gop == 0
        text = b"PLAINTEXT %08d " % self.frame
        nal = ((b"\x65" if key else b"\x41") + bytes(19) + text * (self._size // len(text) + 1))[: self._size]
        sample = Sample(1, self.pts, key, self._size + 4, [self._size.to_bytes(4, "big"), nal], arrived_90k)
        self.frame += 1
        self.pts += self._step
        return sample

    def _sound(self, arrived_90k: int) -> Iterator[Sample]:
        while self._audio_pts * TICKS < self.pts * 16_000:
            yield Sample(2, self._audio_pts, True, 64, [b"PLAINTEXT SOUND " * 4], arrived_90k)
            self._audio_pts += 1024


class MemoryOutlet:
    """Takes every piece, or refuses as told."""

    def __init__(self) -> None:
        self.pieces: list[tuple[Plan, Piece]] = []
        self.opened: list[Plan] = []
        self.closed: list[Plan] = []
        self.no_disk: Reason | None = None
        self.is_full = False

    def open(self, plan: Plan, wished: str) -> Reason | None:
        """See `Outlet.open`."""
        if self.no_disk is None:
            plan.disk = wished or "memory"
            self.opened.append(plan)
        return self.no_disk

    def write(self, plan: Plan, piece: Piece) -> bool:
        """See `Outlet.write`."""
        if self.is_full:
            return False
        self.pieces.append((plan, piece))
        return True

    def close(self, plan: Plan) -> None:
        """See `Outlet.close`."""
        self.closed.append(plan)
