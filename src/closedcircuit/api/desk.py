# SPDX-License-Identifier: Apache-2.0
"""Where blocking work of requests is done: a bounded pool of threads, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from closedcircuit.base.errors import Busy

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
WAITING_MAX = 256
"""Overflow rule: what would wait behind this many is refused at once (503), and its browser tries again."""


class Desk:
    """Runs blocking calls. Use it from one event loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self._waiting = 0

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `fn` returns, or raise what it raises. Raises Busy when too much waits already."""
        if self._waiting >= WAITING_MAX:
            raise Busy("The server has more to do than it can.", remedy="Try again in a few seconds.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: fn(*args, **kwargs))
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let running calls end, drop those that wait."""
        self._pool.shutdown(wait=True, cancel_futures=True)
