# SPDX-License-Identifier: Apache-2.0
"""How large a role's process is, and keeping it small: the recorder shares small machines with everything else."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Any

import closedcircuit


def rss_bytes() -> int:
    """Memory of this process that is in RAM."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text("ascii").split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes, the most it ever was


def installed_version() -> str:
    """Version of this program, from the name of its metadata: reading it with `importlib.metadata` costs 2 MB."""
    home = Path(closedcircuit.__file__).resolve().parent.parent
    for folder in (home, *map(Path, sys.path)):
        for found in folder.glob("closedcircuit-*.dist-info"):
            return found.name.removesuffix(".dist-info").partition("-")[2]
    return "unknown"


def give_back() -> None:
    """Return memory that is free to the system, where the C library is glibc. Milliseconds.

    Pictures come in parts and go all at once: what lies between those that stay would otherwise never go back.
    """
    if _trim is not None:
        _trim(0)


_trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def cpu_s() -> float:
    """Processor time of this process so far, user and system."""
    times = os.times()
    return round(times.user + times.system, 3)
