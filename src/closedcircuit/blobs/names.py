# SPDX-License-Identifier: Apache-2.0
"""File names of segments: `footage/<camera>/<stream>/<YYYY-MM-DD>/<YYYYMMDDTHHMMSS.mmmZ>_<kid hex>.mp4`."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

from closedcircuit.base.clock import TICKS, iso
from closedcircuit.base.errors import StorageError
from closedcircuit.base.ids import is_slug
from closedcircuit.blobs.promise import Named
from closedcircuit.model import SegmentName

FOOTAGE = "footage"
_FILE = re.compile(r"(\d{8})T(\d\d)(\d\d)(\d\d)\.(\d{3})Z_([0-9a-f]{32})\.mp4\Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
DAY_90K = 86_400 * TICKS


def name_of(thing: Named) -> SegmentName:
    """Return only the name, of a Segment say."""
    return SegmentName(thing.camera, thing.stream, thing.start_90k, thing.kid)


def day_of(at_90k: int) -> str:
    """UTC day, as folders are named."""
    return iso(at_90k)[:10]


def path_of(name: Named) -> PurePosixPath:
    """Path below a disk's folder. Raises StorageError for a name that could lead anywhere else."""
    if not (is_slug(name.camera) and is_slug(name.stream) and len(name.kid) == 16 and name.start_90k >= 0):
        raise StorageError(f"{name.camera!r}/{name.stream!r} is no name of a segment.")
    stamp = iso(name.start_90k)
    file = f"{stamp[:19].replace('-', '').replace(':', '')}{stamp[19:]}_{name.kid.hex()}.mp4"
    return PurePosixPath(FOOTAGE, name.camera, name.stream, stamp[:10], file)


def parse_path(path: PurePosixPath) -> SegmentName | None:
    """Inverse of `path_of`, the beginning rounded down to the millisecond; None for anything else."""
    if len(path.parts) != 5 or path.parts[0] != FOOTAGE:
        return None
    _, camera, stream, day, file = path.parts
    return parse_file(camera, stream, day, file)


def parse_file(camera: str, stream: str, day: str, file: str) -> SegmentName | None:
    """Return the name that a file in a day's folder stands for, or None if it is not one of ours."""
    match = _FILE.match(file)
    if match is None or match[1] != day.replace("-", "") or not is_slug(camera) or not is_slug(stream):
        return None
    midnight_s = _midnight_s(day)
    hour, minute, second = int(match[2]), int(match[3]), int(match[4])
    if midnight_s is None or hour > 23 or minute > 59 or second > 59:
        return None
    start_90k = ((midnight_s + hour * 3600 + minute * 60 + second) * 1000 + int(match[5])) * 90
    return SegmentName(camera, stream, start_90k, bytes.fromhex(match[6]))


@functools.lru_cache(maxsize=64)
def _midnight_s(day: str) -> int | None:
    """Seconds since 1970 at which a UTC day begins; None for what is no day since then.

    Remembered, for a start-up may read a million names of a few days.
    """
    try:
        seconds = int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def is_day(folder: str) -> bool:
    """Say whether a folder's name is a day's."""
    return _DAY.match(folder) is not None
