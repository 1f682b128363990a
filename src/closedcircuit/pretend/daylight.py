# SPDX-License-Identifier: Apache-2.0
"""A pretend day: twenty minutes from one morning to the next."""

from __future__ import annotations

DAY_S = 20 * 60.0
_DAY_ENDS, _DUSK_FULL, _NIGHT_BEGINS, _NIGHT_ENDS, _DAWN_FULL = 0.50, 0.56, 0.62, 0.90, 0.95
"""Shares of a day, from mid-morning on: 10 minutes of day, 2.4 of dusk, 5.6 of night, 2 of dawn."""


def daylight(elapsed_s: float) -> tuple[float, float, float]:
    """How much of the light is day, dusk and night; the three add up to 1. 0 s is a morning."""
    share = elapsed_s % DAY_S / DAY_S
    if share < _DAY_ENDS:
        return 1.0, 0.0, 0.0
    if share < _DUSK_FULL:
        dusk = _smooth((share - _DAY_ENDS) / (_DUSK_FULL - _DAY_ENDS))
        return 1 - dusk, dusk, 0.0
    if share < _NIGHT_BEGINS:
        night = _smooth((share - _DUSK_FULL) / (_NIGHT_BEGINS - _DUSK_FULL))
        return 0.0, 1 - night, night
    if share < _NIGHT_ENDS:
        return 0.0, 0.0, 1.0
    if share < _DAWN_FULL:
        dawn = _smooth((share - _NIGHT_ENDS) / (_DAWN_FULL - _NIGHT_ENDS))
        return 0.0, dawn, 1 - dawn
    day = _smooth((share - _DAWN_FULL) / (1 - _DAWN_FULL))
    return day, 1 - day, 0.0


def _smooth(x: float) -> float:
    return x * x * (3 - 2 * x)
