# SPDX-License-Identifier: Apache-2.0
"""Live messages: one sealed sample each, AES-128-GCM (docs/design/footage.md, "Live")."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from closedcircuit.base.errors import CannotOpen, KeyError_

_HEADER: Final = struct.Struct(">BBH8sIqq")
_SEQUENCE_MAX: Final = 0xFFFF_FFFF
_TAG: Final = 16


class LiveHeader(NamedTuple):
    """The clear part of a live message; all but `channel` is authenticated."""

    flags: int  # 1 key frame, 2 audio, 4 first of a replayed group of pictures, 8 codec config changed before it
    channel: int
    live_id: bytes  # 8 bytes
    sequence: int
    pts_90k: int
    sealed_90k: int


class LiveSealer:
    """Seals the samples of one live id. One thread at a time; a sequence number, hence a nonce, is never used twice."""

    __slots__ = ("_aead", "_sequence", "live_id")

    def __init__(self, key: bytes, live_id: bytes) -> None:
        self.live_id = live_id
        self._aead = AESGCM(key)
        self._sequence = 0

    def seal(
        self, flags: int, channel: int, pts_90k: int, sealed_90k: int, plaintext_parts: Iterable[bytes | memoryview]
    ) -> bytes:
        """Whole message. Raises `KeyError_` after 2^32 messages (five years at 25 a second)."""
        sequence = self._sequence
        if sequence > _SEQUENCE_MAX:
            raise KeyError_("This live key has sealed all that it may.", remedy="Take a new live id.")
        self._sequence = sequence + 1
        header = _HEADER.pack(1, flags, channel, self.live_id, sequence, pts_90k, sealed_90k)
        plaintext = b"".join(plaintext_parts)
        return header + self._aead.encrypt(_nonce(sequence), plaintext, header[:2] + header[4:])


def open_live(key: bytes, message: bytes | memoryview) -> tuple[LiveHeader, bytes]:
    """Header and plaintext. Raises CannotOpen where the key is another or a bit was changed."""
    view = memoryview(message)
    if len(view) < _HEADER.size + _TAG:
        raise CannotOpen("This live message is cut off.", remedy="Ask for the stream again.")
    header = bytes(view[: _HEADER.size])
    version, *fields = _HEADER.unpack(header)
    found = LiveHeader(*fields)
    if version != 1:
        raise CannotOpen(f"This live message has version {version}.", remedy="Load the page again.")
    try:
        plaintext = AESGCM(key).decrypt(_nonce(found.sequence), view[_HEADER.size :], header[:2] + header[4:])
    except InvalidTag:
        raise CannotOpen("This live message does not open.", remedy="Ask for the stream's key again.") from None
    return found, plaintext


def _nonce(sequence: int) -> bytes:
    return bytes(8) + sequence.to_bytes(4, "big")
