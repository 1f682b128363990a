# SPDX-License-Identifier: Apache-2.0
"""From a camera's media time to wall time.

A run is anchored by arrival: the sample that came with the least delay says where media time zero lies on the wall
clock. From then on the mapping only bends, by at most 500 ppm towards arrival, so that wall time never jumps inside a
run, however the network stutters (Moonfire NVR's `design/time.md` argues the same bound).

Units: both times in 1/90000 s. Owned by the sweep thread.
"""

from __future__ import annotations

from closedcircuit.base import TICKS

SLEW_MAX_PPM = 500
CORRECT_WITHIN_S = 10
"""How fast an error would be taken out if the bound above did not limit it."""
_NOTHING = 1 << 62


class WallMap:
    """The mapping of one run. `wall` is strictly increasing in `pts`."""

    __slots__ = ("_base_pts", "_base_wall", "_low", "_ppm", "settled")

    def __init__(self, pts: int, arrived_90k: int) -> None:
        self._base_pts, self._base_wall = pts, arrived_90k
        self._ppm = 0
        self._low = arrived_90k - pts  # least (arrival - pts) since the last settle
        self.settled = False

    def wall(self, pts: int) -> int:
        """Wall time of a media time."""
        ahead = pts - self._base_pts
        return self._base_wall + ahead + ahead * self._ppm // 1_000_000

    def observe(self, pts: int, arrived_90k: int) -> None:
        """Learn from a sample's arrival. The least delayed one counts: delays only ever make things look later."""
        low = arrived_90k - pts
        self._low = min(self._low, low)

    def error(self, pts: int) -> int:
        """How much later the best arrival was than the mapping says; negative: the mapping is in the future."""
        return self._low - (self.wall(pts) - pts)

    def settle(self, pts: int) -> int:
        """Take in what was observed; call at a fragment's cut with the pts of the sample after it.

        The first time, the anchor itself moves (backwards only: the first sample may have been a delayed one).
        Later only the rate bends. Returns the jump made, 0 after the first time.
        """
        jump = 0
        if self._low == _NOTHING:
            return 0
        if not self.settled:
            jump = self.error(pts)
            self._base_wall += jump
            self.settled = True
        else:
            wall, error = self.wall(pts), self.error(pts)
            self._base_pts, self._base_wall = pts, wall
            ppm = error * 1_000_000 // (CORRECT_WITHIN_S * TICKS)
            self._ppm = max(-SLEW_MAX_PPM, min(SLEW_MAX_PPM, ppm))
        self._low = _NOTHING
        return jump

    def move(self, by_90k: int) -> None:
        """Move everything from here on. For a correction of at most a millisecond, where two files meet."""
        self._base_wall += by_90k

    def clamp(self, pts: int, not_before_90k: int) -> int:
        """Move the anchor forward so that `pts` is not before `not_before_90k`; return by how much."""
        late = max(0, not_before_90k - self.wall(pts))
        self._base_wall += late
        return late
