# SPDX-License-Identifier: Apache-2.0
"""AES-128-CTR over samples (ISO/IEC 23001-7, scheme `cenc`, 16-byte IV), and how keys are derived."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BLOCK: Final = 16
_SKIP: Final = memoryview(bytes(BLOCK))


def derive(hour_key: bytes | bytearray, info: str) -> bytes:
    """16 bytes: HKDF-SHA256 (RFC 5869) of a 32-byte hour key, without salt."""
    return HKDF(hashes.SHA256(), 16, None, info.encode("ascii")).derive(hour_key)


class CtrCipher:
    """One track's run of keystream, in use. Fulfils `model.SampleCipher`.

    One thread at a time. The AES context lives as long as this object, and holds the expanded key.
    """

    __slots__ = ("_context", "_counter", "_prefix", "_scratch", "_update", "kid")

    def __init__(self, key: bytes | bytearray, kid: bytes, prefix: bytes, counter: int = 0) -> None:
        self.kid = kid
        self._prefix = prefix
        self._counter = counter
        self._context = Cipher(algorithms.AES(key), modes.CTR(prefix + counter.to_bytes(8, "big"))).encryptor()
        self._update = self._context.update_into
        self._scratch = memoryview(bytearray(BLOCK))

    def begin(self) -> bytes:
        """IV of what `apply` does next: the 8 random bytes and the block counter."""
        return self._prefix + self._counter.to_bytes(8, "big")

    def apply(self, buffer: memoryview, ranges: list[tuple[int, int]]) -> None:
        """Encrypt (or open: CTR is its own inverse) in place; then move up to the next whole block."""
        update = self._update
        total = 0
        for offset, length in ranges:
            part = buffer[offset : offset + length]
            update(part, part)
            total += length
        if spare := -total % BLOCK:
            update(_SKIP[:spare], self._scratch)
        self._counter += (total + BLOCK - 1) // BLOCK


def opening_cipher(key: bytes | bytearray, iv: bytes) -> CtrCipher:
    """Cipher that continues at a sample's 16-byte IV, to open it and those after it in the same run of keystream."""
    if len(iv) != BLOCK:
        raise ValueError("an IV has 16 bytes")
    return CtrCipher(key, b"", iv[:8], int.from_bytes(iv[8:], "big"))
