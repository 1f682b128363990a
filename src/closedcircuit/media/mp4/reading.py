# SPDX-License-Identifier: Apache-2.0
"""Reading sealed segment files back: which fragments are whole, their samples, and the same file unsealed.

Reads what `fragments` writes and nothing wider. A file may end anywhere, or in zeros that a file system left after a
power cut: what is not a whole fragment is not returned, and nothing behind it either.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

import msgspec

from closedcircuit.base.errors import MediaError
from closedcircuit.media.mp4.boxes import HEAD, U32, Box, Buffer, box, children, damaged, need, walk
from closedcircuit.media.mp4.fragments import SENC_SUBSAMPLES, SYNC, TRUN_FLAGS, TRUN_OFFSETS
from closedcircuit.media.mp4.ntp import ticks_of_ntp
from closedcircuit.media.mp4.opening import InitInfo, read_init
from closedcircuit.model import Fragment, SampleCipher

Opener = Callable[[bytes], SampleCipher]
"""Makes the cipher that opens a track from an IV on: `functools.partial(vault.opening_cipher, segment_key)`."""

_PRFT: Final = struct.Struct(">I4sIIQQ")
_MOOF_MAX: Final = 4 << 20  # bytes of a moof that is looked at; one of 4 s has a few thousand
_PAGE: Final = 4096
_ZEROS: Final = bytes(_PAGE)


class ClearSample(msgspec.Struct, frozen=True):
    """One opened sample. Times are in the track's timescale from the segment's start."""

    track: int  # 1 video, 2 audio
    dts: int
    pts: int
    duration: int
    key: bool
    data: memoryview  # of the fragment's opened bytes, shared by its samples


class _Entry(NamedTuple):
    duration: int
    size: int
    key: bool
    offset: int  # composition


class _Run(NamedTuple):
    """One track's samples in a fragment."""

    track: int
    dts: int
    at: int  # where its data begins, from the moof's start
    entries: list[_Entry]
    seals: (
        list[tuple[bytes, list[tuple[int, int]]]] | None
    )  # per sample: IV, (clear, protected) pairs; None: not sealed


def iter_fragments(source: Buffer | BinaryIO, offset: int, *, check_data: bool = False) -> Iterator[Fragment]:
    """Whole fragments from `offset` (`InitInfo.size`) on. The last one's `offset + size` is where a torn file is cut.

    Never raises for what the bytes say. With `check_data` the sealed data is looked at too, and a fragment with a page
    of zeros in it counts as torn: some file systems write pages late and leave zeros at a power cut. `source` as a
    file is read by seeking; OSError passes.
    """
    reader = _Reader(source)
    while (found := _fragment_at(reader, offset, check_data=check_data)) is not None:
        yield found
        offset += found.size


def open_fragment(data: Buffer, init: InitInfo, opener: Opener | None) -> list[ClearSample]:
    """Samples of one fragment (all of its bytes): video in decoding order, then audio.

    `opener` None where the file is not sealed. Raises MediaError where the bytes are no whole fragment. A wrong key
    raises nothing here: what comes out is noise (CTR has no integrity of its own; the segment's SHA-256 has).
    """
    work = memoryview(bytearray(data))
    moof, runs = _open_runs(work, 0, opener)
    work = work.toreadonly()
    samples: list[ClearSample] = []
    for run in runs:
        if run.track > len(init.tracks):
            raise damaged("a fragment has a track that the file does not declare")
        at, dts = moof + run.at, run.dts
        for duration, size, key, offset in run.entries:
            samples.append(ClearSample(run.track, dts, dts + offset, duration, key, work[at : at + size]))
            at += size
            dts += duration
    return samples


def clear_segment(data: Buffer, opener: Opener) -> bytes:
    """Return the same file unsealed: a fragmented MP4 that plays, of the same length, box for box in the same places.

    A torn tail is left out. Raises MediaError where the beginning is damaged.
    """
    init = read_init(data)
    last = None
    out = bytearray(data)
    with memoryview(out) as view:
        _clear_init(view[: init.size])
        for last in iter_fragments(data, init.size):
            moof, _ = _open_runs(view, last.offset, opener)
            _clear_moof(view, moof)
    del out[last.offset + last.size if last else init.size :]
    return bytes(out)


class _Reader:
    """The same few reads on a buffer and on a file."""

    def __init__(self, source: Buffer | BinaryIO) -> None:
        self._file: BinaryIO | None = None
        self._view = memoryview(b"")
        if isinstance(source, bytes | bytearray | memoryview):
            self._view = memoryview(source)
            self.size = len(self._view)
        else:
            self._file = source
            self.size = source.seek(0, 2)

    def read(self, at: int, size: int) -> Buffer:
        """Up to `size` bytes at `at`."""
        if self._file is None:
            return self._view[at : at + size]
        self._file.seek(at)
        return self._file.read(size)


def _fragment_at(reader: _Reader, offset: int, *, check_data: bool) -> Fragment | None:
    head = reader.read(offset, 40)
    if len(head) < 40:
        return None
    size, kind, _, _, ntp, _ = _PRFT.unpack_from(head)
    moof_size, moof_kind = HEAD.unpack_from(head, 32)
    if size != 32 or kind != b"prft" or moof_kind != b"moof" or not 8 <= moof_size <= _MOOF_MAX:
        return None
    moof = reader.read(offset + 32, moof_size + 8)
    if len(moof) < moof_size + 8:
        return None
    mdat_size, mdat_kind = HEAD.unpack_from(moof, moof_size)
    whole = 32 + moof_size + mdat_size
    if mdat_kind != b"mdat" or mdat_size < 8 or offset + whole > reader.size:
        return None
    try:
        runs = _read_moof(moof, Box(b"moof", 0, 8, moof_size), mdat_size)
    except MediaError:
        return None
    if runs[0].track != 1:
        return None
    if check_data and _has_hole(reader, offset + 40 + moof_size, offset + whole):
        return None
    first = runs[0].entries[0]
    return Fragment(
        start_90k=ticks_of_ntp(ntp),
        duration_90k=sum(entry.duration for entry in runs[0].entries),
        offset=offset,
        size=whole,
        key=first.key,
        key_bytes=40 + moof_size + first.size if first.key else 0,
    )


def _has_hole(reader: _Reader, start: int, end: int) -> bool:
    """Say whether any page of the file within [start, end), or the rest of its last one, is all zeros."""
    data = reader.read(start, end - start)
    if len(data) < end - start:
        return True
    at = -start % _PAGE
    while at < len(data):
        if data[at] == 0 and data[at : at + _PAGE] == _ZEROS[: len(data) - at] and len(data) - at >= 16:
            return True
        at += _PAGE
    return False


def _open_runs(work: memoryview, offset: int, opener: Opener | None) -> tuple[int, list[_Run]]:
    """Decrypt the fragment at `offset` in place. Returns where its moof begins, and its tracks."""
    reader = _Reader(work)
    found = _fragment_at(reader, offset, check_data=False)
    if found is None:
        raise damaged("a fragment is not whole")
    moof = offset + 32
    (moof_size,) = U32.unpack_from(work, moof)
    runs = _read_moof(work, Box(b"moof", moof, moof + 8, moof + moof_size), found.size - 32 - moof_size)
    for run in runs:
        if run.seals is not None:
            if opener is None:
                raise MediaError("This fragment is sealed.", remedy="Give its segment key.")
            _open_run(work, moof + run.at, run, opener)
    return moof, runs


def _open_run(work: memoryview, at: int, run: _Run, opener: Opener) -> None:
    """Open one track's samples, with one call where their IVs follow one another, as ours do."""
    seals = run.seals or []
    expected = seals[0][0]
    ranges: list[list[tuple[int, int]]] = []
    steady = True
    for iv, pairs in seals:
        steady = steady and iv == expected
        inner = []
        total = 0
        for clear, sealed in pairs:
            at += clear
            if sealed:
                inner.append((at, sealed))
                at += sealed
                total += sealed
        steady = steady and total % 16 == 0
        expected = iv[:8] + (int.from_bytes(iv[8:], "big") + (total + 15 >> 4) & (1 << 64) - 1).to_bytes(8, "big")
        ranges.append(inner)
    if steady:
        opener(seals[0][0]).apply(work, [place for inner in ranges for place in inner])
        return
    cipher = None
    following = b""
    for (iv, _), inner in zip(seals, ranges, strict=True):
        if cipher is None or iv != following:
            cipher = opener(iv)
        cipher.apply(work, inner)  # moves on to the next whole block
        following = cipher.begin()


def _read_moof(data: Buffer, moof: Box, mdat_size: int) -> list[_Run]:
    """Tracks of a moof, checked to fill the mdat that follows it exactly. Raises MediaError."""
    runs = [_read_traf(data, child) for child in walk(data, moof.body, moof.end) if child.kind == b"traf"]
    at = moof.end - moof.start + 8
    end = at - 8 + mdat_size
    for run in runs:
        if run.at != at:
            raise damaged("samples are not where they should be")
        at += sum(entry.size for entry in run.entries)
    if at != end or not runs or len({run.track for run in runs}) != len(runs):
        raise damaged("samples do not fill their fragment")
    return runs


def _read_traf(data: Buffer, traf: Box) -> _Run:
    inner = children(data, traf)
    tfhd, tfdt, trun = need(inner, b"tfhd", 8), need(inner, b"tfdt", 12), need(inner, b"trun", 12)
    flags, track = struct.unpack_from(">II", data, tfhd.body)
    version, dts = struct.unpack_from(">IQ", data, tfdt.body)
    if flags != 0x0002_0000 or version != 0x0100_0000 or track not in (1, 2):
        raise damaged("a fragment is written in another way")
    entries, data_at = _read_trun(data, trun)
    seals = None
    if b"senc" in inner:
        seals = _read_senc(data, need(inner, b"senc", 8), entries)
    return _Run(track, dts, data_at, entries, seals)


def _read_trun(data: Buffer, trun: Box) -> tuple[list[_Entry], int]:
    flags, count, data_at = struct.unpack_from(">III", data, trun.body)
    if flags == TRUN_FLAGS:
        columns = 3
    elif flags == TRUN_FLAGS | TRUN_OFFSETS | 0x0100_0000:
        columns = 4
    else:
        raise damaged("a fragment is written in another way")
    if count == 0 or trun.end - trun.body != 12 + 4 * columns * count:
        raise damaged("a sample table is cut off")
    offsets = columns == 4
    form = ">IIIi" if offsets else ">III"
    rows = struct.iter_unpack(form, data[trun.body + 12 : trun.end])
    return [_Entry(row[0], row[1], row[2] == SYNC, row[3] if offsets else 0) for row in rows], data_at


def _read_senc(data: Buffer, senc: Box, entries: list[_Entry]) -> list[tuple[bytes, list[tuple[int, int]]]]:
    flags, count = struct.unpack_from(">II", data, senc.body)
    if flags not in (0, SENC_SUBSAMPLES) or count != len(entries):
        raise damaged("a sealing table is written in another way")
    at = senc.body + 8
    seals = []
    for entry in entries:
        pairs = [(0, entry.size)]
        if senc.end - at < 16 + flags:
            raise damaged("a sealing table is cut off")
        iv = bytes(data[at : at + 16])
        at += 16
        if flags:
            number = int.from_bytes(data[at : at + 2], "big")
            at += 2
            if senc.end - at < 6 * number:
                raise damaged("a sealing table is cut off")
            pairs = list(struct.iter_unpack(">HI", data[at : at + 6 * number]))
            at += 6 * number
            if sum(map(sum, pairs)) != entry.size:
                raise damaged("a sealing table does not fit its sample")
        seals.append((iv, pairs))
    if at != senc.end:
        raise damaged("a sealing table is too long")
    return seals


def _clear_init(view: memoryview) -> None:
    """Declare the tracks unsealed: give entries their own names back, and blank what speaks of sealing."""
    for top in walk(view, 0, len(view)):
        if top.kind != b"moov":
            continue
        for child in walk(view, top.body, top.end):
            if child.kind == b"pssh":
                _blank(view, child)
            elif child.kind == b"trak":
                mdia = need(children(view, child), b"mdia")
                stbl = need(children(view, need(children(view, mdia), b"minf")), b"stbl")
                stsd = need(children(view, stbl), b"stsd", 8)
                for entry in walk(view, stsd.body + 8, stsd.end):
                    _clear_entry(view, entry)


def _clear_entry(view: memoryview, entry: Box) -> None:
    fields = {b"encv": 78, b"enca": 28}.get(entry.kind)
    if fields is None:
        return
    sinf = need(children(view, entry, skip=fields), b"sinf")
    original = need(children(view, sinf), b"frma", 4)
    view[entry.start + 4 : entry.start + 8] = bytes(view[original.body : original.body + 4])
    _blank(view, sinf)


def _clear_moof(view: memoryview, at: int) -> None:
    (size,) = U32.unpack_from(view, at)
    for traf in walk(view, at + 8, at + size):
        if traf.kind == b"traf":
            for child in walk(view, traf.body, traf.end):
                if child.kind in (b"senc", b"saiz", b"saio"):
                    _blank(view, child)


def _blank(view: memoryview, place: Box) -> None:
    size = place.end - place.start
    view[place.start : place.end] = box(b"free", bytes(size - 8))
