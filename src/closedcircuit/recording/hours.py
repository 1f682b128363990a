# SPDX-License-Identifier: Apache-2.0
"""The hours of the week at which a camera records, in the site's local time.

A moment is looked up by the local wall clock's weekday and minute, so a day of 23 or 25 hours needs no special case:
"08:00 to 18:30" is what the clock on the wall says.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

from closedcircuit.base import TICKS
from closedcircuit.base.errors import ConfigError
from closedcircuit.model import Weekly

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z|24:00\Z")


def minutes(text: str) -> int:
    """`"18:30"` to minutes since midnight; `"24:00"` is 1440. Raises ConfigError."""
    found = _CLOCK.match(text)
    if found is None:
        raise ConfigError(f"{text!r} is no time of day", remedy='Write it as "08:00" or "18:30".')
    return 1440 if found[1] is None else int(found[1]) * 60 + int(found[2])


def check_hours(schedule: tuple[Weekly, ...]) -> None:
    """Raise ConfigError where a day or a time is none."""
    for entry in schedule:
        minutes(entry.from_)
        minutes(entry.to)
        strange = [day for day in entry.days if day not in DAYS]
        if strange or not entry.days:
            raise ConfigError(f"{strange or 'no day'} in a schedule", remedy=f"Days are {', '.join(DAYS)}.")


def is_within(schedule: tuple[Weekly, ...], at_90k: int, zone: tzinfo | None = None) -> bool:
    """Say whether the schedule has this moment. `zone` None: the machine's own."""
    local = datetime.fromtimestamp(at_90k // TICKS, UTC).astimezone(zone)
    now, today, yesterday = local.hour * 60 + local.minute, DAYS[local.weekday()], DAYS[local.weekday() - 1]
    for entry in schedule:
        begin, end = minutes(entry.from_), minutes(entry.to)
        if begin < end:
            if today in entry.days and begin <= now < end:
                return True
        elif (today in entry.days and now >= begin) or (yesterday in entry.days and now < end):
            return True
    return False
