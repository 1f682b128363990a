# SPDX-License-Identifier: Apache-2.0
"""Fakes: a sink that remembers, and a camera that serves RTSP on loopback and can misbehave in every way we know.

`FakeCamera` has no thread: call `sweep()` as often as the receiver's. With a ManualClock an hour takes a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from closedcircuit.base.clock import Clock
from closedcircuit.cameras.fakematerial import (
    H264_PPS,
    H264_SPS,
    H264_SPS_LARGE,
    H265_PPS,
    H265_SPS,
    H265_VPS,
    Frame,
    made_up_frames,
)
from closedcircuit.cameras.fakeserver import FakeCamera, Manners
from closedcircuit.model import Cause, Sample, SenderReport, Track

__all__ = [
    "H264_PPS",
    "H264_SPS",
    "H264_SPS_LARGE",
    "H265_PPS",
    "H265_SPS",
    "H265_VPS",
    "CollectingSink",
    "FakeCamera",
    "Frame",
    "Manners",
    "drive",
    "intervals",
    "made_up_frames",
    "payload_of",
]


class CollectingSink:
    """A PacketSink that keeps what it is given, in order."""

    def __init__(self) -> None:
        self.runs: list[tuple[tuple[Track, ...], int]] = []
        self.samples: list[Sample] = []
        self.changes: list[tuple[Track, ...]] = []
        self.reports: list[SenderReport] = []
        self.losses: list[str] = []
        self.ends: list[tuple[int, Cause, str]] = []
        self.calls: list[str] = []  # names, in order

    def started(self, tracks: tuple[Track, ...], at_90k: int) -> None:
        """Remember."""
        self.calls.append("started")
        self.runs.append((tracks, at_90k))

    def sample(self, sample: Sample) -> None:
        """Remember."""
        self.calls.append("sample")
        self.samples.append(sample)

    def changed(self, tracks: tuple[Track, ...]) -> None:
        """Remember."""
        self.calls.append("changed")
        self.changes.append(tracks)

    def sender_report(self, report: SenderReport) -> None:
        """Remember."""
        self.reports.append(report)

    def lost(self, at_90k: int, detail: str) -> None:  # noqa: ARG002 - the promise has it
        """Remember."""
        self.losses.append(detail)

    def ended(self, at_90k: int, cause: Cause, detail: str) -> None:
        """Remember."""
        self.calls.append("ended")
        self.ends.append((at_90k, cause, detail))

    @property
    def video(self) -> list[Sample]:
        """Pictures only."""
        return [sample for sample in self.samples if sample.track == 1]

    @property
    def audio(self) -> list[Sample]:
        """Sound only."""
        return [sample for sample in self.samples if sample.track == 2]


def drive(clock: Clock, seconds: float, parts: Iterable[Callable[[], object]], *, step_s: float = 0.04) -> None:
    """Let time pass, calling every part each step."""
    parts = list(parts)
    end_s = clock.monotonic_s() + seconds
    while clock.monotonic_s() < end_s:
        for part in parts:
            part()
        clock.sleep(step_s)


def intervals(samples: list[Sample]) -> set[int]:
    """Distances between the presentation times of consecutive samples."""
    return {after.pts - before.pts for before, after in pairwise(samples)}


def payload_of(sample: Sample) -> bytes:
    """The bytes of a sample in one piece."""
    return b"".join(bytes(part) for part in sample.parts)
