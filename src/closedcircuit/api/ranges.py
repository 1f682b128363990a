# SPDX-License-Identifier: Apache-2.0
"""Byte ranges (RFC 9110, 14)."""

from __future__ import annotations

import re

_ONE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*\Z", re.IGNORECASE)


class UnsatisfiableError(ValueError):
    """The range asked for lies outside; the answer is 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return [start, end) of a Range header, or None for the whole: without one, of another unit, or several ranges.

    A server may ignore what it does not serve (14.2); several ranges in one answer are nothing that we need.
    Raises UnsatisfiableError.
    """
    found = _ONE.match(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start = int(found[1])
        end = min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return None  # not a valid range at all: ignored (14.1.1)
    if start >= size or end <= start:
        raise UnsatisfiableError
    return start, end
