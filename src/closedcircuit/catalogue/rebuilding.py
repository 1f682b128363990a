# SPDX-License-Identifier: Apache-2.0
"""The index from the footage alone.

Reads every segment file's beginning and fragment heads, changes none of them, and writes a fresh database that then
takes the old one's place. What footage does not know is carried over from the old file where that can be read: account,
sessions, settings, holds, when cameras were added and removed, reasons on file (the footage's own win), hashes of
unchanged files. Recording may go on meanwhile; what it writes until the swap is picked up at the end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from closedcircuit.base.clock import TICKS, Clock
from closedcircuit.base.errors import MediaError, NotFound
from closedcircuit.blobs import Disks, Store, path_of
from closedcircuit.catalogue.catalogue import Catalogue
from closedcircuit.catalogue.joining import Opening, joined
from closedcircuit.catalogue.scanning import Scan, is_torn, scan
from closedcircuit.db import Replacement, Tx
from closedcircuit.model import Cause, Gap, Segment, SegmentName

CARRIED = ("account", "session", "setting", "hold")
_BATCH = 256
_RECENT_90K = 2 * 3600 * TICKS
_NAMED_MAX = 50

Progress = Callable[[str], None]


class RebuildReport(msgspec.Struct):
    """What was found and made."""

    files: int = 0
    segments: int = 0
    bytes: int = 0
    torn: int = 0  # files with a torn tail: indexed up to it; the recorder's next start cuts it off
    empty: int = 0  # files without a whole fragment: not indexed; likewise removed by the next start
    unreadable: int = 0
    unreadable_paths: list[str] = []  # the first of them, each with why
    gaps: int = 0
    hashes: int = 0  # taken over from the old index
    carried: list[str] = []  # tables that could be read in full from the old file
    not_carried: list[str] = []
    seconds: float = 0.0

    def sentence(self) -> str:
        """Say it in one paragraph."""
        text = (
            f"The index was made anew from {self.files} files: {self.segments} segments, {self.bytes / 1e9:.1f} GB, "
            f"{self.gaps} reasons for gaps, in {self.seconds:.0f} s."
        )
        for count, what in (
            (self.torn, "end in a torn fragment, which the next start cuts off"),
            (self.empty, "hold no whole fragment, and the next start removes them"),
            (self.unreadable, "cannot be read and were left out"),
        ):
            if count:
                text += f" {count} {what}."
        if self.not_carried:
            text += f" The old database could not be read in full for: {', '.join(self.not_carried)}."
        return text


def rebuild(disks: Disks, path: Path, clock: Clock, progress: Progress = lambda _: None) -> RebuildReport:
    """Make the index at `path` anew.

    Raises WrongDisk or StorageError when a configured disk is not there (its footage would vanish from the index),
    CatalogueError when the present file is another program's or from a newer version. Until it returns, the old
    file is in its place; a second attempt begins anew.
    """
    for disk in disks:
        disk.check()
    began_s, began_90k = clock.monotonic_s(), clock.now_90k()
    replacement = Replacement(path)
    work = _Rebuild(replacement, clock, progress, began_90k - _RECENT_90K)
    work.take_old_facts()
    work.read_all(disks)
    report = work.report
    report.carried = replacement.swap_in(CARRIED, lambda: work.read_recent(disks))
    if work.had_old:
        report.not_carried = [t for t in CARRIED if t not in report.carried]
    report.seconds = clock.monotonic_s() - began_s
    return report


class _OldFile(NamedTuple):
    """A finished file as the old index has it."""

    size_bytes: int
    end_90k: int
    sha256: bytes


class _Rebuild:
    """The work of one rebuild, one thread."""

    def __init__(self, replacement: Replacement, clock: Clock, progress: Progress, recent_90k: int) -> None:
        self.report = RebuildReport()
        self.had_old = replacement.path.exists()
        self._replacement = replacement
        self._catalogue = Catalogue(replacement.database, clock)
        self._progress = progress
        self._recent_90k = recent_90k
        self._recent: dict[bytes, int] = {}  # kid and size of what may have changed until the swap
        self._last: tuple[Scan, _OldFile | None] | None = None  # its end is not known before the next one is read
        self._rows: list[tuple[Segment, bool]] = []  # and whether the file is whole
        self._gaps: list[Gap] = []

    def take_old_facts(self) -> None:
        """What the old file says that footage does not."""
        rows = self._replacement.read_old(
            "select c.name, g.start_90k, g.end_90k, g.cause, g.detail from gap g join camera c on c.id = g.camera_id"
        )
        gaps = [Gap(c, s, e, Cause(w), d) for c, s, e, w, d in rows or ()]
        # Asked one by one: an older file has no such column, and a damaged one answers in part.
        lives = {
            column: self._replacement.read_old(f"select name, {column} from camera where {column} is not null") or []  # noqa: S608 - own names
            for column in ("added_90k", "removed_90k")
        }

        def write(tx: Tx) -> None:
            for column, rows in lives.items():
                for name, at in rows:
                    tx.execute("insert or ignore into camera (name) values (?)", (name,))
                    tx.execute(f"update camera set {column} = ? where name = ?", (at, name))  # noqa: S608 - own names

        self._replacement.database.write(write)
        self._catalogue.add_gaps(gaps)

    def read_all(self, disks: Disks) -> None:
        """Every file of every disk."""
        for camera, stream in _streams(disks):
            old = self._old_files(camera, stream)
            before = self.report.files
            for disk, name, size in _files(disks, camera, stream):
                if name.start_90k >= self._recent_90k:
                    self._recent[name.kid] = size
                self._read(disk, name, old)
                if self.report.files % 1000 == 0:
                    self._progress(f"{self.report.files} files, {self.report.bytes / 1e9:.1f} GB: {camera}/{stream}")
            self._flush()
            self._progress(f"{camera}/{stream}: {self.report.files - before} files")

    def read_recent(self, disks: Disks) -> None:
        """What came or grew since; called while the old index is locked."""
        for camera, stream in _streams(disks):
            known: tuple[Store, SegmentName] | None = None  # the file before, where it has not changed
            for disk, name, size in _files(disks, camera, stream, max(0, self._recent_90k)):
                if name.start_90k >= self._recent_90k and self._recent.get(name.kid) != size:
                    if known is not None and name.kid not in self._recent:
                        self._read_again(*known)
                    self.report.files -= name.kid in self._recent
                    self._read(disk, name, {})
                    known = None
                else:
                    known = disk, name
            self._flush()

    def _read(self, disk: Store, name: SegmentName, old: Mapping[bytes, _OldFile]) -> None:
        self.report.files += 1
        try:
            found = scan(disk, name, tail=False)
        except NotFound:
            self.report.files -= 1  # deleted meanwhile
            return
        except MediaError as error:
            if is_torn(disk, name):
                self.report.empty += 1
                return
            self.report.unreadable += 1
            if len(self.report.unreadable_paths) < _NAMED_MAX:
                self.report.unreadable_paths.append(f"{disk.id}: {path_of(name)}: {error}")
            return
        self._gaps += found.gaps
        if found.segment is None:
            self.report.empty += 1
            return
        self.report.bytes += found.segment.size_bytes
        self.report.segments += 1
        self.report.torn += found.torn_bytes > 0
        known = old.get(name.kid)
        if known is not None and known.size_bytes == found.file_bytes:
            found = msgspec.structs.replace(found, segment=msgspec.structs.replace(found.segment, sha256=known.sha256))
            self.report.hashes += 1
        else:
            known = None
        self._settle_last(found.opening)
        self._last = found, known
        if len(self._rows) >= _BATCH:
            self._write()

    def _read_again(self, disk: Store, name: SegmentName) -> None:
        """A file that is in the index already, and behind which another one came."""
        try:
            found = scan(disk, name, tail=False)
            row = self._catalogue.segment(name.camera, name.stream, name.kid)
        except (MediaError, NotFound):
            return
        if found.segment is not None:
            whole = msgspec.structs.replace(found.segment, sha256=row.sha256)
            self._settle_last(found.opening)
            self._last = msgspec.structs.replace(found, segment=whole), None

    def _settle_last(self, following: Opening | None) -> None:
        """The file before the one that was just read can be written: it is known now where it ends."""
        if self._last is None:
            return
        (found, known), self._last = self._last, None
        if found.segment is not None:
            segment = joined(found.segment, found.picture_90k, following, known and known.end_90k)
            self._rows.append((segment, found.torn_bytes == 0))

    def _flush(self) -> None:
        """End a stream."""
        self._settle_last(None)
        self._write()

    def _write(self) -> None:
        if self._gaps:
            self._catalogue.add_gaps(self._gaps)
            self.report.gaps += len(self._gaps)
        if whole := [segment for segment, is_whole in self._rows if is_whole]:
            self._catalogue.upsert(whole, finished=True)
        if torn := [segment for segment, is_whole in self._rows if not is_whole]:
            self._catalogue.upsert(torn)  # as growing, so that the next start's repair looks at them
        self._rows, self._gaps = [], []

    def _old_files(self, camera: str, stream: str) -> dict[bytes, _OldFile]:
        """What the old index has of a stream's finished files, by kid."""
        rows = self._replacement.read_old(
            "select k.key_id, s.kid_tail, s.size_bytes, s.start_90k + s.duration_90k, b.sha256 from segment s"
            " join hour_key k on k.id = s.hour_key_id join segment_body b on b.id = (s.stream_id << 32 | s.seq)"
            " where b.sha256 is not null and s.stream_id = (select t.id from stream t join camera c"
            " on c.id = t.camera_id where c.name = ? and t.name = ?)",
            (camera, stream),
        )
        return {key + tail: _OldFile(size, end, sha256) for key, tail, size, end, sha256 in rows or ()}


def _streams(disks: Disks) -> list[tuple[str, str]]:
    return sorted({stream for disk in disks for stream in disk.streams()})


def _files(disks: Disks, camera: str, stream: str, from_90k: int = 0) -> Iterator[tuple[Store, SegmentName, int]]:
    """Return the files of a stream on all disks, by their beginning: where one ends, the next one says."""
    walks = [_on(disk, camera, stream, from_90k) for disk in disks]
    return heapq.merge(*walks, key=lambda file: file[1].start_90k)


def _on(disk: Store, camera: str, stream: str, from_90k: int) -> Iterator[tuple[Store, SegmentName, int]]:
    for name, size in disk.walk(camera, stream, from_90k=from_90k):
        yield disk, name, size
