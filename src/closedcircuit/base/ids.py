# SPDX-License-Identifier: Apache-2.0
"""Randomness and names. The only place that asks the operating system for random bytes outside `vault`."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from typing import Protocol

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z")


class Ids(Protocol):
    """Where a room gets random bytes from. Safe from any thread."""

    def random(self, size: int) -> bytes:
        """`size` bytes that nobody can predict."""


class SystemIds:
    """The operating system's generator."""

    def random(self, size: int) -> bytes:
        """Return bytes from getrandom(2) or its like."""
        return os.urandom(size)


class SeededIds:
    """The same bytes every time, for tests; never for keys of real footage."""

    def __init__(self, seed: bytes = b"test") -> None:
        self._seed, self._count = seed, 0

    def random(self, size: int) -> bytes:
        """Return the next bytes of a SHAKE-256 stream."""
        self._count += 1
        return hashlib.shake_256(self._seed + self._count.to_bytes(8, "big")).digest(size)


def slug(name: str) -> str:
    """Turn what a person typed ("Front door, left") into an id for files and URLs (`front-door-left`); may be empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")


def is_slug(text: str) -> bool:
    """Say whether `text` is safe as an id: lower-case letters, digits, inner hyphens, 1 to 40 long."""
    return bool(_SLUG.match(text))
