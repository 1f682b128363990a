# SPDX-License-Identifier: Apache-2.0
"""NAL units into RTP payloads: the other direction, for fakes and for whoever serves a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def payloads(codec: str, nals: Iterable[bytes], mtu: int = 1400) -> Iterator[bytes]:
    """RTP payloads of one access unit: single NAL units and fragments (RFC 6184 5.8, RFC 7798 4.4.3)."""
    for nal in nals:
        if len(nal) <= mtu:
            yield nal
            continue
        if codec == "h264":
            skip, head, kind = 1, bytes((nal[0] & 0xE0 | 28,)), nal[0] & 31
        else:
            skip, head, kind = 2, bytes((nal[0] & 0x81 | 49 << 1, nal[1])), nal[0] >> 1 & 63
        room = mtu - skip - 1
        for at in range(skip, len(nal), room):
            mark = (0x80 if at == skip else 0) | (0x40 if at + room >= len(nal) else 0)
            yield head + bytes((mark | kind,)) + nal[at : at + room]


def aggregate(codec: str, nals: Iterable[bytes]) -> bytes:
    """One STAP-A (RFC 6184, 5.7.1) or AP (RFC 7798, 4.4.2) of small NAL units."""
    head = bytes((24 | 0x60,)) if codec == "h264" else bytes((48 << 1, 1))
    return head + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
