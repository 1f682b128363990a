# SPDX-License-Identifier: Apache-2.0
"""The bytes between recorder, web and browser.

Frames of `live.sock` (docs/design/processes.md), live messages (docs/design/footage.md, "Live"), and the WebSocket
frame that carries one to a browser (RFC 6455, 5.2; a server's frames are not masked).

Nothing here keeps state but `FrameReader`, which holds at most one unfinished frame.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator

import msgspec

from closedcircuit.base.errors import MediaError
from closedcircuit.model import FRAGMENT_BYTES_MAX

FRAME_BYTES_MAX = FRAGMENT_BYTES_MAX + (1 << 16)
"""A frame of `live.sock` that says it is longer is not one of ours: no sample may outgrow a fragment."""

MESSAGE_HEADER = struct.Struct(">BBHQIqq")
"""version, flags, channel, live id, sequence, pts, sealed at: the 32 clear bytes of a live message."""

MESSAGE_BYTES_MIN = MESSAGE_HEADER.size + 16
"""Header and the tag of an empty ciphertext."""

KEY, AUDIO, REPLAYED, CONFIG_CHANGED = 1, 2, 4, 8
"""Flags of a live message."""

TEXT, BINARY = 0x1, 0x2
"""WebSocket opcodes."""


class FrameKind(enum.IntEnum):
    """Types of `live.sock` frames. The recorder sends those below 16, web the others."""

    HELLO = 1
    STATE = 2
    CONFIG = 3
    SAMPLE = 4
    TESTED = 6
    EDGE = 7
    WATCH = 16
    UNWATCH = 17
    RELOAD = 18
    TEST = 19


def pack_frame(kind: FrameKind, payload: bytes) -> bytes:
    """Return one frame of `live.sock`: u32 length of what follows, u8 type, payload."""
    return struct.pack(">IB", len(payload) + 1, kind) + payload


def pack_json(kind: FrameKind, value: object) -> bytes:
    """Return one frame whose payload is `value` as JSON."""
    return pack_frame(kind, msgspec.json.encode(value))


def pack_sample(name: str, message: bytes) -> bytes:
    """Return a SAMPLE frame of the stream `camera/stream`."""
    raw = name.encode()
    return pack_frame(FrameKind.SAMPLE, struct.pack(">H", len(raw)) + raw + message)


def split_sample(payload: bytes) -> tuple[str, memoryview]:
    """Split a SAMPLE payload into the stream's name and the live message.

    Raises MediaError where it is too short, not of version 1, or its name is not text.
    """
    if len(payload) < 2:
        raise MediaError("A sample frame is shorter than its name's length.")
    end = 2 + int.from_bytes(payload[:2], "big")
    if len(payload) < end + MESSAGE_BYTES_MIN:
        raise MediaError("A sample frame is shorter than a live message.")
    if payload[end] != 1:
        raise MediaError(f"A live message of version {payload[end]}, which this program does not know.")
    try:
        name = payload[2:end].decode("ascii")
    except UnicodeDecodeError as error:
        raise MediaError("A sample frame's name is not ASCII.") from error
    return name, memoryview(payload)[end:]


class FrameReader:
    """Cuts a byte stream into frames. Holds at most one unfinished frame (`FRAME_BYTES_MAX`). For one thread."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (type, payload) of each frame that `data` completes.

        Raises MediaError where a length is zero or absurd; nothing after that can be trusted, so drop the connection.
        """
        self._held += data
        at, size = 0, len(self._held)
        try:
            while size - at >= 5:
                length = int.from_bytes(self._held[at : at + 4], "big")
                if not 0 < length <= FRAME_BYTES_MAX:
                    raise MediaError(f"A frame of {length} bytes on live.sock, where at most {FRAME_BYTES_MAX} fit.")
                if size - at < 4 + length:
                    break
                yield self._held[at + 4], bytes(memoryview(self._held)[at + 5 : at + 4 + length])
                at += 4 + length
        finally:
            del self._held[:at]

    @property
    def held_bytes(self) -> int:
        """Bytes of the frame that is still unfinished."""
        return len(self._held)


def web_frame(opcode: int, *parts: bytes | memoryview) -> bytes:
    """Return one whole, final, unmasked WebSocket frame whose payload is `parts` joined (RFC 6455, 5.2)."""
    size = sum(len(part) for part in parts)
    if size < 126:
        head = struct.pack(">BB", 0x80 | opcode, size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 127, size)
    return b"".join((head, *parts))


def text_frame(value: object) -> bytes:
    """Return a WebSocket text frame that carries `value` as JSON."""
    return web_frame(TEXT, msgspec.json.encode(value))


def message_frame(message: memoryview, channel: int) -> bytes:
    """Return a WebSocket binary frame that carries a live message with its channel filled in.

    The channel (bytes 2 and 3) is outside what the recorder authenticated, on purpose.
    """
    return web_frame(BINARY, message[:2], channel.to_bytes(2, "big"), message[4:])
