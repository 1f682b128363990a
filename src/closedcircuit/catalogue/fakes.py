# SPDX-License-Identifier: Apache-2.0
"""Made-up rows, and a catalogue that is busy on demand.

There is no imitation of a catalogue: the real one on a temporary file takes 20 ms to make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from closedcircuit.base.clock import TICKS
from closedcircuit.base.errors import Busy
from closedcircuit.base.ids import Ids
from closedcircuit.blobs import Store
from closedcircuit.catalogue.catalogue import Catalogue
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.model import Fragment, Gap, Sample, Segment, SegmentName, Track, TrackKind

TRACKS = msgspec.msgpack.encode(
    (
        Track(
            kind=TrackKind.VIDEO,
            codec="h264",
            codec_string="avc1.640028",
            timescale=90_000,
            config=bytes.fromhex("01640028") + bytes(range(36)),
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


def segment_file(
    store: Store,
    start_90k: int,
    *,
    ids: Ids,
    name: tuple[str, str] = ("door", "main"),
    fragments: int = 3,
    before: Sequence[tuple[int, int, str, str]] = (),
) -> Segment:
    """Write a file of 2 s fragments, whole but for its pictures, which are noise; return its row, hash included."""
    camera, stream = name
    kid, run = ids.random(16), ids.random(8).hex()
    says = {"v": 1, "camera": camera, "stream": stream, "run": run, "start_90k": start_90k, "before": list(before)}
    tracks = msgspec.msgpack.decode(TRACKS, type=tuple[Track, ...])
    init = init_segment(tracks, kid, msgspec.json.encode(says))
    writer = FragmentWriter(tracks, (None,))
    file = store.create(SegmentName(camera, stream, start_90k, kid))
    digest = hashlib.sha256(init)
    listed: list[Fragment] = []
    offset = len(init)
    for number in range(fragments):
        at = number * 2 * TICKS
        buffers, info = writer.write(_pictures(at, ids), start_90k + at, at + 2 * TICKS)
        file.append([init, *buffers] if number == 0 else buffers)
        for buffer in buffers:
            digest.update(buffer)
        listed.append(Fragment(start_90k + at, info.duration_90k, offset, info.size, info.key, info.key_bytes))
        offset += info.size
    file.close()
    return Segment(
        camera=camera,
        stream=stream,
        start_90k=start_90k,
        end_90k=start_90k + fragments * 2 * TICKS,
        run=run,
        kid=kid,
        disk=store.id,
        size_bytes=offset,
        init_bytes=len(init),
        sha256=digest.digest(),
        tracks=TRACKS,
        fragments=tuple(listed),
    )


def _pictures(at: int, ids: Ids) -> list[Sample]:
    """Two seconds of one picture a second."""
    made: list[Sample] = []
    for number in range(2):
        nal = (b"\x65" if number == 0 else b"\x41") + ids.random(6000)
        parts: list[bytes | memoryview] = [len(nal).to_bytes(4, "big"), nal]
        made.append(Sample(1, at + number * TICKS, number == 0, 4 + len(nal), parts, 0))
    return made


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
