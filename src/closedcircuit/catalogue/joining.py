# SPDX-License-Identifier: Apache-2.0
"""Where footage that is read back from files ended, to the tick.

A file says exactly when each of its fragments began (`prft`), and when itself (`start_90k`); how long a fragment's
pictures are it says in media time. The two scales differ: the recorder bends wall time against media time by up to
500 ppm. At the end of a file it makes them agree, but cannot always: with reordered pictures the table of a run's last
fragment does not tell how long the last one stands, and a disk that fails ends a file where nobody meant it to end.

So an end is a beginning that somebody wrote down: the next fragment's; or, behind the last fragment of a file, what
the next file's header says, since `before` lists all time between the end of the footage before it and its own
beginning. What that says is taken where it is about what the media says (`joined`). It is never a bridge over a hole:
the header names those, and a fragment that is missing is longer than the tolerance.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from closedcircuit.base.clock import TICKS
from closedcircuit.model import Fragment, Gap, Segment

BEND_PPM = 500
"""At most so much does the recorder's wall time bend against media time (docs/design/footage.md)."""
ROUNDING_90K = 4
HOLE_90K = TICKS
"""Pictures that are less than this apart touch: the recorder calls it a hole, and ends the file, only from here on."""
PICTURES = 8
"""So many pictures may a run's last one stand longer than its table says: the most that encoders reorder by."""


class Opening(msgspec.Struct, frozen=True):
    """How a file begins: what it says of the footage before it."""

    run: str
    start_90k: int
    before: Sequence[Gap]
    accounts: bool  # `before` is all of the time before it: a main stream

    @property
    def ended_90k(self) -> int:
        """When the footage before it ended: where the gaps that reach up to its beginning begin."""
        at = self.start_90k
        for gap in sorted(self.before, key=lambda g: g.end_90k, reverse=True):
            if gap.start_90k < at <= gap.end_90k:
                at = gap.start_90k
        return at


def touching(fragments: Sequence[Fragment]) -> tuple[Fragment, ...]:
    """Fragments of one file, each as long as until the next begins: the recorder writes none after a hole."""
    made = list(fragments)
    for at, (one, after) in enumerate(pairwise(fragments)):
        length = after.start_90k - one.start_90k
        if 0 < length <= one.duration_90k + HOLE_90K + _bend(one.duration_90k):
            made[at] = msgspec.structs.replace(one, duration_90k=length)
    return tuple(made)


def joined(segment: Segment, picture_90k: int, following: Opening | None, known_90k: int | None = None) -> Segment:
    """Return the segment with its last fragment as long as it truly was, where anything tells.

    `picture_90k`: the longest picture of that fragment. `following`: the next file of the stream. `known_90k`: the end
    that another index has on record. Each is believed if it differs from the media's end by no more than the bend of
    that fragment, and the last picture: ended early it may have, or, reordered, stood for up to `PICTURES` of them or
    a second.
    """
    last = segment.fragments[-1]
    end_90k = last.start_90k + last.duration_90k
    if segment.end_90k != end_90k:
        return segment  # a time in it is nonsense, and was cut short
    slack = _bend(last.duration_90k)
    low = max(last.start_90k + 1, end_90k - picture_90k - slack)
    high = end_90k + min(PICTURES * picture_90k, HOLE_90K) + slack
    for told in (_told(segment, following), known_90k):
        if told is not None and low <= told <= high:
            last = msgspec.structs.replace(last, duration_90k=told - last.start_90k)
            return msgspec.structs.replace(segment, end_90k=told, fragments=(*segment.fragments[:-1], last))
    return segment


def _told(segment: Segment, following: Opening | None) -> int | None:
    if following is None or following.start_90k <= segment.start_90k:
        return None
    if not following.accounts and following.run != segment.run:
        return None  # nobody says what was between two runs of a substream
    return following.ended_90k


def _bend(duration_90k: int) -> int:
    return duration_90k * BEND_PPM // 1_000_000 + ROUNDING_90K
