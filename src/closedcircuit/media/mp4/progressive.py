# SPDX-License-Identifier: Apache-2.0
"""Ordinary MP4 files (ISO/IEC 14496-12): samples of many segments put together without coding them again.

`ftyp mdat moov`: the samples go to disk as they come, the tables are kept (8 to 12 bytes a sample: 3 MB for an hour
of video and sound) and written at the end. A file whose writing was broken off has no tables, and no player opens it.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import BinaryIO, Final, Self

from closedcircuit.base.errors import Unsupported
from closedcircuit.media.mp4.boxes import HEAD, U32, U64, box, full_box
from closedcircuit.media.mp4.entries import sample_entry
from closedcircuit.media.mp4.opening import movie_header, track_boxes
from closedcircuit.media.mp4.reading import ClearSample
from closedcircuit.model import Track, TrackKind

_MOVIE_SCALE: Final = 90_000
_U32_MAX: Final = 0xFFFF_FFFF
_GAP_MAX_S: Final = 12 * 3600  # a duration has 32 bits: 13 hours at 90 kHz
_MDAT_HEAD: Final = 16  # bytes, with a 64-bit size


class _Lane:
    """One track of the file: its samples' tables."""

    def __init__(self, track: Track) -> None:
        self.track = track
        self.codings = [track]  # sample entries
        self.start = 0  # decoding time of its first sample
        self.dts = -1  # of the last sample
        self.duration = 0  # of the last sample, as it was given
        self.durations = array("I")  # of all samples but the last
        self.sizes = array("I")
        self.offsets = array("i")  # composition; video only
        self.keys = array("I")  # numbers of key samples, from 1; video only
        self.chunks: list[tuple[int, int, int]] = []  # place in the file, samples, coding (from 1)

    def check(self, track: Track, dts: int) -> None:
        """Raise Unsupported where samples of that coding, from that time on, cannot be in this track."""
        if self.dts >= 0 and dts - self.dts > _GAP_MAX_S * self.track.timescale:
            raise Unsupported("Nothing was recorded for half a day.", remedy="Begin a new file here.")
        if (track.kind, track.codec, track.timescale) != (self.track.kind, self.track.codec, self.track.timescale):
            raise Unsupported(
                f"The camera's {track.kind} changed from {self.track.codec} to {track.codec} "
                f"({self.track.timescale} to {track.timescale} a second).",
                remedy="Begin a new file here.",
            )

    def coding(self, track: Track) -> int:
        """Return the number of a coding, from 1; a new one where it is new."""
        if track not in self.codings:
            self.codings.append(track)
        return self.codings.index(track) + 1

    def add(self, sample: ClearSample, at: int) -> None:
        """Take a sample's place in time; `at` is where its segment begins, in the track's timescale."""
        dts = at + sample.dts
        if self.dts < 0:
            self.start = dts = max(0, dts)
        else:
            # Segments can overlap by rounding, or where the camera's clock was corrected.
            dts = max(dts, self.dts + 1)
            self.durations.append(dts - self.dts)
        self.dts = dts
        self.duration = sample.duration
        self.sizes.append(len(sample.data))
        if sample.track == 1:
            self.offsets.append(sample.pts - sample.dts)
            if sample.key:
                self.keys.append(len(self.sizes))


class Mp4File:
    """Writes one file. One thread at a time; nothing is durable before `close` returned and the caller synced it.

    Use it as a context manager: leaving it without an error closes it.
    """

    def __init__(self, file: BinaryIO, *, comment: str = "") -> None:
        """`file`: open for writing, seekable, empty. `comment` is what players show (camera, time)."""
        self._file = file
        self._comment = comment
        self._lanes: dict[TrackKind, _Lane] = {}
        ftyp = box(b"ftyp", b"isom\0\0\2\0isomiso2mp41")
        file.write(ftyp + HEAD.pack(1, b"mdat") + U64.pack(0))
        self._mdat = len(ftyp)
        self._at = len(ftyp) + _MDAT_HEAD

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()

    def write(self, tracks: tuple[Track, ...], samples: Sequence[ClearSample], at_90k: int) -> None:
        """Append samples (one fragment, say) of a segment with these `tracks` that begins `at_90k` after this file.

        Segments in order of time. A gap between them becomes a long last picture. Raises Unsupported, before anything
        is written, where the coding changed so much that a new file is needed; OSError passes.
        """
        runs = [(tracks[number - 1], list(run)) for number, run in groupby(samples, key=lambda sample: sample.track)]
        for track, run in runs:
            if known := self._lanes.get(track.kind):
                known.check(track, at_90k * track.timescale // 90_000 + run[0].dts)
        out = []
        for track, run in runs:
            lane = self._lanes.setdefault(track.kind, _Lane(track))
            start = at_90k * track.timescale // 90_000
            lane.chunks.append((self._at, len(run), lane.coding(track)))
            for sample in run:
                lane.add(sample, start)
                out.append(sample.data)
                self._at += len(sample.data)
        self._file.write(b"".join(out))

    def close(self) -> None:
        """Write the tables. Raises Unsupported where nothing was written at all."""
        if not self._lanes:
            raise Unsupported("There is nothing to put into this file.", remedy="Choose a time with footage.")
        lanes = [self._lanes[kind] for kind in (TrackKind.VIDEO, TrackKind.AUDIO) if kind in self._lanes]
        first = min(lane.start * _MOVIE_SCALE // lane.track.timescale for lane in lanes)
        traks, length = [], 0
        for number, lane in enumerate(lanes, 1):
            trak, ends = _trak(number, lane, first)
            traks.append(trak)
            length = max(length, ends)
        moov = box(b"moov", movie_header(_MOVIE_SCALE, length, len(lanes) + 1), *traks, _udta(self._comment))
        self._file.write(moov)
        self._file.seek(self._mdat + 8)
        self._file.write(U64.pack(self._at - self._mdat))
        self._file.seek(0, 2)


def _trak(number: int, lane: _Lane, first: int) -> tuple[bytes, int]:
    """Return a trak and where in the movie (its timescale, from `first`) it ends."""
    scale = lane.track.timescale
    durations = [*lane.durations, lane.duration]
    total = sum(durations)
    # Offsets are written unsigned, which every player reads: all are moved up, and the edit list takes it back.
    shift = -min(0, min(lane.offsets, default=0))
    offsets = [offset + shift for offset in lane.offsets]
    delay = lane.start * _MOVIE_SCALE // scale - first
    length = total * _MOVIE_SCALE // scale
    edits = [(delay, -1)] if delay else []
    edits.append((length, shift))
    tables = [
        full_box(b"stsd", 0, 0, U32.pack(len(lane.codings)), *(sample_entry(track, None) for track in lane.codings)),
        full_box(b"stts", 0, 0, *_counted(durations)),
    ]
    if any(offsets):
        tables.append(full_box(b"ctts", 0, 0, *_counted(offsets)))
    if len(lane.keys) < len(lane.offsets):
        tables.append(full_box(b"stss", 0, 0, U32.pack(len(lane.keys)), _u32s(lane.keys)))
    tables += [
        full_box(b"stsc", 0, 0, *_chunk_runs(lane.chunks)),
        full_box(b"stsz", 0, 0, U32.pack(0), U32.pack(len(lane.sizes)), _u32s(lane.sizes)),
        _chunk_places([place for place, _, _ in lane.chunks]),
    ]
    tkhd, mdia = track_boxes(number, lane.track, (delay + length, total), b"".join(tables))
    elst = full_box(b"elst", 1, 0, U32.pack(len(edits)), *(struct.pack(">QqI", *edit, 0x10000) for edit in edits))
    parts = [tkhd, mdia] if edits == [(length, 0)] else [tkhd, box(b"edts", elst), mdia]
    return box(b"trak", *parts), delay + length


def _counted(values: Iterable[int]) -> list[bytes]:
    """(count, value) runs of a table, after their number."""
    runs = [struct.pack(">II", sum(1 for _ in group), value) for value, group in groupby(values)]
    return [U32.pack(len(runs)), *runs]


def _chunk_runs(chunks: list[tuple[int, int, int]]) -> list[bytes]:
    """Entries of stsc: where the number of samples or the coding changes."""
    runs = []
    last = None
    for number, (_, count, coding) in enumerate(chunks, 1):
        if (count, coding) != last:
            runs.append(struct.pack(">III", number, count, coding))
            last = count, coding
    return [U32.pack(len(runs)), *runs]


def _chunk_places(places: list[int]) -> bytes:
    if places[-1] > _U32_MAX:
        return full_box(b"co64", 0, 0, U32.pack(len(places)), struct.pack(f">{len(places)}Q", *places))
    return full_box(b"stco", 0, 0, U32.pack(len(places)), _u32s(places))


def _u32s(values: Sequence[int]) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _udta(comment: str) -> bytes:
    """Comment as players of the QuickTime family read it: udta, meta, ilst."""
    if not comment:
        return b""
    text = box(b"\xa9cmt", box(b"data", U32.pack(1), U32.pack(0), comment.encode()))
    hdlr = full_box(b"hdlr", 0, 0, bytes(4), b"mdirappl", bytes(9))
    return box(b"udta", full_box(b"meta", 0, 0, hdlr, box(b"ilst", text)))
