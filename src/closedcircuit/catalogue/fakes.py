# SPDX-License-Identifier: Apache-2.0
"""Made-up rows, and a catalogue that is busy on demand.

There is no imitation of a catalogue: the real one on a temporary file takes 20 ms to make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from closedcircuit.base.clock import TICKS
from closedcircuit.base.errors import Busy
from closedcircuit.base.ids import Ids
from closedcircuit.catalogue.catalogue import Catalogue
from closedcircuit.model import Fragment, Gap, Segment, Track, TrackKind

TRACKS = msgspec.msgpack.encode(
    (
        Track(
            kind=TrackKind.VIDEO,
            codec="h264",
            codec_string="avc1.640028",
            timescale=90_000,
            config=bytes(range(40)),
            width=1920,
            height=1080,
        ),
    )
)


def segment(
    start_90k: int,
    *,
    ids: Ids,
    camera: str = "door",
    stream: str = "main",
    seconds: float = 60.0,
    grows: bool = False,
) -> Segment:
    """Return a segment as a recorder would index it: 4 Mbit/s, fragments of 2 s."""
    length = round(seconds * TICKS)
    step = 2 * TICKS
    starts = range(0, length, step) or [0]
    each = 1_000_000
    fragments = tuple(
        Fragment(start_90k + at, min(step, length - at), 1000 + n * each, each, True, each // 8)
        for n, at in enumerate(starts)
    )
    return Segment(
        camera=camera,
        stream=stream,
        start_90k=start_90k,
        end_90k=start_90k + length,
        run=ids.random(8).hex(),
        kid=ids.random(16),
        disk="disk",
        size_bytes=1000 + len(fragments) * each,
        init_bytes=1000,
        sha256=None if grows else ids.random(32),
        tracks=TRACKS,
        fragments=fragments,
    )


def footage(camera: str, from_90k: int, hours: int, *, ids: Ids, stream: str = "main") -> Iterator[Segment]:
    """Hours of a camera without a break: 60 segments an hour, each hour under a key of its own."""
    run = ids.random(8).hex()
    for hour in range(hours):
        key_id = ids.random(8)
        for minute in range(60):
            start_90k = from_90k + (hour * 60 + minute) * 60 * TICKS
            made = segment(start_90k, ids=ids, camera=camera, stream=stream)
            yield msgspec.structs.replace(made, run=run, kid=key_id + made.kid[8:])


class BusyCatalogue(Catalogue):
    """Its writes raise Busy while `busy` is above zero, which each attempt lowers by one."""

    busy = 0

    def upsert(self, segments: Sequence[Segment], *, finished: bool = False) -> None:
        """Insert or update, unless busy."""
        self._maybe_refuse()
        super().upsert(segments, finished=finished)

    def add_gaps(self, gaps: Iterable[Gap]) -> None:
        """Write reasons, unless busy."""
        self._maybe_refuse()
        super().add_gaps(gaps)

    def _maybe_refuse(self) -> None:
        if self.busy > 0:
            self.busy -= 1
            raise Busy("The database was locked for too long.", remedy="It is tried again.")
