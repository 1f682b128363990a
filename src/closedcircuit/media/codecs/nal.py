# SPDX-License-Identifier: Apache-2.0
"""NAL units in and out of byte streams (H.264 annex B) and length-prefixed samples (ISO/IEC 14496-15)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from closedcircuit.base.errors import MediaError

_START = re.compile(rb"\x00\x00\x01")


def split_annexb(data: bytes) -> list[bytes]:
    """NAL units of an annex B byte stream; zero bytes between them are not theirs."""
    starts = [found.end() for found in _START.finditer(data)]
    if not starts:
        return []
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    nals = (data[start:end].rstrip(b"\0") for start, end in zip(starts, ends, strict=True))
    return [nal for nal in nals if nal]


def split_lengths(data: bytes | memoryview, prefix: int = 4) -> Iterator[bytes]:
    """NAL units of a length-prefixed sample. Raises MediaError where a length runs over the end."""
    at, end = 0, len(data)
    while at < end:
        size = int.from_bytes(data[at : at + prefix], "big")
        at += prefix
        if at + size > end:
            raise MediaError("a NAL unit is longer than its sample")
        yield bytes(data[at : at + size])
        at += size


def join_lengths(nals: Iterable[bytes]) -> bytes:
    """A sample of NAL units with 4-byte lengths."""
    return b"".join(part for nal in nals for part in (len(nal).to_bytes(4, "big"), nal))
