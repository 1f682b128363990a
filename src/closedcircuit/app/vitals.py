# SPDX-License-Identifier: Apache-2.0
"""What every role says of itself in its status file."""

from __future__ import annotations

import os
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from closedcircuit.base import Clock


class Vitals:
    """Made when a role starts; `now` is the beginning of each status that it writes."""

    def __init__(self, role: str, clock: Clock) -> None:
        self._clock = clock
        self._fixed = {
            "role": role,
            "pid": os.getpid(),
            "version": version("closedcircuit"),
            "started_90k": clock.now_90k(),
        }

    def now(self) -> dict[str, Any]:
        """Return role, pid, version, when it started, now, CPU seconds and memory."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            **self._fixed,
            "at_90k": self._clock.now_90k(),
            "cpu_s": round(used.ru_utime + used.ru_stime, 3),
            "rss_bytes": _rss_bytes(used),
        }


def _rss_bytes(used: resource.struct_rusage) -> int:
    """Return this process's memory: now, where the system tells (Linux); else the most that it ever was."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return used.ru_maxrss if sys.platform == "darwin" else used.ru_maxrss * 1024
    return pages * resource.getpagesize()
