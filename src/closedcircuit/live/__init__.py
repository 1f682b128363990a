# SPDX-License-Identifier: Apache-2.0
"""Live view: sealed messages from the recorders, built once, relayed to every viewer.

The server has no key: what it relays it cannot open.
"""

from closedcircuit.live.channels import Outlet, Viewer
from closedcircuit.live.hub import LiveHub
from closedcircuit.live.states import Problem, StreamState, TestResult, failed

__all__ = ["LiveHub", "Outlet", "Problem", "StreamState", "TestResult", "Viewer", "failed"]
