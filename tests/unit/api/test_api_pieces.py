# SPDX-License-Identifier: Apache-2.0
"""Ranges, the desk, metrics' labels."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.api.desk import WAITING_MAX, Desk
from closedcircuit.api.metrics import _escape
from closedcircuit.api.ranges import UnsatisfiableError, parse_range
from closedcircuit.base.errors import Busy, NotFound


@given(st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,6}-[0-9]{0,6}", fullmatch=True), st.integers(0, 5000))
def test_any_range_is_inside_or_refused(header, size):
    try:
        found = parse_range(header, size)
    except UnsatisfiableError:
        return
    if found is not None:
        start, end = found
        assert 0 <= start < end <= size


@given(st.integers(0, 99), st.integers(0, 300))
def test_ranges_are_cut_at_the_end(start, end):
    found = parse_range(f"bytes={start}-{end}", 100)
    assert found == (None if end < start else (start, min(end + 1, 100)))


def test_desk_runs_elsewhere_and_hands_errors_on():
    async def go():
        desk = Desk(1)
        try:
            assert await desk.run(threading.get_ident) != threading.get_ident()
            with pytest.raises(NotFound):
                await desk.run(_raise)
        finally:
            desk.close()

    asyncio.run(go())


def _raise():
    raise NotFound("no")


def test_desk_refuses_what_would_wait_behind_too_much():
    async def go():
        desk, gate = Desk(1), threading.Event()
        try:
            waiting = [asyncio.create_task(desk.run(gate.wait)) for _ in range(WAITING_MAX)]
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await desk.run(int)
            gate.set()
            assert all(await asyncio.gather(*waiting))
            assert await desk.run(int) == 0
        finally:
            gate.set()
            desk.close()

    asyncio.run(go())


def test_labels_are_escaped():
    assert _escape('a\\b"c\nd') == r"a\\b\"c\nd"
