# SPDX-License-Identifier: Apache-2.0
"""Reading back what was recorded: timelines, segments, pictures, sealed bytes and wrapped keys.

All of it is ciphertext and facts about it; nothing here could open footage. Threads: any; every call may block on the
database or a disk for some milliseconds. Errors of both come out as they are (Busy, StorageError, WrongDisk): the
caller retries. Ranges are [from, to).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from closedcircuit.base import Clock, is_slug
from closedcircuit.base.errors import NotFound, RequestError, StorageError
from closedcircuit.blobs import Disks, OpenSegment
from closedcircuit.catalogue import SEGMENTS_MAX, Catalogue
from closedcircuit.model import FRAGMENT_BYTES_MAX, Segment, StreamName
from closedcircuit.playback.answers import (
    Account,
    CameraLine,
    PictureHeader,
    SegmentList,
    Timeline,
    segment_row,
    span_row,
)
from closedcircuit.playback.pictures import Direction, Pictures

CAMERAS_MAX = 256
PIXELS_MAX = 16_384
KEY_FILE_BYTES_MAX = 1 << 20
_KEY_ID = re.compile(r"[0-9a-f]{16}\Z")
_KID = re.compile(r"[0-9a-f]{32}\Z")


class NothingThere(NotFound):
    """Nothing is recorded at a moment; says where there is something."""

    def __init__(self, message: str, *, next_90k: int | None, prev_90k: int | None) -> None:
        super().__init__(message, remedy="Ask for a moment that the timeline shows as recorded.")
        self.next_90k = next_90k
        self.prev_90k = prev_90k


class Footage(msgspec.Struct, frozen=True):
    """One sealed file that is open for reading; whoever asked closes it."""

    segment: Segment
    file: OpenSegment


class Archive:
    """See above. Keeps nothing between calls."""

    def __init__(self, catalogue: Catalogue, disks: Disks, keys: Path, clock: Clock) -> None:
        self._catalogue, self._disks, self._keys, self._clock = catalogue, disks, keys, clock

    def timeline(self, cameras: Sequence[str], from_90k: int, to_90k: int, px: int) -> Timeline:
        """Return spans merged to about two a pixel, so that a year is as small as a minute."""
        _check_range(from_90k, to_90k)
        if not 1 <= px <= PIXELS_MAX:
            raise RequestError(f"`px` is 1 to {PIXELS_MAX}.", remedy="Ask for as many pixels as are drawn.")
        if len(cameras) > CAMERAS_MAX:
            raise RequestError(f"At most {CAMERAS_MAX} cameras at once.", remedy="Ask for some of them.")
        coverage = self._catalogue.coverage(cameras, from_90k, to_90k, px)
        lines = {}
        for camera, spans in coverage.items():
            holds = self._catalogue.holds(camera, from_90k, to_90k)
            lines[camera] = CameraLine(
                oldest_90k=self._catalogue.oldest(camera),
                spans=[span_row(span) for span in spans],
                holds=[(hold.start_90k, hold.end_90k, hold.id, hold.reason) for hold in holds],
            )
        return Timeline(self._clock.now_90k(), lines)

    def account(self, camera: str, from_90k: int, to_90k: int) -> Account:
        """Return the exact ledger, from when the camera was added to what is decided by now."""
        _check_range(from_90k, to_90k)
        ledger = self._catalogue.ledger(camera, from_90k, to_90k)
        return Account(
            recorded_90k=ledger.recorded_90k,
            off_90k=ledger.off_90k,
            lost_90k=ledger.lost_90k,
            total_90k=ledger.total_90k,
            by_cause=ledger.by_cause,
            spans=[span_row(span) for span in ledger.spans],
        )

    def segments(self, camera: str, stream: str, from_90k: int, to_90k: int) -> SegmentList:
        """Return segments that overlap the range, at most `SEGMENTS_MAX`, growing ones included."""
        _check_range(from_90k, to_90k)
        _check_stream(stream)
        found = self._catalogue.segments(camera, stream, from_90k, to_90k, SEGMENTS_MAX + 1)
        return SegmentList([segment_row(segment) for segment in found[:SEGMENTS_MAX]], len(found) > SEGMENTS_MAX)

    def picture(self, camera: str, stream: str, at_90k: int, direction: Direction, *, key: bool) -> bytes:
        """Return all that a browser needs for a picture, in one piece.

        u32 length of the header, PictureHeader as JSON, the segment's first `init_bytes` bytes, then the fragment; with
        `key` only its first picture. Raises NothingThere; StorageError where the file is shorter than the index says.
        """
        _check_stream(stream)
        pictures = Pictures(self._catalogue, camera, stream, keys_only=key)
        place = pictures.find(at_90k, direction)
        if place is None:
            raise NothingThere(
                f"Nothing of {camera}/{stream} is recorded there.",
                next_90k=self._catalogue.next_start(camera, stream, at_90k),
                prev_90k=self._catalogue.prev_end(camera, stream, at_90k),
            )
        segment, number = place
        fragment = segment.fragments[number]
        header = PictureHeader(
            camera=camera,
            stream=stream,
            kid=segment.kid.hex(),
            key_id=segment.kid[:8].hex(),
            start_90k=segment.start_90k,
            end_90k=segment.end_90k,
            fragment=fragment,
            init_bytes=segment.init_bytes,
            next_90k=pictures.next_start(place),
            prev_90k=pictures.prev_start(place),
            sha256=segment.sha256.hex() if segment.sha256 else None,
        )
        text = msgspec.json.encode(header)
        wanted = fragment.key_bytes if key and fragment.key_bytes else fragment.size
        with self._open(segment) as file:
            parts = _read(file, 0, segment.init_bytes), _read(file, fragment.offset, wanted)
        return b"".join((len(text).to_bytes(4, "big"), text, *parts))

    def open(self, camera: str, stream: str, kid: str) -> Footage:
        """Open a sealed file. Raises NotFound."""
        _check_stream(stream)
        if not is_slug(camera) or not _KID.match(kid):
            raise NotFound("There is no such segment.", remedy="Ask /api/segments what there is.")
        segment = self._catalogue.segment(camera, stream, bytes.fromhex(kid))
        return Footage(segment, self._open(segment))

    def key_file(self, camera: str, key_id: str) -> bytes:
        """Return an hour key as it is wrapped to its recipients (an age file). Raises NotFound."""
        if not is_slug(camera) or not _KEY_ID.match(key_id):
            raise NotFound("There is no such key.", remedy="A segment names its key: `key_id`.")
        path = self._keys / camera / f"{key_id}.age"
        try:
            with path.open("rb") as file:
                return file.read(KEY_FILE_BYTES_MAX)
        except FileNotFoundError:
            raise NotFound(
                f"The key {key_id} of {camera} is not there: retention deleted it, or somebody did.",
                remedy="What was recorded under it cannot be opened without a copy of that file.",
            ) from None
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror}.", remedy="Check the data folder.") from error

    def _open(self, segment: Segment) -> OpenSegment:
        return self._disks[segment.disk].open(segment)


def _read(file: OpenSegment, offset: int, size: int) -> bytes:
    if not 0 <= size <= FRAGMENT_BYTES_MAX + (1 << 20):
        raise StorageError(f"The index names a piece of {size} bytes.", remedy="closedcircuit footage rebuild")
    data = file.pread(offset, size)
    if len(data) != size:
        raise StorageError(
            "The sealed file is shorter than the index says.",
            remedy="Start again, which repairs it, or run: closedcircuit footage rebuild",
        )
    return data


def _check_range(from_90k: int, to_90k: int) -> None:
    if to_90k <= from_90k:
        raise RequestError("`to` must be after `from`.", remedy="Times are 1/90000 s since 1970 UTC.")


def _check_stream(stream: str) -> None:
    if stream not in set(StreamName):
        raise RequestError("`stream` is main or sub.", remedy="Ask for one of them.")
