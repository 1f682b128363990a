# SPDX-License-Identifier: Apache-2.0
"""What every role says of itself in its status file."""

from __future__ import annotations

import os
from typing import Any

from closedcircuit.app.footprint import cpu_s, installed_version, rss_bytes
from closedcircuit.base import Clock


class Vitals:
    """Made when a role starts; `now` is the beginning of each status that it writes."""

    def __init__(self, role: str, clock: Clock) -> None:
        self._clock = clock
        self._fixed = {
            "role": role,
            "pid": os.getpid(),
            "version": installed_version(),
            "started_90k": clock.now_90k(),
        }

    def now(self) -> dict[str, Any]:
        """Return role, pid, version, when it started, now, CPU seconds and memory."""
        return {**self._fixed, "at_90k": self._clock.now_90k(), "cpu_s": cpu_s(), "rss_bytes": rss_bytes()}
