# SPDX-License-Identifier: Apache-2.0
"""What the recorder says about its streams, as records, and what is said in its place when it is silent."""

from __future__ import annotations

from typing import Any

import msgspec

from closedcircuit.model import State

NOT_RUNNING = "the recorder is not running"
SILENT = "the recorder does not answer"
NOT_YET = "the recorder has not taken up this camera yet"


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """State of one stream (docs/design/processes.md). Fields that a recorder does not send keep their default."""

    state: State
    since_90k: int
    why: str = ""  # a sentence; empty when all is well
    codec: str = ""
    width: int = 0  # pixels
    height: int = 0
    fps: float = 0.0
    kbps: float = 0.0
    audio: str = ""  # codec of the sound; empty without
    run: str = ""
    clock_offset_ms: float | None = None
    clock_drift_ppm: float | None = None
    lost_packets: int = 0
    reconnects: int = 0
    last_sample_90k: int | None = None
    dropped_live: int = 0


def absent(since_90k: int, why: str) -> StreamState:
    """Return the state of a stream that nobody reports on."""
    return StreamState(state=State.GONE, since_90k=since_90k, why=why)


def lapsed(last: StreamState, since_90k: int, why: str) -> StreamState:
    """Return what is true of a stream once its recorder went silent: gone, with what it was kept for the eye.

    A camera that was paused stays paused: nobody expects pictures of it.
    """
    if last.state is State.PAUSED:
        return last
    if last.state is State.GONE and last.why == why:
        return last
    return msgspec.structs.replace(last, state=State.GONE, since_90k=since_90k, why=why, fps=0.0, kbps=0.0)


class Hello(msgspec.Struct, frozen=True):
    """HELLO: who a recorder is, and the cameras that it takes care of."""

    pid: int
    version: str
    cameras: tuple[str, ...]


class States(msgspec.Struct, frozen=True):
    """STATE: all cameras of one recorder."""

    at_90k: int
    cameras: dict[str, dict[str, StreamState]]


class Edge(msgspec.Struct, frozen=True):
    """EDGE: a fragment is on disk up to here."""

    camera: str
    stream: str
    end_90k: int


class Problem(msgspec.Struct, frozen=True):
    """What went wrong with a test, for a person."""

    code: str
    message: str
    remedy: str = ""


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What trying a camera showed."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    ok: bool
    tracks: tuple[dict[str, Any], ...] = ()
    first_picture_ms: float | None = None
    fps: float | None = None
    kbps: float | None = None
    error: Problem | None = None


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """TESTED: the answer to the TEST of this id; the other fields are TestResult's."""

    id: str
    ok: bool
    tracks: tuple[dict[str, Any], ...] = ()
    first_picture_ms: float | None = None
    fps: float | None = None
    kbps: float | None = None
    error: Problem | None = None

    def result(self) -> TestResult:
        """Return it without the id."""
        return TestResult(
            ok=self.ok,
            tracks=self.tracks,
            first_picture_ms=self.first_picture_ms,
            fps=self.fps,
            kbps=self.kbps,
            error=self.error,
        )


def failed(code: str, message: str, remedy: str) -> TestResult:
    """Return the result of a test that could not even be made."""
    return TestResult(ok=False, error=Problem(code=code, message=message, remedy=remedy))
