# SPDX-License-Identifier: Apache-2.0
"""What every test gets: a clock and ids that it moves itself. In CI nothing is skipped: a missing judge fails."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from closedcircuit.base import ManualClock, SeededIds

# No test fails because the machine was busy.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

NO_SKIPS = os.environ.get("CLOSEDCIRCUIT_NO_SKIPS") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped where nothing may be: {reason}"
    return report


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ids() -> SeededIds:
    return SeededIds()
