# SPDX-License-Identifier: Apache-2.0
"""Playing one role in a process of its own: `python -m closedcircuit.app.role recorder --data DIR`.

What every role gets here: no core dumps (they would hold keys), an end when the supervisor ends (a recorder that
outlives it would fight with the next one), and a stop event set by SIGTERM or SIGINT.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from closedcircuit.base import CircuitError, Clock, Ids, SystemClock, SystemIds

RoleMain = Callable[[Path, Clock, Ids, threading.Event], int]

ROLES: dict[str, tuple[str, str]] = {
    "pretend": ("closedcircuit.app.pretending", "run_pretend"),
    "recorder": ("closedcircuit.app.recorder", "run_recorder"),
    "keeper": ("closedcircuit.app.keeper", "run_keeper"),
    "web": ("closedcircuit.api.serve", "run_web"),
}
"""In starting order: cameras first, so that the recorder's first attempt succeeds."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def play_role(name: str, data_dir: Path) -> int:
    """Run a role until it is told to stop; return the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    _harden()
    module, function = ROLES[name]
    main: RoleMain = getattr(importlib.import_module(module), function)
    try:
        return main(data_dir, SystemClock(), SystemIds(), stop)
    except CircuitError as error:
        sys.stderr.write(f"{name}: {error} {error.remedy}\n")
        return error.exit_code


def _harden() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # nobody of the same account attaches or dumps
    if os.getppid() == 1 and os.environ.get("CLOSEDCIRCUIT_SUPERVISED"):
        os.kill(os.getpid(), signal.SIGTERM)  # the supervisor died before the line above took effect
