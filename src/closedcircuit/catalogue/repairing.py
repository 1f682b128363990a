# SPDX-License-Identifier: Apache-2.0
"""After a crash, or a database that was locked for long: make the files whole and the index say what they say.

Only for the process that writes footage, one disk at a time; it may be recording meanwhile, for what it has open is
left alone. Nothing here is needed before recording can go on, so it can run beside it.

Quick for a large archive: of each stream, only what is marked as growing and the day folders from an hour before its
newest finished row on are looked at, and of these only the files that the index does not know. A finished file that has
changed since was not changed by a crash: it is told, and left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from closedcircuit.base.clock import TICKS, iso
from closedcircuit.base.errors import MediaError, NotFound
from closedcircuit.blobs import Store, name_of
from closedcircuit.catalogue.catalogue import Catalogue
from closedcircuit.catalogue.joining import Opening, joined
from closedcircuit.catalogue.scanning import Scan, is_torn, scan, sha256_of
from closedcircuit.model import Segment, SegmentName

LOOK_BACK_90K = 3600 * TICKS
HASHED_BYTES_MAX = 2 << 30
"""At most so much is read again to know the hashes of what was repaired; the others stay without."""
_BATCH = 64


class RepairReport(msgspec.Struct):
    """What was done. `sentences` is for people, the counts for status and tests."""

    disk: str
    sentences: list[str] = []
    indexed: int = 0  # files whose row was missing or behind
    truncated: int = 0
    truncated_bytes: int = 0
    removed: int = 0  # files without a whole fragment
    missing: int = 0  # rows without a file
    unreadable: int = 0  # left as they are
    changed: int = 0  # finished, and not as long as they were: left as they are

    def say(self, text: str) -> None:
        """Add a sentence."""
        self.sentences.append(text)


def repair(disk: Store, catalogue: Catalogue) -> RepairReport:
    """Repair one disk. Raises WrongDisk, StorageError, Busy; what was done until then is done, the rest can be again.

    crash inside: the same as before, or less of it; the next start goes on.
    """
    disk.check()
    report = RepairReport(disk.id)
    budget = _Budget()
    growing = [s for s in catalogue.growing() if s.disk == disk.id]
    pending: list[tuple[Segment, Scan]] = []
    for name, row, following in _suspects(disk, catalogue, growing, report):
        found = _repair_one(disk, catalogue, name, row, report)
        if found is not None and found.segment is not None:
            sha256 = sha256_of(disk, name, found.whole_bytes) if budget.allows(found.whole_bytes) else None
            segment = joined(found.segment, found.picture_90k, _opening_of(disk, following))
            pending.append((msgspec.structs.replace(segment, sha256=sha256), found))
        if len(pending) >= _BATCH:
            _index(catalogue, pending, report)
    _index(catalogue, pending, report)
    _summarise(report)
    return report


class _Suspect(NamedTuple):
    """A file that may not be what the index says."""

    name: SegmentName
    row: Segment | None  # its row, if it has one
    following: SegmentName | None  # the next file of the stream on this disk


class _Budget:
    """Bytes that may still be hashed."""

    def __init__(self) -> None:
        self._left = HASHED_BYTES_MAX

    def allows(self, size: int) -> bool:
        self._left -= size
        return self._left >= 0


def _suspects(disk: Store, catalogue: Catalogue, growing: list[Segment], report: RepairReport) -> Iterator[_Suspect]:
    """Files that may not be what the index says, a stream at a time, oldest first."""
    unfinished = {s.kid: s for s in growing}
    seen: set[bytes] = set()
    for camera, stream in disk.streams():
        newest = catalogue.newest_finished(camera, stream)
        from_90k = max(0, (newest or 0) - LOOK_BACK_90K)
        known = catalogue.sizes(camera, stream, from_90k - 86_400 * TICKS)
        files = list(disk.walk(camera, stream, from_90k=from_90k))
        for (name, size), following in zip(files, [*files[1:], None], strict=False):
            row = unfinished.get(name.kid)
            if row is None and name.kid in known:
                if known[name.kid] != size:
                    report.changed += 1
                    report.say(f"{_what(name)} has {size} bytes, but had {known[name.kid]} when it was finished.")
            elif name.kid not in disk.writing():
                seen.add(name.kid)
                yield _Suspect(name, row, following and following[0])
    for segment in growing:
        if segment.kid not in seen and segment.kid not in disk.writing():
            yield _Suspect(name_of(segment), segment, None)


def _opening_of(disk: Store, name: SegmentName | None) -> Opening | None:
    """Return what a file says of the footage before it, if there is one and it can be read."""
    if name is None:
        return None
    try:
        return scan(disk, name, tail=False).opening
    except (MediaError, NotFound):
        return None


def _repair_one(
    disk: Store, catalogue: Catalogue, name: SegmentName, row: Segment | None, report: RepairReport
) -> Scan | None:
    what = _what(name)
    try:
        found = scan(disk, name, tail=True)
    except NotFound:
        if row is not None:
            catalogue.forget([row])
            report.missing += 1
            report.say(f"The file of {what} is gone; its row was dropped.")
        return None
    except MediaError as error:
        if is_torn(disk, name):
            _remove(disk, catalogue, name, row)
            report.removed += 1
        else:
            report.unreadable += 1
            report.say(f"{what} cannot be read and was left as it is. {error}")
        return None
    if found.segment is None:
        # Its account of the time before goes into the index first: the file is all that knows it.
        catalogue.add_gaps(found.gaps)
        _remove(disk, catalogue, name, row)
        report.removed += 1
        return None
    if found.torn_bytes:
        disk.truncate(name, found.whole_bytes)
        report.truncated += 1
        report.truncated_bytes += found.torn_bytes
        report.say(f"{what} ended in a torn fragment: {found.torn_bytes} bytes were cut off.")
    return found


def _remove(disk: Store, catalogue: Catalogue, name: SegmentName, row: Segment | None) -> None:
    """Crash between the two: a row without a file, which the next repair drops."""
    disk.delete([name])
    if row is not None:
        catalogue.forget([row])


def _what(name: SegmentName) -> str:
    return f"{name.camera}/{name.stream} of {iso(name.start_90k)}"


def _index(catalogue: Catalogue, pending: list[tuple[Segment, Scan]], report: RepairReport) -> None:
    if pending:
        catalogue.add_gaps([gap for _, found in pending for gap in found.gaps])
        catalogue.upsert([segment for segment, _ in pending], finished=True)
        report.indexed += len(pending)
        pending.clear()


def _summarise(report: RepairReport) -> None:
    if report.removed:
        report.sentences.insert(0, f"{report.removed} files without a whole fragment were removed.")
    if report.indexed:
        report.sentences.insert(0, f"{report.indexed} files on disk {report.disk} were put into the index.")
