# SPDX-License-Identifier: Apache-2.0
"""When the disks will be full, if things go on as in the last days."""

from __future__ import annotations

import math

import msgspec

from closedcircuit.catalogue._retention import Limits, Policy
from closedcircuit.catalogue._segments import DAY_90K
from closedcircuit.db import Tx

DAYS_LOOKED_BACK = 7
DAYS_LOOKED_AHEAD = 3650
_SHORTEST_DAYS = 1 / 24
"""A rate is taken over at least an hour: the first minutes of a new site say nothing about its years."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """`days_until_full` None: retention keeps it from ever being full. Zero: it is full now."""

    days_until_full: float | None
    bytes_per_day: dict[str, int]  # by camera, as written lately
    keeps_bytes: int | None  # what all cameras take once retention is in balance; None: some grow for ever


def rates(tx: Tx, now_90k: int) -> dict[str, int]:
    """Bytes a day by camera over the last week, or since the camera's first footage in it."""
    first_day = now_90k // DAY_90K - DAYS_LOOKED_BACK + 1
    rows = tx.read(
        "select c.name, sum(y.size_bytes), min(y.day), y.stream_id from day y join stream s on s.id = y.stream_id"
        " join camera c on c.id = s.camera_id where y.day between ? and ? group by c.id",
        (first_day, now_90k // DAY_90K),
    )
    found: dict[str, int] = {}
    for camera, size, day, stream_id in rows:
        start = tx.read(
            "select min(start_90k) from segment where stream_id = ? and start_90k >= ?", (stream_id, day * DAY_90K)
        )[0][0]
        days = max(_SHORTEST_DAYS, (now_90k - max(start or 0, first_day * DAY_90K)) / DAY_90K)
        found[camera] = round(size / days)
    return found


def forecast(tx: Tx, policy: Policy, now_90k: int, free_bytes: int) -> Forecast:
    """Go forward a day at a time: each camera writes as lately, and loses what passes its limits.

    `free_bytes`: on all disks together, above their reserves. Holds are not foreseen: what they keep back makes the
    true day earlier, by at most what is held.
    """
    per_day = rates(tx, now_90k)
    stored: dict[str, dict[int, int]] = {}
    for camera, day, size in tx.read(
        "select c.name, y.day, sum(y.size_bytes) from day y join stream s on s.id = y.stream_id"
        " join camera c on c.id = s.camera_id group by c.id, y.day"
    ):
        stored.setdefault(camera, {})[day] = size
    today = now_90k // DAY_90K
    growth = [0.0] * (DAYS_LOOKED_AHEAD + 1)  # bytes more on day n than on the day before
    for_ever = 0.0  # and on every day, of cameras without any limit
    balance: int | None = 0
    for camera in stored.keys() | per_day.keys():
        limits, rate, days = policy.limits(camera), per_day.get(camera, 0), stored.get(camera, {})
        if limits.keep_90k is None and limits.keep_bytes is None:
            for_ever += rate
            settled = None if rate else sum(days.values())
        else:
            settled = _grow(growth, days, rate, limits, today)
        balance = None if balance is None or settled is None else balance + settled
    full = _full([g + for_ever for g in growth], free_bytes)
    return Forecast(days_until_full=full, bytes_per_day=per_day, keeps_bytes=balance)


def _grow(growth: list[float], stored: dict[int, int], rate: int, limits: Limits, today: int) -> int:
    """Add one camera's daily growth until it is in balance with its limits; return what it takes then."""
    total = float(sum(stored.values()))
    quota = math.inf if limits.keep_bytes is None else float(limits.keep_bytes)
    days = None if limits.keep_90k is None else max(1, math.ceil(limits.keep_90k / DAY_90K))
    ends = len(growth) if days is None else min(len(growth), days + 2)
    for ahead in range(1, ends):
        leaves = 0.0
        if days is not None:
            gone = today + ahead - days - 1
            leaves = float(stored.get(gone, 0))
            if ahead == 1:  # what is past its time already goes first
                leaves += sum(size for day, size in stored.items() if day < gone)
        change = min(total + rate - leaves, quota) - total
        growth[ahead] += change
        total += change
        if days is None and change == 0:
            break
    settled = [quota, math.inf if days is None else float(rate * (days + 1))]
    return round(min(settled))


def _full(growth: list[float], free_bytes: int) -> float | None:
    if free_bytes <= 0:
        return 0.0
    left = float(free_bytes)
    for ahead, change in enumerate(growth[1:], 1):
        if change > 0 and left <= change:
            return ahead - 1 + left / change
        left -= change
    return None
