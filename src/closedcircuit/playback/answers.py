# SPDX-License-Identifier: Apache-2.0
"""What playback says, as the browser gets it (docs/design/http.md). Times are 1/90000 s since 1970 UTC."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from closedcircuit.blobs import path_of
from closedcircuit.model import Cause, Fragment, Segment, Span, SpanKind, Track

SpanRow = tuple[int, int, SpanKind, Cause | None, str]
HoldRow = tuple[int, int, str, str]


class CameraLine(msgspec.Struct, frozen=True):
    """One camera of a timeline."""

    oldest_90k: int | None
    spans: list[SpanRow]
    holds: list[HoldRow]


class Timeline(msgspec.Struct, frozen=True):
    """What became of some cameras' time, merged for drawing."""

    now_90k: int
    cameras: dict[str, CameraLine]


class Account(msgspec.Struct, frozen=True):
    """One camera's ledger: exact, unmerged; the three sums are the total."""

    recorded_90k: int
    off_90k: int
    lost_90k: int
    total_90k: int
    by_cause: dict[Cause, int]
    spans: list[SpanRow]


class SegmentRow(msgspec.Struct, frozen=True):
    """One sealed file, and where its fragments are in it."""

    start_90k: int
    end_90k: int
    kid: str
    key_id: str
    run: str
    size_bytes: int
    init_bytes: int
    sha256: str | None  # None while it grows
    tracks: tuple[Track, ...]
    path: str
    fragments: tuple[Fragment, ...]


class SegmentList(msgspec.Struct, frozen=True):
    """Segments by their beginning; `more` when there are further ones."""

    segments: list[SegmentRow]
    more: bool


class PictureHeader(msgspec.Struct, frozen=True):
    """Goes before the bytes of a picture."""

    camera: str
    stream: str
    kid: str
    key_id: str
    start_90k: int  # of the segment
    end_90k: int
    fragment: Fragment
    init_bytes: int
    next_90k: int | None  # when the next fragment begins, over any gap
    prev_90k: int | None
    sha256: str | None


def span_row(span: Span) -> SpanRow:
    """Return a span as the browser gets it."""
    return span.start_90k, span.end_90k, span.kind, span.cause, span.detail


def segment_row(segment: Segment) -> SegmentRow:
    """Return a segment as the browser gets it."""
    return SegmentRow(
        start_90k=segment.start_90k,
        end_90k=segment.end_90k,
        kid=segment.kid.hex(),
        key_id=segment.kid[:8].hex(),
        run=segment.run,
        size_bytes=segment.size_bytes,
        init_bytes=segment.init_bytes,
        sha256=segment.sha256.hex() if segment.sha256 else None,
        tracks=_tracks(segment.tracks),
        path=str(path_of(segment)),
        fragments=segment.fragments,
    )


@lru_cache(maxsize=256)
def _tracks(packed: bytes) -> tuple[Track, ...]:
    return msgspec.msgpack.decode(packed, type=tuple[Track, ...])
