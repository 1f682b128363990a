# SPDX-License-Identifier: Apache-2.0
"""Which bytes of a video sample are sealed (ISO/IEC 23001-7, 9.5: subsample encryption of NAL-structured video).

Parameter sets, delimiters, end marks and filler stay clear, so that a player can set itself up; of every other NAL unit
the length, the header and as many bytes as make the rest a multiple of 16 stay clear. Types that the standards reserve
are sealed: what nobody can name today may be a picture tomorrow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

ENTRIES_MAX: Final = 39  # saiz counts the bytes of a sample's record in one byte: 16 + 2 + 6 * 39 = 252
_NALS_MAX: Final = 512  # more in one sample than any encoder writes: such a sample is not walked to its end
_CLEAR_MAX: Final = 65_535  # bytes of clear data that one entry can count
_RECORD: Final = struct.Struct(">QQHHI")
_ENTRY: Final = struct.Struct(">HI")
_LENGTH: Final = struct.Struct(">I")


class NalCoding:
    """How to tell from a NAL unit's first byte whether it stays clear."""

    __slots__ = ("clear", "header")

    def __init__(self, header: int, clear: bytes) -> None:
        self.header = header  # bytes of a NAL unit's header
        self.clear = clear  # 256 flags, by first byte


H264: Final = NalCoding(1, bytes(first & 31 in {7, 8, 9, 10, 11, 12, 13, 15} for first in range(256)))
"""ITU-T H.264, table 7-1: SPS, PPS, delimiter, end of sequence and stream, filler, SPS extension, subset SPS."""

H265: Final = NalCoding(2, bytes(32 <= first >> 1 & 63 <= 38 for first in range(256)))
"""ITU-T H.265, table 7-1: VPS, SPS, PPS, delimiter, end of sequence and bitstream, filler."""

CODINGS: Final = {"h264": H264, "h265": H265}


def seal_plan(
    data: bytearray | memoryview, sizes: Sequence[int], coding: NalCoding, iv: bytes
) -> tuple[list[tuple[int, int]], list[bytes]]:
    """Plan the sealing of samples that lie one behind the other in `data`.

    Returns the (offset, length) ranges to encrypt, all of whole blocks, as one run of keystream that begins at `iv`;
    and a record a sample for `senc`: its IV, the number of entries, (clear, protected) pairs that add up to its size.
    Never looks past the end of a sample, whatever its length fields say.
    """
    prefix, counter = int.from_bytes(iv[:8], "big"), int.from_bytes(iv[8:], "big")
    ranges: list[tuple[int, int]] = []
    records: list[bytes] = []
    header, clear_types = coding.header, coding.clear
    length_at = _LENGTH.unpack_from
    overhead = 4 + header
    start = 0
    for size in sizes:
        end = start + size
        at = start
        # The common camera: one slice fills the sample.
        if size > overhead + 16 and length_at(data, at)[0] == size - 4 and not clear_types[data[at + 4]]:
            sealed = size - overhead & ~15
            clear = size - sealed
            ranges.append((start + clear, sealed))
            records.append(_RECORD.pack(prefix, counter, 1, clear, sealed))
            counter += sealed >> 4
            start = end
            continue
        pairs = _pairs(data, start, end, coding)
        record = [prefix.to_bytes(8, "big"), counter.to_bytes(8, "big"), len(pairs).to_bytes(2, "big")]
        for clear, sealed in pairs:
            record.append(_ENTRY.pack(clear, sealed))
            at += clear
            if sealed:
                ranges.append((at, sealed))
                at += sealed
                counter += sealed >> 4
        records.append(b"".join(record))
        start = end
    return ranges, records


def _pairs(data: bytearray | memoryview, start: int, end: int, coding: NalCoding) -> list[tuple[int, int]]:
    """(clear, protected) pairs of one sample."""
    overhead = 4 + coding.header
    pairs: list[tuple[int, int]] = []
    clear = 0
    at = start
    for _ in range(_NALS_MAX):
        left = end - at
        if left < overhead + 16:
            clear += left
            return _split([*pairs, (clear, 0)] if clear or not pairs else pairs) or _whole(start, end, coding)
        (length,) = _LENGTH.unpack_from(data, at)
        size = 4 + length
        if size > left:
            # The length cannot be: what is left is sealed whatever it seems to be.
            size, keep = left, False
        else:
            keep = bool(length == 0 or coding.clear[data[at + 4]])
        sealed = 0 if keep or size < overhead + 16 else size - overhead & ~15
        clear += size - sealed
        if sealed:
            pairs.append((clear, sealed))
            clear = 0
        at += size
    return _whole(start, end, coding)


def _split(pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Split clear runs that an entry cannot count; empty where there are too many entries then."""
    out: list[tuple[int, int]] = []
    for clear, sealed in pairs:
        while clear > _CLEAR_MAX:
            out.append((_CLEAR_MAX, 0))
            clear -= _CLEAR_MAX
        out.append((clear, sealed))
        if len(out) > ENTRIES_MAX:
            return []
    return out


def _whole(start: int, end: int, coding: NalCoding) -> list[tuple[int, int]]:
    """Seal an absurd sample as one NAL unit. Whoever has the table opens it like any other."""
    sealed = max(0, end - start - 4 - coding.header) & ~15
    return [(end - start - sealed, sealed)]
