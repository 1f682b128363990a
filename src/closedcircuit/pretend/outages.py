# SPDX-License-Identifier: Apache-2.0
"""When a poor camera is away: a timetable made from a seed, so that a test knows what will happen."""

from __future__ import annotations

import enum
import hashlib

import msgspec


class Presence(enum.Enum):
    """What a camera does at a moment."""

    THERE = "there"
    STALLED = "stalled"  # the connection stands, and nothing comes
    GONE = "gone"  # connections are cut and refused


class OutageHabit(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long, seconds."""

    every_s: tuple[float, float]  # shortest and longest time between outages
    length_s: tuple[float, float]
    stalls: float  # share of the outages that are stalls, 0 to 1


class Outages:
    """The timetable of one camera, from the moment 0. Belongs to one thread: it remembers the current outage."""

    def __init__(self, habit: OutageHabit, seed: bytes) -> None:
        self._habit, self._seed = habit, seed
        self._index = -1
        self._start_s = self._end_s = 0.0
        self._kind = Presence.THERE
        self._next()

    def _next(self) -> None:
        self._index += 1
        digest = hashlib.sha256(self._seed + self._index.to_bytes(4, "big")).digest()
        gap, length, stall = (int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (0, 4, 8))
        low, high = self._habit.every_s
        self._start_s = self._end_s + low + gap * (high - low)
        low, high = self._habit.length_s
        self._end_s = self._start_s + low + length * (high - low)
        self._kind = Presence.STALLED if stall < self._habit.stalls else Presence.GONE

    def at(self, elapsed_s: float) -> Presence:
        """What the camera does; `elapsed_s` must not go back."""
        while elapsed_s >= self._end_s:
            self._next()
        return self._kind if elapsed_s >= self._start_s else Presence.THERE
