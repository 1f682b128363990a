# SPDX-License-Identifier: Apache-2.0
"""Footage at rest, and the account of every second of it."""

from __future__ import annotations

import enum

import msgspec

FRAGMENT_BYTES_MAX = 16 << 20
"""A fragment is cut before it grows past this, whatever the camera sends: a bound on memory, and on what a crash
loses of a camera with an absurd bit rate."""


class Cause(enum.StrEnum):
    """Why there is no footage. The first three are on purpose, the others are losses; the words are the ones stored."""

    PAUSED = "paused"  # off: somebody paused this camera
    SCHEDULE = "schedule"  # off: outside its hours
    NO_EVENT = "no-event"  # off: it records on events, and there was none
    NO_KEY = "no-key"  # off: there is no owner's key yet, so nothing could be sealed

    UNREACHABLE = "unreachable"  # lost: no connection to the camera
    REFUSED = "refused"  # lost: the camera said no (password, path)
    BROKEN = "broken"  # lost: what came was no stream that could be stored
    DISK_FULL = "disk-full"  # lost: no space, and nothing that may be deleted
    DISK_GONE = "disk-gone"  # lost: no disk that is the one set up, or it fails
    OVERLOAD = "overload"  # lost: the machine or its disk could not keep up, and a bounded queue dropped
    PROCESS_DOWN = "process-down"  # lost: the recorder was not running
    CLOCK_STEPPED = "clock-stepped"  # lost on paper: the wall clock was set forward over this time
    DELETED = "deleted"  # off: recorded, and deleted since by retention or by a person
    UNKNOWN = "unknown"  # lost: no segment, and no reason on file; never written, only found

    @property
    def kind(self) -> SpanKind:
        """Whether this is on purpose or a loss."""
        return SpanKind.OFF if self in _ON_PURPOSE else SpanKind.LOST


class SpanKind(enum.StrEnum):
    """What became of a stretch of time of one camera."""

    RECORDED = "recorded"
    OFF = "off"  # deliberately not recorded, or recorded and deliberately deleted
    LOST = "lost"


_ON_PURPOSE = frozenset({Cause.PAUSED, Cause.SCHEDULE, Cause.NO_EVENT, Cause.NO_KEY, Cause.DELETED})


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch of one camera's time: [start, end) in wall time. A ledger is spans that touch and never overlap."""

    start_90k: int
    end_90k: int
    kind: SpanKind
    cause: Cause | None  # None where recorded
    detail: str = ""


class Gap(msgspec.Struct, frozen=True):
    """A stored reason for the absence of footage, [start, end)."""

    camera: str
    start_90k: int
    end_90k: int
    cause: Cause
    detail: str = ""


class Fragment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One `moof`+`mdat` of a segment file; `offset` is that of its `prft` box.

    `gc=False`: it holds numbers only, and a range query makes thousands.
    """

    start_90k: int  # wall time of its first video sample
    duration_90k: int
    offset: int  # bytes from the start of the file
    size: int  # bytes, prft + moof + mdat
    key: bool  # begins with a sample that a decoder can start at
    key_bytes: int  # bytes from `offset` to the end of that first sample: enough for a still picture; 0 if not key


class SegmentName(msgspec.Struct, frozen=True):
    """A segment's file below a disk's folder: `footage/<camera>/<stream>/<UTC day>/<UTC time>_<kid>.mp4`.

    The name says all that a stranger needs to open it: the first half of the kid is the id of the hour key.
    """

    camera: str
    stream: str
    start_90k: int
    kid: bytes  # 16 bytes

    @property
    def key_id(self) -> str:
        """Id of the hour key, 16 hex digits: `keys/<camera>/<key_id>.age`."""
        return self.kid[:8].hex()


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """About a minute of one stream of one camera: one sealed file, one row."""

    camera: str
    stream: str
    start_90k: int
    end_90k: int
    run: str  # 16 hex digits; segments of one run join without a break
    kid: bytes
    disk: str  # id of the disk
    size_bytes: int
    init_bytes: int  # ftyp + moov + the header box; the first fragment starts here
    sha256: bytes | None  # of the whole file; None while it grows
    tracks: bytes  # msgpack of the tuple of Track
    fragments: tuple[Fragment, ...] = ()


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """Footage that may not be deleted, whatever retention or a full disk say."""

    id: str
    camera: str
    start_90k: int
    end_90k: int
    reason: str
    made_90k: int
