# SPDX-License-Identifier: Apache-2.0
"""Which fragment shows a moment."""

from __future__ import annotations

import bisect
import enum

from closedcircuit.catalogue import Catalogue
from closedcircuit.model import Fragment, Segment

Place = tuple[Segment, int]
"""A segment and the number of one of its fragments."""


class Direction(enum.StrEnum):
    """Which picture is wanted where the moment itself has none of its own."""

    BEFORE = "before"  # the one that covers the moment; nothing where that is not recorded
    AFTER = "after"  # the first one that begins at the moment or later, over any gap
    NEAR = "near"  # whichever of the two begins nearer, over any gap in both directions


class Pictures:
    """Finds fragments in the index; at most four short readings a call. Safe from any thread, keeps nothing.

    `keys_only` passes over fragments that no decoder can start at.
    """

    def __init__(self, catalogue: Catalogue, camera: str, stream: str, *, keys_only: bool) -> None:
        self._catalogue, self._camera, self._stream = catalogue, camera, stream
        self._keys_only = keys_only

    def find(self, at_90k: int, direction: Direction) -> Place | None:
        """Return the fragment that is wanted."""
        covering = self._catalogue.at(self._camera, self._stream, at_90k)
        before = self._last(covering, at_90k) if covering else None
        if direction is Direction.BEFORE:
            return before
        after = self._first(covering, at_90k) if covering else None
        after = after or self._first_after(at_90k)
        if direction is Direction.AFTER:
            return after
        before = before or self._last_before(at_90k)
        if before is None or after is None:
            return before or after
        return before if at_90k - _start(before) <= _start(after) - at_90k else after

    def next_start(self, place: Place) -> int | None:
        """When the fragment after this one begins, over any gap; None at the end of what is recorded."""
        segment, number = place
        for later in segment.fragments[number + 1 :]:
            if self._suits(later):
                return later.start_90k
        return self._catalogue.next_start(self._camera, self._stream, segment.start_90k)

    def prev_start(self, place: Place) -> int | None:
        """When the fragment before this one begins, over any gap."""
        segment, number = place
        for earlier in reversed(segment.fragments[:number]):
            if self._suits(earlier):
                return earlier.start_90k
        found = self._last_before(segment.start_90k)
        return None if found is None else _start(found)

    def _suits(self, fragment: Fragment) -> bool:
        return fragment.key or not self._keys_only

    def _last(self, segment: Segment, at_90k: int) -> Place | None:
        """Return the last suitable fragment of a segment that begins at a moment or before."""
        number = bisect.bisect_right(segment.fragments, at_90k, key=lambda f: f.start_90k) - 1
        while number >= 0 and not self._suits(segment.fragments[number]):
            number -= 1
        return (segment, number) if number >= 0 else None

    def _first(self, segment: Segment, at_90k: int) -> Place | None:
        number = bisect.bisect_left(segment.fragments, at_90k, key=lambda f: f.start_90k)
        for later in range(number, len(segment.fragments)):
            if self._suits(segment.fragments[later]):
                return segment, later
        return None

    def _first_after(self, at_90k: int) -> Place | None:
        """Return the first suitable fragment of the next segment: every segment begins with a key frame."""
        start = self._catalogue.next_start(self._camera, self._stream, at_90k)
        segment = None if start is None else self._catalogue.at(self._camera, self._stream, start)
        return None if segment is None else self._first(segment, segment.start_90k)

    def _last_before(self, at_90k: int) -> Place | None:
        end = self._catalogue.prev_end(self._camera, self._stream, at_90k)
        segment = None if end is None else self._catalogue.at(self._camera, self._stream, end - 1)
        return None if segment is None else self._last(segment, at_90k)


def _start(place: Place) -> int:
    segment, number = place
    return segment.fragments[number].start_90k
