# SPDX-License-Identifier: Apache-2.0
"""How a stream is doing, in the words that viewers get: live, late, frozen, gone, since when and why.

Owned by the sweep thread.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from closedcircuit.base import TICKS
from closedcircuit.model import Cause, SenderReport, State, Track

WINDOW_S = 5
FROZEN_MIN_S = 2.0
LATE_90K = TICKS
DRIFT_AFTER_90K = 60 * TICKS


class Vitals:
    """Counters of one stream and the state that follows from them."""

    def __init__(self, now_90k: int) -> None:
        self.state = State.CONNECTING
        self.since_90k = now_90k
        self.why = ""
        self.run = ""
        self.frames = 0
        self.received_bytes = 0
        self.lost_packets = 0
        self.last_arrived_90k = 0
        self.delay_90k = 0  # how much later than the mapping says the last picture came
        self._runs = 0
        self._tracks: tuple[Track, ...] = ()
        self._connected_90k = 0
        self._failure = ""
        self._fps = 0.0
        self._kbps = 0
        self._marks: deque[tuple[int, int, int]] = deque(maxlen=WINDOW_S + 1)
        self._first_offset: tuple[int, int] | None = None  # wall time, camera's clock minus ours
        self._offset_90k: int | None = None
        self._drift_ppm: float | None = None

    def started(self, run: str, tracks: tuple[Track, ...], now_90k: int) -> None:
        """A run began."""
        self._runs += 1
        self.run, self._tracks, self._connected_90k = run, tracks, now_90k
        self.last_arrived_90k = 0
        self.delay_90k = 0
        self._marks.clear()
        self._first_offset = self._offset_90k = self._drift_ppm = None
        self._set(State.CONNECTING, now_90k, "connected, waiting for the first picture")

    def retrack(self, tracks: tuple[Track, ...]) -> None:
        """The coding changed."""
        self._tracks = tracks

    def ended(self, now_90k: int, cause: Cause, detail: str) -> None:
        """The run ended, or an attempt failed."""
        self.run, self._connected_90k = "", 0
        self._failure = detail or str(cause)
        self._set(State.GONE, now_90k, self._failure)

    def paused(self, now_90k: int, why: str) -> None:
        """Nobody asks the camera for anything."""
        self.run, self._connected_90k = "", 0
        self._set(State.PAUSED, now_90k, why)

    def clock_told(self, report: SenderReport, wall_90k: int) -> None:
        """The camera named its time for a moment that we place at `wall_90k`."""
        offset = report.camera_90k - wall_90k
        self._offset_90k = offset
        if self._first_offset is None:
            self._first_offset = wall_90k, offset
            return
        since, first = self._first_offset
        if wall_90k - since >= DRIFT_AFTER_90K:
            self._drift_ppm = round((offset - first) * 1e6 / (wall_90k - since), 1)

    def tick(self, now_90k: int) -> bool:
        """Once a second: rates and state. True when the state changed."""
        self._marks.append((now_90k, self.frames, self.received_bytes))
        then, frames, size = self._marks[0]
        if now_90k > then:
            seconds = (now_90k - then) / TICKS
            self._fps = round((self.frames - frames) / seconds, 1)
            self._kbps = round((self.received_bytes - size) * 8 / seconds / 1000)
        if not self._connected_90k:
            return False
        was = self.state
        silent_s = (now_90k - (self.last_arrived_90k or self._connected_90k)) / TICKS
        if silent_s > max(FROZEN_MIN_S, 4 / self._fps if self._fps else 0):
            self._set(State.FROZEN, now_90k, f"no picture for {silent_s:.0f} s, though connected")
        elif not self.last_arrived_90k:
            pass
        elif self.delay_90k > LATE_90K:
            self._set(State.LATE, now_90k, f"pictures come {self.delay_90k / TICKS:.1f} s late")
        else:
            self._set(State.LIVE, now_90k, "")
        return self.state is not was

    def arrived(self, now_90k: int) -> bool:
        """A picture came while the state was another than live; True when that changes the state."""
        if self.state is State.LATE:
            return False
        self._set(State.LIVE, now_90k, "")
        return True

    def _set(self, state: State, now_90k: int, why: str) -> None:
        if state is not self.state:
            self.state, self.since_90k = state, now_90k
        self.why = why

    def report(self, dropped_live: int) -> dict[str, Any]:
        """`StreamState` of docs/design/processes.md."""
        video = self._tracks[0] if self._tracks else None
        audio = self._tracks[1] if len(self._tracks) > 1 else None
        offset = self._offset_90k
        return {
            "state": self.state,
            "since_90k": self.since_90k,
            "why": self.why,
            "codec": video.codec if video else "",
            "width": video.width if video else 0,
            "height": video.height if video else 0,
            "fps": self._fps if self._connected_90k else 0.0,
            "kbps": self._kbps if self._connected_90k else 0,
            "audio": audio.codec if audio else "",
            "run": self.run,
            "clock_offset_ms": None if offset is None else round(offset / 90),
            "clock_drift_ppm": self._drift_ppm,
            "lost_packets": self.lost_packets,
            "reconnects": max(0, self._runs - 1),
            "last_sample_90k": self.last_arrived_90k,
            "dropped_live": dropped_live,
        }
