# SPDX-License-Identifier: Apache-2.0
"""The beginning of a segment file: ftyp, moov and our header (docs/design/footage.md, "Segment file")."""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from closedcircuit.media.mp4.boxes import HEAD, MATRIX, U32, Box, Buffer, box, children, damaged, full_box, need, walk
from closedcircuit.media.mp4.entries import read_entry, sample_entry
from closedcircuit.model import Track, TrackKind

INIT_BYTES_MAX: Final = 1 << 20
"""No longer beginning is read; whoever opens a file can read this much of it and hand it to `read_init`."""

HEADER_TYPE: Final = b"closedcircuit\0\0\1"
_COMMON_SYSTEM: Final = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")  # W3C, "cenc" initialization data format


class InitInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the beginning of a segment file says."""

    tracks: tuple[Track, ...]
    kid: bytes | None  # 16 bytes; None where the file is not sealed
    header: bytes  # the JSON of our header box; empty where there is none
    size: int  # bytes; the first fragment begins here


def init_segment(tracks: tuple[Track, ...], kid: bytes | None, header_json: bytes) -> bytes:
    """Build ftyp, moov and, unless `header_json` is empty, our header. Track ids are 1, 2, ... in the order given.

    With `kid` the tracks are declared sealed under it; without, the file is an ordinary fragmented MP4.
    Raises Unsupported for a coding that has no place in an MP4 file.
    """
    ftyp = box(b"ftyp", b"iso6\0\0\0\0iso6cmfcmp41dash")
    traks = [_trak(number, track, kid) for number, track in enumerate(tracks, 1)]
    trexes = [full_box(b"trex", 0, 0, struct.pack(">5I", number, 1, 0, 0, 0)) for number in range(1, len(tracks) + 1)]
    pssh = b"" if kid is None else full_box(b"pssh", 1, 0, _COMMON_SYSTEM, U32.pack(1), kid, U32.pack(0))
    moov = box(b"moov", movie_header(1000, 0, len(tracks) + 1), *traks, box(b"mvex", *trexes), pssh)
    return ftyp + moov + (box(b"uuid", HEADER_TYPE, header_json) if header_json else b"")


def read_init(data: Buffer) -> InitInfo:
    """Read the beginning of a segment file; bytes behind it do not matter. Raises MediaError, Unsupported."""
    view = memoryview(data)[:INIT_BYTES_MAX]
    ftyp = _top(view, 0, b"ftyp")
    moov = _top(view, ftyp.end, b"moov")
    tracks: list[Track] = []
    kids: set[bytes | None] = set()
    for child in walk(view, moov.body, moov.end):
        if child.kind == b"trak":
            track, kid = _read_trak(view, child)
            tracks.append(track)
            kids.add(kid)
    if not tracks or len(kids) != 1:
        raise damaged("its tracks are not sealed alike")
    header, size = b"", moov.end
    if bytes(view[size + 4 : size + 8]) == b"uuid":
        uuid = _top(view, size, b"uuid")
        if bytes(view[uuid.body : uuid.body + 16]) == HEADER_TYPE:
            header, size = bytes(view[uuid.body + 16 : uuid.end]), uuid.end
    return InitInfo(tracks=tuple(tracks), kid=kids.pop(), header=header, size=size)


def movie_header(timescale: int, duration: int, next_track: int) -> bytes:
    """mvhd, version 1 (8.2.2)."""
    fields = struct.pack(">QQIQIH10x", 0, 0, timescale, duration, 0x10000, 0x100)
    return full_box(b"mvhd", 1, 0, fields, MATRIX, bytes(24), U32.pack(next_track))


def track_boxes(number: int, track: Track, durations: tuple[int, int], tables: bytes) -> tuple[bytes, bytes]:
    """Build tkhd and mdia: `durations` in the movie's and in the track's timescale, `tables` the content of stbl."""
    video = track.kind is TrackKind.VIDEO
    head = struct.pack(">QQI4xQ8xHHH2x", 0, 0, number, durations[0], 0, 0, 0 if video else 0x100)
    tkhd = full_box(b"tkhd", 1, 3, head, MATRIX, struct.pack(">II", track.width << 16, track.height << 16))
    mdhd = full_box(b"mdhd", 1, 0, struct.pack(">QQIQHH", 0, 0, track.timescale, durations[1], 0x55C4, 0))
    handler = b"vide" if video else b"soun"
    hdlr = full_box(b"hdlr", 0, 0, struct.pack(">4x4s12x", handler), b"Video\0" if video else b"Sound\0")
    media = full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4))
    dinf = box(b"dinf", full_box(b"dref", 0, 0, U32.pack(1), full_box(b"url ", 0, 1)))
    return tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", media, dinf, box(b"stbl", tables)))


def _trak(number: int, track: Track, kid: bytes | None) -> bytes:
    empty = [
        full_box(kind, 0, 0, bytes(size)) for kind, size in ((b"stts", 4), (b"stsc", 4), (b"stsz", 8), (b"stco", 4))
    ]
    entries = full_box(b"stsd", 0, 0, U32.pack(1), sample_entry(track, kid))
    return box(b"trak", *track_boxes(number, track, (0, 0), b"".join([entries, *empty])))


def _top(data: memoryview, at: int, kind: bytes) -> Box:
    if len(data) - at < 8:
        raise damaged("it is cut off")
    size, found = HEAD.unpack_from(data, at)
    if found != kind or size < 8 or size > len(data) - at:
        raise damaged(f"there is no whole box {kind!r} where one should be")
    return Box(kind, at, at + 8, at + size)


def _read_trak(data: memoryview, trak: Box) -> tuple[Track, bytes | None]:
    mdia = children(data, need(children(data, trak), b"mdia"))
    mdhd = need(mdia, b"mdhd", 24)
    (timescale,) = U32.unpack_from(data, mdhd.body + (20 if data[mdhd.body] else 12))
    stbl = need(children(data, need(mdia, b"minf")), b"stbl")
    stsd = need(children(data, stbl), b"stsd", 16)
    entries = list(walk(data, stsd.body + 8, stsd.end))
    if len(entries) != 1 or timescale == 0:
        raise damaged("a track has no single coding")
    return read_entry(data, entries[0], timescale)
