# SPDX-License-Identifier: Apache-2.0
"""One stream's way from the camera to its sink, over all its connections: what every kind of source shares.

A line is always in one of three states: waiting for the next attempt, opening, or flowing. It never gives up: attempts
come 1 s apart, doubling to 30 s, each stretched or shrunk at random by a quarter so that cameras behind one switch do
not come back all at once; a minute of good running forgets the failures.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any, Protocol

from closedcircuit.base.clock import Clock
from closedcircuit.base.errors import (
    CameraError,
    CameraRefused,
    CameraUnreachable,
    CertificateRefused,
    CircuitError,
    ConfigError,
    NetError,
    StreamBroken,
)
from closedcircuit.base.ids import Ids
from closedcircuit.cameras.clockwatch import ClockWatch
from closedcircuit.media.rtsp import Counts
from closedcircuit.model import Cause, PacketSink, State, Track

BACK_OFF_MAX_S = 30.0
GOOD_S = 60.0
POLL_S = 1.0
FROZEN_S = 3.0
LATE_S = 1.5
TOO_LATE_S = 10.0
TOO_LATE_FOR_S = 60.0
"""Pictures that stay `TOO_LATE_S` behind for so long will not catch up: a new connection begins with the present."""

_LOG = logging.getLogger("closedcircuit.cameras")


class Pull(Protocol):
    """One connection or one run of FFmpeg, whatever kind: what a line needs to know of it."""

    counts: Counts
    note: str
    tracks: tuple[Track, ...]

    @property
    def last_pts_90k(self) -> int:
        """Presentation time of the latest picture."""


class Line(ABC):
    """Owned by the receiver's thread. Subclasses open, sweep and close the connection itself."""

    def __init__(self, name: str, sink: PacketSink, clock: Clock, ids: Ids) -> None:
        self.name = name  # camera/stream, for the log
        self.error: CircuitError | None = None  # of the latest attempt, while there is no run
        self._sink, self._clock, self._ids = sink, clock, ids
        self._pull: Pull | None = None
        self._next_dial_s = 0.0
        self._failures = self._reconnects = 0
        self._state, self._since_90k, self._why = State.CONNECTING, clock.now_90k(), "connecting for the first time"
        self._next_poll_s = 0.0
        self._running_s = 0.0  # since when this run flows; 0: it does not
        self._lost_before = 0  # packets, over earlier connections
        self._window = (0.0, 0, 0)  # when, bytes and pictures then
        self._fps = self._kbps = 0.0
        self._run = 0  # of this connection: its times have a zero of their own
        self._lag_least = 0.0
        self._lag = self._too_late_s = 0.0  # how late; since when too late
        self.frozen_s = FROZEN_S  # longer for sources that come in large pieces
        self._clock_watch = ClockWatch()
        self._heard_90k = 0
        self._last_tracks: tuple[Track, ...] = ()
        self._last_picture_90k = 0

    # ------------------------------------------------------------------------------------------------ subclasses

    @abstractmethod
    def _open(self, now_s: float) -> Pull:
        """Begin an attempt. Raises CircuitError."""

    @abstractmethod
    def _step(self, view: memoryview, now_s: float, now_90k: int) -> None:
        """Do what can be done now without waiting. Raises CircuitError where the connection is of no more use."""

    @abstractmethod
    def _tick(self, now_s: float, now_90k: int) -> None:
        """Deadlines and the like, once a second. Raises CircuitError."""

    @abstractmethod
    def _shut(self, *, on_purpose: bool) -> None:
        """Close the connection; free all that it had."""

    # ------------------------------------------------------------------------------------------------ the sweep

    def sweep(self, view: memoryview, now_s: float, now_90k: int, *, may_dial: bool) -> bool:
        """One pass. True if it dialled. Never raises: a camera's fault is that camera's state."""
        try:
            if self._pull is None:
                if not may_dial or now_s < self._next_dial_s:
                    return False
                self._window = (now_s, 0, 0)
                self._next_poll_s = now_s + POLL_S
                self._pull = self._open(now_s)
                return True
            self._step(view, now_s, now_90k)
            if now_s >= self._next_poll_s:
                self._next_poll_s = now_s + POLL_S
                self._tick(now_s, now_90k)
                self._measure(now_s, now_90k)
        except CertificateRefused as error:
            self._fail(error, now_s, now_90k)
        except NetError as error:
            remedy = error.remedy or "Is the camera on, and does it not have too many viewers?"
            self._fail(CameraUnreachable(str(error), remedy=remedy), now_s, now_90k)
        except CircuitError as error:
            self._fail(error, now_s, now_90k)
        except Exception as error:  # noqa: BLE001 - one camera's fault, or ours about it, must not stop the others
            _LOG.exception("%s: a fault of ours", self.name)
            self._fail(CameraError(f"a fault of ours: {type(error).__name__}"), now_s, now_90k)
        return False

    def _fail(self, error: CircuitError, now_s: float, now_90k: int) -> None:
        """The attempt or the run is over: tell the sink, and say when to try again."""
        self.error = error
        cause, words = cause_of(error), str(error)
        if self._running_s and now_s - self._running_s >= GOOD_S:
            self._failures = 0
        if self._running_s:
            self._reconnects += 1
        wait_s = min(BACK_OFF_MAX_S, 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        self._next_dial_s = now_s + wait_s * (0.75 + self._ids.random(1)[0] / 512)
        self._close(on_purpose=False)
        self._become(State.GONE, words, now_90k)
        self._sink.ended(now_90k, cause, words)

    def _close(self, *, on_purpose: bool) -> None:
        if self._pull is not None:
            self._lost_before += self._pull.counts.lost_packets
        self._shut(on_purpose=on_purpose)
        self._pull = None
        self._run = 0
        self._running_s = self._fps = self._kbps = self._lag = self._too_late_s = 0.0

    def stop(self, now_90k: int) -> None:
        """Stop for good, on purpose: says goodbye to the camera, and ends the run where there is one."""
        was_running = self._pull is not None and bool(self._pull.tracks)
        self._close(on_purpose=True)
        self._become(State.PAUSED, "stopped on purpose", now_90k)
        if was_running:
            self._sink.ended(now_90k, Cause.PAUSED, "stopped on purpose")

    # ------------------------------------------------------------------------------------------------ health

    def _measure(self, now_s: float, now_90k: int) -> None:
        """Once a second: rates, lateness, the camera's clock, and what a viewer should be told."""
        pull = self._pull
        if pull is None:
            return
        counts = pull.counts
        then_s, then_bytes, then_pictures = self._window
        if now_s - then_s >= 2.0:
            passed = now_s - then_s
            self._kbps = (counts.bytes_in - then_bytes) * 8 / 1000 / passed
            self._fps = (counts.pictures - then_pictures) / passed
            self._window = (now_s, counts.bytes_in, counts.pictures)
        if counts.clock is not None and counts.clock_90k != self._heard_90k:
            self._heard_90k = counts.clock_90k
            self._clock_watch.heard(counts.clock.ntp_90k, counts.clock_90k, now_s)
        if not pull.tracks:
            return
        self._last_picture_90k = counts.last_picture_90k
        lag = counts.last_picture_s - pull.last_pts_90k / 90_000
        if not self._running_s:
            self._running_s, self.error = counts.first_key_s or now_s, None
        if counts.runs != self._run:
            self._run, self._lag_least = counts.runs, lag
        self._last_tracks = pull.tracks
        # The least lag seen is the way's own; it is forgotten slowly, for a camera's clock drifts.
        self._lag_least = min(lag, self._lag_least + 0.0005)
        self._lag = lag - self._lag_least
        self._check_lag(now_s)
        silent_s = now_s - counts.last_picture_s
        if silent_s > max(self.frozen_s, 2 * counts.interval_s):
            self._become(State.FROZEN, f"no picture for {silent_s:.0f} s", now_90k)
        elif self._lag > LATE_S:
            self._become(State.LATE, f"pictures come {self._lag:.1f} s late", now_90k)
        else:
            self._become(State.LIVE, pull.note, now_90k)

    def _check_lag(self, now_s: float) -> None:
        """Raise StreamBroken where pictures have been far too late for too long."""
        if self._lag < TOO_LATE_S:
            self._too_late_s = 0.0
        elif not self._too_late_s:
            self._too_late_s = now_s
        elif now_s - self._too_late_s > TOO_LATE_FOR_S:
            raise StreamBroken(
                f"pictures came {self._lag:.0f} s late", remedy="Is the network fast enough for this camera's bit rate?"
            )

    def _become(self, state: State, why: str, now_90k: int) -> None:
        if state is not self._state:
            self._state, self._since_90k = state, now_90k
        self._why = why

    def health(self) -> dict[str, Any]:
        """`StreamState` of docs/design/processes.md without what only recording knows."""
        tracks = self._last_tracks
        counts = self._pull.counts if self._pull is not None else None
        return {
            "state": self._state.value,
            "since_90k": self._since_90k,
            "why": self._why,
            "codec": tracks[0].codec if tracks else "",
            "width": tracks[0].width if tracks else 0,
            "height": tracks[0].height if tracks else 0,
            "fps": round(self._fps, 1),
            "kbps": round(self._kbps),
            "audio": tracks[1].codec if len(tracks) > 1 else "",
            "clock_offset_ms": self._clock_watch.offset_ms,
            "clock_drift_ppm": self._clock_watch.drift_ppm,
            "lost_packets": self._lost_before + (counts.lost_packets if counts else 0),
            "reconnects": self._reconnects,
            "last_sample_90k": counts.last_picture_90k
            if counts and counts.last_picture_90k
            else self._last_picture_90k,
        }


def cause_of(error: CircuitError) -> Cause:
    """The word for the gap ledger."""
    if isinstance(error, CameraRefused | CertificateRefused | ConfigError):
        return Cause.REFUSED
    if isinstance(error, NetError | CameraUnreachable):
        return Cause.UNREACHABLE
    return Cause.BROKEN
