# SPDX-License-Identifier: Apache-2.0
"""Bits out of NAL units (H.264 7.2, H.265 7.2) and out of AudioSpecificConfig."""

from __future__ import annotations

from closedcircuit.base.errors import MediaError


def rbsp(nal: bytes) -> bytes:
    """Drop the emulation prevention bytes (H.264 7.4.1, H.265 7.4.2)."""
    return nal.replace(b"\0\0\3", b"\0\0")


class Bits:
    """Reads big-endian bits. Every read past the end raises MediaError, so that loops over lies end."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    @property
    def left(self) -> int:
        """Bits not read yet."""
        return self._left

    def u(self, count: int) -> int:
        """Unsigned, `count` bits."""
        if count > self._left:
            raise MediaError("a parameter set ends too early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """Exp-Golomb, unsigned (H.264 9.1)."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise MediaError("a parameter set holds a number that is too large")
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        """Exp-Golomb, signed (H.264 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)
