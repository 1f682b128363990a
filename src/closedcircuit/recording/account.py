# SPDX-License-Identifier: Apache-2.0
"""A camera's account of its own time: which seconds are not recorded, and why.

The recorded seconds are the segments; this keeps the rest. Together they leave nothing out: time is only ever passed
by footage handed to a disk (`covered`), or under a reason (`because`). Footage that a disk then failed to take comes
back as `lost`.

Two readers: the index takes `changed` gaps, again and again while they grow (idempotent by camera and start); the next
segment's header takes `before`, so that the ledger lies in the footage itself.

Owned by the sweep thread. Bounded: at most ENTRIES_MAX entries are kept for a header; the oldest two become one, under
the cause of the longer, while the index keeps them apart.
"""

from __future__ import annotations

import bisect

from closedcircuit.model import Cause, Gap

ENTRIES_MAX = 256

Reason = tuple[Cause, str]
Said = tuple[int, int, str, str]
"""start_90k, end_90k, cause, detail: one gap in a segment's header."""


class Entry:
    """One gap that may still grow."""

    __slots__ = ("cause", "changed", "detail", "end_90k", "start_90k")

    def __init__(self, start_90k: int, end_90k: int, cause: Cause, detail: str) -> None:
        self.start_90k, self.end_90k, self.cause, self.detail = start_90k, end_90k, cause, detail
        self.changed = False


class Account:
    """The gaps of one camera since its last recorded moment."""

    def __init__(self, camera: str, upto_90k: int) -> None:
        self.camera = camera
        self.upto_90k = upto_90k  # every moment before is accounted for
        self._reason: Reason | None = None
        self._entries: list[Entry] = []  # in order of time
        self._changed: list[Entry] = []  # not told to the index yet

    @property
    def reason(self) -> Reason | None:
        """Why nothing is being recorded; None while it is."""
        return self._reason

    def because(self, at_90k: int, cause: Cause, detail: str = "") -> None:
        """From `at_90k` on, this is why. Time since the last recorded moment goes to the reason before, if any."""
        if self._reason == (cause, detail):
            return
        if self._reason is not None:
            self.passed(at_90k)
        self._reason = cause, detail

    def passed(self, until_90k: int) -> None:
        """Nothing was recorded up to here; does nothing while recording."""
        if until_90k <= self.upto_90k or self._reason is None:
            return
        cause, detail = self._reason
        self._add(self.upto_90k, until_90k, cause, detail)
        self.upto_90k = until_90k

    def covered(self, start_90k: int, end_90k: int) -> None:
        """Footage of [start, end) was handed to a disk; ends the open gap."""
        if start_90k > self.upto_90k:
            if self._reason is None:
                self._reason = Cause.BROKEN, "the stream had a hole"
            self.passed(start_90k)
        self._reason = None
        self.upto_90k = max(self.upto_90k, end_90k)

    def lost(self, start_90k: int, end_90k: int, cause: Cause, detail: str) -> None:
        """Footage that was handed over did not reach the disk."""
        if end_90k > start_90k:
            self._add(start_90k, end_90k, cause, detail)

    def before(self, start_90k: int) -> list[Said]:
        """Close the account for a segment that begins now; return what its header says."""
        self.passed(start_90k)
        said = [(e.start_90k, e.end_90k, str(e.cause), e.detail) for e in self._entries]
        self._entries = []
        return said

    def unsaid(self, before: list[Said]) -> None:
        """The segment with this header never came to be: the next one says it."""
        told = [Entry(start, end, Cause(cause), detail) for start, end, cause, detail in before]
        self._entries = sorted(told + self._entries, key=lambda e: e.start_90k)
        while len(self._entries) > ENTRIES_MAX:
            self._shorten()

    def take_changed(self) -> list[Gap]:
        """Gaps that are new or have grown since the last call."""
        grown, self._changed = self._changed, []
        for entry in grown:
            entry.changed = False
        return [Gap(self.camera, e.start_90k, e.end_90k, e.cause, e.detail) for e in grown]

    def _add(self, start_90k: int, end_90k: int, cause: Cause, detail: str) -> None:
        entries = self._entries
        at = bisect.bisect_right(entries, start_90k, key=lambda e: e.start_90k)
        entry = entries[at - 1] if at else None
        if entry and entry.end_90k == start_90k and entry.cause == cause and entry.detail == detail:
            entry.end_90k = end_90k
        else:
            entry = Entry(start_90k, end_90k, cause, detail)
            entries.insert(at, entry)
            if len(entries) > ENTRIES_MAX:
                self._shorten()
        if not entry.changed:
            entry.changed = True
            self._changed.append(entry)

    def _shorten(self) -> None:
        first, second = self._entries[:2]
        longer = max(first, second, key=lambda e: e.end_90k - e.start_90k)
        one = Entry(first.start_90k, second.end_90k, longer.cause, "several reasons in turn")
        self._entries[:2] = [one]
