# SPDX-License-Identifier: Apache-2.0
"""A camera's clock against ours: offset now, and drift over the last hour."""

from __future__ import annotations

from collections import deque

from closedcircuit.base.clock import TICKS

EVERY_S = 15.0
KEEP = 240
MIN_S = 60.0


class ClockWatch:
    """Owned by the receiver's thread. Memory: `KEEP` pairs."""

    __slots__ = ("_points", "offset_ms")

    def __init__(self) -> None:
        self.offset_ms: float | None = None  # camera minus ours; the way here makes it a little too small
        self._points: deque[tuple[float, float]] = deque(maxlen=KEEP)

    def heard(self, camera_90k: int, ours_90k: int, now_s: float) -> None:
        """A sender report came."""
        offset_s = (camera_90k - ours_90k) / TICKS
        self.offset_ms = round(offset_s * 1000, 1)
        if self._points and abs(offset_s - self._points[-1][1]) > 1.0:
            self._points.clear()  # somebody set one of the clocks
        if not self._points or now_s - self._points[-1][0] >= EVERY_S:
            self._points.append((now_s, offset_s))

    @property
    def drift_ppm(self) -> float | None:
        """Millionths by which the camera's clock runs fast; None until a minute has been seen."""
        points = self._points
        if len(points) < 3 or points[-1][0] - points[0][0] < MIN_S:
            return None
        mean_t = sum(t for t, _ in points) / len(points)
        mean_o = sum(o for _, o in points) / len(points)
        above = sum((t - mean_t) * (o - mean_o) for t, o in points)
        return round(above / sum((t - mean_t) ** 2 for t, _ in points) * 1e6, 1)
