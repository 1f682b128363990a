# SPDX-License-Identifier: Apache-2.0
"""From 32-bit RTP timestamps to presentation times of a run.

RTP time is unwrapped (RFC 3550, 5.1), never altered otherwise, except where a camera contradicts itself: a clock that
runs at another rate than it claims, or one that jumps. Both are judged against arrival and both are said in words.
"""

from __future__ import annotations

import msgspec

JUMP_S = 3.0
"""A timestamp that leaves arrival by more than this from one sample to the next is a jump of the camera's clock."""
RATES = (1000, 8000, 10_000, 11_025, 15_000, 16_000, 25_000, 30_000, 44_100, 45_000, 48_000, 60_000, 90_000)
RATES_FAST = (180_000, 1_000_000, 27_000_000)
SETTLE_S = 1.0
WINDOW_S = 2.0
"""Arrival is believed after `SETTLE_S` (servers begin with a burst of what they kept), in windows that agree."""


class Verdict(msgspec.Struct, frozen=True):
    """What watching the clock of a track showed."""

    rate: float  # units a second; 0: it does not tell the time at all
    words: str


class Timeline:
    """Presentation times of one track. Owned by the session's thread.

    `rate` is that of the RTP clock; 0 means that arrival tells the time. `timescale` is that of the times given out.
    """

    __slots__ = ("_extended", "_last_s", "_last_ts", "_offset", "jumps", "last_pts", "rate", "timescale")

    def __init__(self, rate: float, timescale: int) -> None:
        self.rate, self.timescale = rate, timescale
        self.jumps: list[float] = []  # seconds, the latest few; the owner takes them away
        self.last_pts = 0
        self._last_ts = -1
        self._extended = 0
        self._last_s = 0.0
        self._offset = 0  # in `timescale`: what is added to make the run's zero

    def pts(self, ts: int, now_s: float) -> int:
        """Time of the next sample in order of arrival: reordered and wrapped timestamps are fine."""
        if self._last_ts < 0:
            self._last_ts, self._last_s = ts, now_s
        delta = (ts - self._last_ts + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        self._extended += delta
        self._last_ts = ts
        rate = self.rate
        waited = now_s - self._last_s
        self._last_s = now_s
        if rate == self.timescale:
            pts = self._extended + self._offset
        elif rate:
            pts = round(self._extended * self.timescale / rate) + self._offset
        else:
            pts = round(now_s * self.timescale) + self._offset
            if pts <= self.last_pts and delta:
                pts = self.last_pts + 1
            self.last_pts = pts
            return pts
        if delta > JUMP_S * rate or delta < -JUMP_S * rate:
            pts = self._bridge(pts, delta / rate, waited)
        self.last_pts = pts
        return pts

    def _bridge(self, pts: int, moved_s: float, waited_s: float) -> int:
        """The camera's clock jumped, or nothing came for long: go on where arrival says."""
        jump_s = moved_s - waited_s
        if abs(jump_s) <= JUMP_S:
            return pts
        correction = round(jump_s * self.timescale)
        self._offset -= correction
        self.jumps = [*self.jumps[-3:], jump_s]
        return pts - correction

    def place(self, pts: int) -> None:
        """Make the sample just given the one at `pts`."""
        self._offset += pts - self.last_pts
        self.last_pts = pts

    def shift(self, ticks: int) -> None:
        """Move all that follows, in `timescale`."""
        self._offset += ticks
        self.last_pts += ticks

    def at(self, ts: int) -> int | None:
        """Where a timestamp lies that is no sample's (a sender report's, RTP-Info's); None before the first sample."""
        if self._last_ts < 0 or not self.rate:
            return None
        delta = (ts - self._last_ts + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        return round((self._extended + delta) * self.timescale / self.rate) + self._offset


class RateCheck:
    """Watches the first seconds of a video track: whether its clock runs at the rate that it claims.

    An overloaded camera is slow as well, so a claim is believed within a quarter; a rate that is only somewhat off has
    to be a usual one and to show four times, one that is far off twice.
    """

    __slots__ = ("_began_s", "_extended", "_last_ts", "_rates", "_seen", "_window_s", "_window_ts", "claimed", "done")

    def __init__(self, claimed: float) -> None:
        self.claimed = claimed
        self.done = False
        self._began_s = self._window_s = -1.0
        self._last_ts = -1
        self._extended = self._window_ts = self._seen = 0
        self._rates: list[float] = []

    def watch(self, ts: int, now_s: float) -> Verdict | None:
        """Tell it of each access unit; a Verdict once, where the claim is wrong. `done` when it has seen enough."""
        if self._last_ts >= 0:
            self._extended += (ts - self._last_ts + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        else:
            self._began_s = now_s
        self._last_ts = ts
        self._seen += 1
        if self._window_s < 0:
            if now_s - self._began_s >= SETTLE_S:
                self._window_s, self._window_ts, self._seen = now_s, self._extended, 0
            return None
        passed = now_s - self._window_s
        if passed < WINDOW_S or self._seen < 4:
            return None
        self._rates.append((self._extended - self._window_ts) / passed)
        self._window_s, self._window_ts, self._seen = now_s, self._extended, 0
        return self._judge()

    def _judge(self) -> Verdict | None:
        rates, claimed = self._rates, self.claimed
        if abs(rates[-1] - claimed) < 0.25 * claimed:
            self.done = True
            return None
        mean = sum(rates) / len(rates)
        far = not 0.4 * claimed < mean < 2.5 * claimed
        if len(rates) < (2 if far else 4):
            return None
        self.done = True
        if max(rates) - min(rates) > 0.1 * max(abs(mean), 1.0):
            # They do not agree. Somewhere near the claim that is an uneven way here; far from it there is no clock.
            return Verdict(0, "its timestamps do not tell the time: arrival does") if far else None
        near = min((*RATES, *RATES_FAST), key=lambda rate: abs(rate - mean) / rate)
        if abs(near - mean) < 0.05 * near:
            return Verdict(near, f"its timestamps count {near} a second, not {claimed:g} as it says: corrected")
        if not far:
            return None  # an overloaded camera, more likely
        if mean > 1:
            return Verdict(mean, f"its timestamps count about {mean:.0f} a second, not {claimed:g}: corrected")
        return Verdict(0, "its timestamps do not tell the time: arrival does")
