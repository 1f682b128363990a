# SPDX-License-Identifier: Apache-2.0
"""What the sweep thread hands to a disk's thread, and what comes back."""

from __future__ import annotations

from typing import Protocol

import msgspec

from closedcircuit.model import Cause, Fragment, Sample, Track
from closedcircuit.recording.account import Reason, Said
from closedcircuit.vault import HourKey, SegmentKey


class Piece:
    """A fragment before it is sealed. Whoever holds it holds its samples: let go early."""

    __slots__ = ("end_90k", "key", "next_pts", "samples", "size", "start_90k", "start_pts")

    def __init__(self, samples: list[Sample], start_pts: int, next_pts: int, size: int) -> None:
        self.samples = samples
        self.start_pts = start_pts  # of its first picture
        self.next_pts = next_pts  # where its last picture ends
        self.size = size  # bytes
        self.key = samples[0].key
        self.start_90k = self.end_90k = 0  # wall time, filled in at the cut


class Plan:
    """A segment, from the decision to begin it until it is closed.

    The upper fields are set by the sweep thread at birth and never changed. The lower ones belong to the disk's thread;
    others may read `fragments` (it only grows) and `is_broken` (it only becomes true).
    """

    __slots__ = (
        "before", "camera", "disk", "fragments", "hour_key", "init_bytes", "is_broken", "key", "kid", "run", "sha256",
        "size_bytes", "start_90k", "stream", "tracks", "tracks_packed", "work", "zero_pts",
    )  # fmt: skip

    def __init__(self, camera: str, stream: str, run: str, tracks: tuple[Track, ...]) -> None:
        self.camera, self.stream, self.run, self.tracks = camera, stream, run, tracks
        self.hour_key: HourKey | None = None
        self.key: SegmentKey | None = None  # derived at birth: the hour key may be forgotten before the file is made
        self.kid = b""
        self.start_90k = 0
        self.zero_pts = 0  # media time of the first video sample, 90 kHz
        self.before: list[Said] = []
        self.disk = ""

        self.tracks_packed = b""
        self.init_bytes = 0
        self.size_bytes = 0
        self.sha256: bytes | None = None
        self.fragments: list[Fragment] = []
        self.is_broken = False
        self.work: object = None  # the open file and its writer


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """What became of a piece."""

    plan: Plan
    start_90k: int
    end_90k: int
    failed: Cause | None
    detail: str


class Outlet(Protocol):
    """Where a stream's pieces go. Called from the sweep thread only; never waits."""

    def open(self, plan: Plan, wished: str) -> Reason | None:
        """Choose a disk for a new segment (`wished`, where it is well) and set `plan.disk`.

        A reason: no disk can be used now.
        """

    def write(self, plan: Plan, piece: Piece) -> bool:
        """Queue a piece. False: no room in the queue, and the piece is forgotten (the caller accounts for it)."""

    def close(self, plan: Plan) -> None:
        """Queue the end of a segment. Always taken."""
