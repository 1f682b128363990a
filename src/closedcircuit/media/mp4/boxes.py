# SPDX-License-Identifier: Apache-2.0
"""ISO base media file format boxes (ISO/IEC 14496-12, 4.2): making them and walking over them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from closedcircuit.base.errors import MediaError

Buffer = bytes | bytearray | memoryview
"""What bytes come in; nothing here keeps or changes one."""

HEAD: Final = struct.Struct(">I4s")
U32: Final = struct.Struct(">I")
U64: Final = struct.Struct(">Q")
MATRIX: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class Box(NamedTuple):
    """Where a box lies in a buffer."""

    kind: bytes
    start: int
    body: int  # where its content begins
    end: int


def box(kind: bytes, *parts: Buffer) -> bytes:
    """Make a box."""
    body = b"".join(parts)
    return HEAD.pack(8 + len(body), kind) + body


def full_box(kind: bytes, version: int, flags: int, *parts: Buffer) -> bytes:
    """Make a box with version and flags (4.2.2)."""
    return box(kind, U32.pack(version << 24 | flags), *parts)


def walk(data: Buffer, start: int, end: int) -> Iterator[Box]:
    """Boxes that fill [start, end) exactly. Raises MediaError where they do not."""
    at = start
    while at < end:
        if end - at < 8:
            raise damaged("bytes are left over behind a box")
        size, kind = HEAD.unpack_from(data, at)
        body = at + 8
        if size == 1:
            if end - at < 16:
                raise damaged("a box is cut off")
            (size,) = U64.unpack_from(data, body)
            body += 8
        if size < body - at or size > end - at:
            raise damaged(f"the size of box {kind!r} cannot be")
        yield Box(bytes(kind), at, body, at + size)
        at += size


def children(data: Buffer, parent: Box, *, skip: int = 0) -> dict[bytes, Box]:
    """First child of each kind; `skip` bytes of fields come before them."""
    found: dict[bytes, Box] = {}
    for child in walk(data, parent.body + skip, parent.end):
        found.setdefault(child.kind, child)
    return found


def need(found: dict[bytes, Box], kind: bytes, size: int = 0) -> Box:
    """Return the child of that kind, of at least `size` bytes of content. Raises MediaError where there is none."""
    child = found.get(kind)
    if child is None or child.end - child.body < size:
        raise damaged(f"box {kind!r} is missing or cut off")
    return child


def damaged(why: str) -> MediaError:
    """Make the error of every reader here."""
    return MediaError(f"This is not a whole MP4 file: {why}.", remedy="The file is damaged or not one of ours.")
