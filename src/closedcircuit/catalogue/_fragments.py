# SPDX-License-Identifier: Apache-2.0
"""A segment's fragments as one blob.

Numbers of fixed width and not varints: 12 bytes a fragment against about 9, but one call unpacks all of them, and a
range query of an hour has 1800. The first byte says which form follows:

    3  per fragment u32 duration, u32 size, u32 key_bytes                fragments touch, in the file and in time; those
                                                                         with key_bytes begin with a key: the usual form
    1  per fragment u32 duration, u32 size, u32 key_bytes << 1 | key     as 3, where key and key_bytes say two things
    2  per fragment i32 pause before it, then as 1                       they touch in the file only
    0  msgpack of the fragments                                          anything else, also what we would never write

Little-endian. Offsets are stored in 0 only: the first is the segment's `init_bytes`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec

from closedcircuit.base.errors import CatalogueError
from closedcircuit.model import Fragment

_KEYED, _TOUCHING, _PAUSED, _PLAIN = 3, 1, 2, 0
_decode = msgspec.msgpack.Decoder(tuple[Fragment, ...]).decode
_encode = msgspec.msgpack.Encoder().encode


def pack(fragments: Sequence[Fragment], start_90k: int, init_bytes: int) -> bytes:
    """Return the blob for the fragments of a segment that begins at `start_90k`."""
    at, offset = start_90k, init_bytes
    rows: list[tuple[int, int, int, int]] = []
    for f in fragments:
        pause = f.start_90k - at
        fits = (
            f.offset == offset
            and -(1 << 31) <= pause < 1 << 31
            and 0 <= f.duration_90k < 1 << 32
            and 0 <= f.size < 1 << 32
            and 0 <= f.key_bytes < 1 << 31
        )
        if not fits:
            return bytes((_PLAIN,)) + _encode(tuple(fragments))
        rows.append((pause, f.duration_90k, f.size, f.key_bytes << 1 | f.key))
        at, offset = f.start_90k + f.duration_90k, offset + f.size
    if any(row[0] for row in rows):
        return bytes((_PAUSED,)) + b"".join(struct.pack("<iIII", *row) for row in rows)
    if all(f.key == (f.key_bytes > 0) for f in fragments):
        return bytes((_KEYED,)) + b"".join(struct.pack("<III", d, size, key >> 1) for _, d, size, key in rows)
    return bytes((_TOUCHING,)) + b"".join(struct.pack("<III", *row[1:]) for row in rows)


def unpack(blob: bytes, start_90k: int, init_bytes: int) -> tuple[Fragment, ...]:
    """Inverse of `pack`. Raises CatalogueError for bytes that are none of the forms."""
    try:
        form = blob[0]
        if form in {_KEYED, _TOUCHING}:
            # By columns, and without a loop of our own: an hour's range query has 1800 of them.
            numbers = struct.unpack(f"<x{(len(blob) - 1) // 12 * 3}I", blob)
            durations, sizes, key_bytes = numbers[0::3], numbers[1::3], numbers[2::3]
            are_keys: Iterable[bool] = map(bool, key_bytes)
            if form == _TOUCHING:
                are_keys = [key & 1 == 1 for key in key_bytes]
                key_bytes = tuple(key >> 1 for key in key_bytes)
            starts, offsets = accumulate(durations, initial=start_90k), accumulate(sizes, initial=init_bytes)
            return tuple(map(Fragment, starts, durations, offsets, sizes, are_keys, key_bytes))
        if form == _PAUSED:
            at, offset = start_90k, init_bytes
            made: list[Fragment] = []
            for pause, duration, size, key in struct.iter_unpack("<iIII", memoryview(blob)[1:]):
                at += pause
                made.append(Fragment(at, duration, offset, size, bool(key & 1), key >> 1))
                at += duration
                offset += size
            return tuple(made)
        if form == _PLAIN:
            return _decode(memoryview(blob)[1:])
    except (IndexError, struct.error, msgspec.DecodeError) as error:
        raise CatalogueError(
            f"The index holds damaged fragments ({error}).", remedy="Run `closedcircuit footage rebuild`."
        ) from error
    raise CatalogueError(f"The index holds fragments of an unknown form ({form}).", remedy="Install the newer version.")
