# SPDX-License-Identifier: Apache-2.0
"""How often somebody may guess."""

from __future__ import annotations

import ipaddress
import threading
from collections import deque

from closedcircuit.base import Clock
from closedcircuit.base.errors import TooManyTries

WINDOW_S = 60.0
PER_PLACE = 5
"""Failures a minute from one address (one /64 of IPv6, which is what one household has)."""

OVERALL = 60
"""Failures a minute from everywhere together: many addresses guess no faster than this."""

PLACES_MAX = 4096
"""Addresses remembered. Overflow rule: those longest unheard of are forgotten; `OVERALL` still holds."""


class LoginLimit:
    """Counts failed tries in memory; a restart forgives. Safe from any thread (`_lock` guards everything).

    A try is counted before it is judged, so that a hundred at once are not all let through; success takes it back.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tries: dict[str, deque[float]] = {}
        self._all: deque[float] = deque()

    def enter(self, address: str) -> None:
        """Count a try. Raises TooManyTries when this place, or everybody together, had enough."""
        place = place_of(address)
        with self._lock:
            now_s = self._clock.monotonic_s()
            mine = self._tries.pop(place, deque())
            self._tries[place] = mine
            while len(self._tries) > PLACES_MAX:
                self._tries.pop(next(iter(self._tries)))
            wait_s = max(_wait(mine, PER_PLACE, now_s), _wait(self._all, OVERALL, now_s))
            if wait_s > 0:
                seconds = int(wait_s) + 1
                raise TooManyTries(
                    f"Too many wrong answers. Try again in {seconds} seconds.",
                    retry_after_s=seconds,
                    remedy="Wait; if it was not you, somebody is guessing.",
                )
            mine.append(now_s)
            self._all.append(now_s)

    def forgive(self, address: str) -> None:
        """Take back the last try of a place, because it was right, and those before it."""
        with self._lock:
            for at_s in self._tries.pop(place_of(address), ()):
                if at_s in self._all:
                    self._all.remove(at_s)


def place_of(address: str) -> str:
    """Reduce an address to the place that it stands for; text that is no address is its own place."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)


def _wait(tries: deque[float], most: int, now_s: float) -> float:
    """Forget what is older than the window; return seconds until the next try is allowed, 0 when it is."""
    while tries and now_s - tries[0] >= WINDOW_S:
        tries.popleft()
    return 0.0 if len(tries) < most else tries[-most] + WINDOW_S - now_s
