# SPDX-License-Identifier: Apache-2.0
"""The only clock.

Three times are kept apart, because mixing them is how recorders lose an hour:

* *media time*: what the camera stamped (RTP timestamps); never altered, only mapped;
* *wall time*: what people call the time. Integers of 1/90000 s since 1970-01-01 UTC, named `*_90k`. 90 kHz is the
  clock of RTP video (RFC 3551, 5.1), so a frame interval of any common rate is exact; and it fits a JavaScript number;
* *monotonic time*: for deadlines and durations inside one process, seconds as float, named `*_s`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

TICKS = 90_000
"""Wall-time units a second."""


class Clock(Protocol):
    """Where a room gets the time from. Every implementation is safe to call from any thread."""

    def now_90k(self) -> int:
        """Wall time now. May step backwards or forwards when somebody sets the machine's clock."""

    def monotonic_s(self) -> float:
        """Seconds that never step; meaningless outside this process."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""


class SystemClock:
    """The machine's clocks."""

    def now_90k(self) -> int:
        """Wall time now."""
        return ticks_of_ns(time.time_ns())

    def monotonic_s(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread; a negative time returns at once."""
        if seconds > 0:
            time.sleep(seconds)


class ManualClock:
    """A clock that tests move by hand. `step` moves wall time only, as an administrator setting the clock does."""

    def __init__(self, start_90k: int = 1_800_000_000 * TICKS) -> None:
        self._wall_90k = start_90k
        self._mono_s = 1000.0

    def now_90k(self) -> int:
        """Wall time now."""
        return self._wall_90k

    def monotonic_s(self) -> float:
        """Monotonic seconds now."""
        return self._mono_s

    def sleep(self, seconds: float) -> None:
        """Advance at once instead of blocking."""
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._mono_s += seconds
        self._wall_90k += round(seconds * TICKS)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        self._wall_90k += round(seconds * TICKS)


def ticks_of_ns(ns: int) -> int:
    """Nanoseconds since 1970 to 1/90000 s, rounded down."""
    return ns * 9 // 100_000


def iso(at_90k: int) -> str:
    """UTC, ISO 8601 with milliseconds: `2026-11-21T22:45:00.123Z`."""
    millis = at_90k // 90
    stamp = datetime.fromtimestamp(millis // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{stamp}.{millis % 1000:03d}Z"


def parse_iso(text: str) -> int:
    """ISO 8601 with an offset or `Z` to wall time; a text without an offset is taken as the machine's local time.

    Raises ValueError on anything else.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.astimezone()
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * TICKS + delta.microseconds * 9 // 100
