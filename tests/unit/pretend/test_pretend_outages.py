# SPDX-License-Identifier: Apache-2.0
"""Outages keep to their habit, and are the same every time."""

from __future__ import annotations

from closedcircuit.pretend.outages import OutageHabit, Outages, Presence

HABIT = OutageHabit(every_s=(60.0, 120.0), length_s=(5.0, 20.0), stalls=0.5)


def stretches(seed: bytes) -> list[tuple[Presence, float]]:
    outages = Outages(HABIT, seed)
    found: list[tuple[Presence, float]] = []
    for tick in range(36_000):
        what = outages.at(tick / 10)
        if not found or found[-1][0] is not what:
            found.append((what, 0.0))
        found[-1] = (what, found[-1][1] + 0.1)
    return found[:-1]


def test_they_keep_to_their_habit():
    found = stretches(b"door")
    assert found[0][0] is Presence.THERE
    kinds = {what for what, _ in found}
    assert kinds == {Presence.THERE, Presence.STALLED, Presence.GONE}
    for what, seconds in found:
        low, high = HABIT.every_s if what is Presence.THERE else HABIT.length_s
        assert low - 0.2 <= seconds <= high + 0.2


def test_a_seed_is_a_timetable():
    assert stretches(b"door") == stretches(b"door")
    assert stretches(b"door") != stretches(b"gate")
