# SPDX-License-Identifier: Apache-2.0
"""What was recorded, told to the index.

Recording never waits for the database: rows gather here and go in one batch a second, from a thread of its own that
tries for ever while the database is locked. Rows are put together by segment and by gap, so that what waits is bounded
by what exists; beyond PENDING_MAX segments the oldest finished ones are forgotten here, and a repair finds them on the
disks once the database answers again. The footage is the truth, the index only quick.

Ownership: `_lock` guards what waits. `grown` and `closed` are called by the disks' threads, `gaps` by the sweep.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from closedcircuit.base import TICKS, Clock
from closedcircuit.base.durable import checkpoint
from closedcircuit.base.errors import CircuitError
from closedcircuit.catalogue import Catalogue
from closedcircuit.model import Camera, Cause, Gap, Segment
from closedcircuit.recording.pieces import Plan

BATCH_S = 1.0
PENDING_MAX = 20_000
DAYS_BACK = (1, 30, 36_500)
"""How far back the end of a camera's account is looked for, in turn."""


class Index(Protocol):
    """`catalogue.Catalogue`, as far as it is used here."""

    def upsert(self, segments: Sequence[Segment]) -> None:
        """Write or replace segments, in one transaction."""

    def add_gaps(self, gaps: Sequence[Gap]) -> None:
        """Write gaps over whatever gaps were there."""


class Indexer:
    """The thread between the recorder and the index."""

    def __init__(self, index: Index, clock: Clock, repair: Callable[[], None]) -> None:
        self._index, self._clock, self._repair = index, clock, repair
        self._lock = threading.Lock()
        self._plans: dict[bytes, Plan] = {}  # by kid, in the order of their first change
        self._gaps: dict[tuple[str, int], Gap] = {}  # by camera and start: a gap that grew replaces itself
        self._waiting_since_90k = 0
        self._forgotten = 0
        self.trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_whole(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def stop(self, within_s: float = 4.0) -> None:
        """Try once more, then end. What could not be written is found by the next start's repair."""
        self._stop.set()
        self._thread.join(within_s)

    def changed(self, plan: Plan) -> None:
        """A segment has another fragment, or is finished."""
        with self._lock:
            self._plans[plan.kid] = plan
            if len(self._plans) > PENDING_MAX:
                self._forget_oldest()

    def gaps(self, gaps: Sequence[Gap]) -> None:
        """These are new or have grown."""
        with self._lock:
            for gap in gaps:
                self._gaps[gap.camera, gap.start_90k] = gap
            while len(self._gaps) > PENDING_MAX:
                del self._gaps[next(iter(self._gaps))]

    def report(self) -> dict[str, Any]:
        """`index` of the status file."""
        with self._lock:
            return {
                "behind_rows": len(self._plans) + len(self._gaps) + self._forgotten,
                "waiting_since_90k": self._waiting_since_90k or None,
                "trouble": self.trouble,
            }

    def flush(self) -> bool:
        """Write what waits; False when the index does not take it now. Of the thread, and of tests."""
        with self._lock:
            plans, self._plans = self._plans, {}
            gaps, self._gaps = self._gaps, {}
        if not plans and not gaps and not self._forgotten:
            return True
        try:
            checkpoint("recording.index")
            # crash here: the files are whole, the rows are not there; start-up indexes them
            self._index.upsert([segment_of(plan) for plan in plans.values() if plan.fragments])
            self._index.add_gaps(list(gaps.values()))
            if self._forgotten:
                self._repair()
                self._forgotten = 0
        except CircuitError as error:
            with self._lock:
                self._plans = plans | self._plans
                self._gaps = gaps | self._gaps
                self._waiting_since_90k = self._waiting_since_90k or self._clock.now_90k()
            self.trouble = str(error)
            return False
        self._waiting_since_90k, self.trouble = 0, ""
        return True

    def _forget_oldest(self) -> None:
        for kid, plan in self._plans.items():
            if plan.sha256 is not None:
                del self._plans[kid]
                self._forgotten += 1
                return

    def _run(self) -> None:
        while not self._stop.wait(BATCH_S):
            self.flush()
        self.flush()


def segment_of(plan: Plan) -> Segment:
    """The row of a segment as it is now. Safe beside the thread that writes it: fragments are only ever added."""
    sha256, fragments = plan.sha256, tuple(plan.fragments)
    last = fragments[-1]
    return Segment(
        camera=plan.camera,
        stream=plan.stream,
        start_90k=plan.start_90k,
        end_90k=last.start_90k + last.duration_90k,
        run=plan.run,
        kid=plan.kid,
        disk=plan.disk,
        size_bytes=last.offset + last.size,
        init_bytes=plan.init_bytes,
        sha256=sha256,
        tracks=plan.tracks_packed,
        fragments=fragments,
    )


def accounted_until(catalogue: Catalogue, camera: Camera, now_90k: int) -> int:
    """Up to where every moment of a camera has footage or a reason: where the unexplained end of its ledger begins."""
    for days in DAYS_BACK:
        since = max(camera.added_90k, now_90k - days * 86_400 * TICKS)
        ledger = catalogue.ledger(camera.id, since, now_90k)
        if not ledger.spans:
            return min(since, now_90k)
        last = ledger.spans[-1]
        if last.cause is not Cause.UNKNOWN:
            return min(last.end_90k, now_90k)
        if last.start_90k > since or since == camera.added_90k:
            return last.start_90k
    return now_90k
