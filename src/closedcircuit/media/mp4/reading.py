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
_BLOCK_MAX: Final = (1 << 64) - 1


class ClearSample(msgspec.Struct, frozen=True):
    """One opened sample. Times are in the track's timescale from the segment's start."""

    track: int  # 1 video, 2 audio
    dts: int
    pts: int
    duration: int
    key: bool
    data: memoryview  # of the fragment's opened bytes, shared by its samples


_Seal = tuple[bytes, list[tuple[int, int]]]
"""How one sample is sealed: its IV, and (clear, protected) pairs."""


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
    seals: list[_Seal] | None  # one a sample; None: not sealed, or not asked for


def iter_fragments(source: Buffer | BinaryIO, offset: int, *, check_data: bool = False) -> Iterator[Fragment]:
    """Whole fragments from `offset` (`InitInfo.size`) on. The last one's `offset + size` is where a torn file is cut.

    Never raises for what the bytes say. With `check_data` (for repair after a crash) the sealing table is checked and
    the data read: a page of zeros makes a fragment torn, for some file systems leave those at a power cut. A file is
    read by seeking; OSError passes.
    """
    reader = _Reader(source)
    while (found := _fragment_at(reader, offset, check_data=check_data)) is not None:
        yield found
        offset += found.size


def longest_picture(source: Buffer | BinaryIO, offset: int) -> int:
    """How long the longest picture of the fragment at `offset` stands, 1/90000 s; 0 where none is whole there."""
    place = _locate(_Reader(source), offset)
    try:
        runs = _read_moof(place.moof, place.mdat_size, seals=False) if place else []
    except MediaError:
        return 0
    return max((entry.duration for run in runs if run.track == 1 for entry in run.entries), default=0)


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


class _Place(NamedTuple):
    """A fragment whose boxes are all there; what is in its moof is not looked at yet."""

    ntp: int
    moof: Buffer  # bytes, from the box's own head on
    mdat_size: int
    size: int


def _locate(reader: _Reader, offset: int) -> _Place | None:
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
    return _Place(ntp, moof[:moof_size], mdat_size, whole)


def _fragment_at(reader: _Reader, offset: int, *, check_data: bool) -> Fragment | None:
    place = _locate(reader, offset)
    if place is None:
        return None
    try:
        runs = _read_moof(place.moof, place.mdat_size, seals=check_data)
    except MediaError:
        return None
    if runs[0].track != 1 or (check_data and _has_hole(reader, offset, offset + place.size)):
        return None
    first = runs[0].entries[0]
    return Fragment(
        start_90k=ticks_of_ntp(place.ntp),
        duration_90k=sum([entry.duration for entry in runs[0].entries]),
        offset=offset,
        size=place.size,
        key=first.key,
        key_bytes=40 + len(place.moof) + first.size if first.key else 0,
    )


def _has_hole(reader: _Reader, start: int, end: int) -> bool:
    """Say whether any page of the file within [start, end), or what of the last one is in it, is all zeros."""
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
    place = _locate(_Reader(work), offset)
    if place is None:
        raise damaged("a fragment is not whole")
    moof = offset + 32
    runs = _read_moof(place.moof, place.mdat_size, seals=True)
    for run in runs:
        if run.seals is not None:
            if opener is None:
                raise MediaError("This fragment is sealed.", remedy="Give its segment key.")
            _open_run(work, moof + run.at, run.seals, opener)
    return moof, runs


def _open_run(work: memoryview, at: int, seals: list[_Seal], opener: Opener) -> None:
    """Open one track's samples, with one cipher where their IVs follow one another, as ours do."""
    cipher = None
    following = b""
    waiting: list[tuple[int, int]] = []
    for iv, pairs in seals:
        if cipher is None or iv != following:
            if cipher is not None:
                cipher.apply(work, waiting)
                waiting = []
            cipher = opener(iv)
            block = int.from_bytes(iv[8:], "big")
        total = 0
        for clear, sealed in pairs:
            at += clear
            if sealed:
                waiting.append((at, sealed))
                at += sealed
                total += sealed
        if total & 15:
            cipher.apply(work, waiting)  # which moves on to the next whole block
            waiting = []
        block += total + 15 >> 4
        following = iv[:8] + (block & _BLOCK_MAX).to_bytes(8, "big")
    if cipher is not None:
        cipher.apply(work, waiting)


def _read_moof(moof: Buffer, mdat_size: int, *, seals: bool) -> list[_Run]:
    """Tracks of a moof, checked to fill the mdat that follows it exactly. Raises MediaError."""
    runs = [_read_traf(moof, child, seals=seals) for child in walk(moof, 8, len(moof)) if child.kind == b"traf"]
    at = len(moof) + 8
    end = at - 8 + mdat_size
    for run in runs:
        if run.at != at:
            raise damaged("samples are not where they should be")
        at += sum([entry.size for entry in run.entries])
    if at != end or not runs or len({run.track for run in runs}) != len(runs):
        raise damaged("samples do not fill their fragment")
    return runs


def _read_traf(data: Buffer, traf: Box, *, seals: bool) -> _Run:
    inner = children(data, traf)
    tfhd, tfdt, trun = need(inner, b"tfhd", 8), need(inner, b"tfdt", 12), need(inner, b"trun", 12)
    flags, track = struct.unpack_from(">II", data, tfhd.body)
    version, dts = struct.unpack_from(">IQ", data, tfdt.body)
    if flags != 0x0002_0000 or version != 0x0100_0000 or track not in (1, 2):
        raise damaged("a fragment is written in another way")
    entries, data_at = _read_trun(data, trun)
    found = _read_senc(data, need(inner, b"senc", 8), entries) if seals and b"senc" in inner else None
    return _Run(track, dts, data_at, entries, found)


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
    table = data[trun.body + 12 : trun.end]
    if columns == 4:
        shifted = struct.iter_unpack(">IIIi", table)
        return [_Entry(duration, size, flag == SYNC, offset) for duration, size, flag, offset in shifted], data_at
    rows = struct.iter_unpack(">III", table)
    return [_Entry(duration, size, flag == SYNC, 0) for duration, size, flag in rows], data_at


def _read_senc(data: Buffer, senc: Box, entries: list[_Entry]) -> list[_Seal]:
    flags, count = struct.unpack_from(">II", data, senc.body)
    if flags not in (0, SENC_SUBSAMPLES) or count != len(entries):
        raise damaged("a sealing table is written in another way")
    at = senc.body + 8
    if flags == 0:
        if senc.end - at != 16 * count:
            raise damaged("a sealing table is cut off")
        ivs = struct.iter_unpack("16s", data[at : senc.end])
        return [(iv, [(0, entry.size)]) for (iv,), entry in zip(ivs, entries, strict=True)]
    seals: list[_Seal] = []
    for entry in entries:
        if senc.end - at < 18:
            raise damaged("a sealing table is cut off")
        iv, number = struct.unpack_from(">16sH", data, at)
        at += 18
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
