# SPDX-License-Identifier: Apache-2.0
"""Wall time as the 64-bit NTP timestamps of `prft` (RFC 5905, 6)."""

from __future__ import annotations

from typing import Final

from closedcircuit.base import TICKS

_FROM_1900: Final = 2_208_988_800  # seconds from 1900 to 1970
_ERA: Final = 1 << 32


def ntp_of_90k(at_90k: int) -> int:
    """Return the timestamp; eras are not told apart in it."""
    seconds, ticks = divmod(at_90k, TICKS)
    return (seconds + _FROM_1900) % _ERA << 32 | -(-(ticks << 32) // TICKS)


def ticks_of_ntp(ntp: int) -> int:
    """Return the wall time, exactly what `ntp_of_90k` was given, for the years 1968 to 2104."""
    seconds, fraction = ntp >> 32, ntp & 0xFFFF_FFFF
    if seconds < _ERA >> 1:
        seconds += _ERA
    return (seconds - _FROM_1900) * TICKS + (fraction * TICKS >> 32)
