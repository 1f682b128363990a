# SPDX-License-Identifier: Apache-2.0
"""RTCP (RFC 3550, 6): sender reports in, receiver reports out, because some cameras stop without them."""

from __future__ import annotations

import struct

import msgspec

from closedcircuit.base.clock import TICKS

_NTP_UNIX_S = 2_208_988_800  # 1900 to 1970
_ERA_S = 1 << 32  # NTP seconds begin again on 2036-02-07 (RFC 5905, 6)


class SenderInfo(msgspec.Struct, frozen=True):
    """The part of a sender report that tells the time."""

    ssrc: int
    ntp_90k: int  # wall time as the camera has it
    ntp_middle: int  # the middle 32 bits, to be sent back
    rtp: int  # the RTP timestamp of that moment


def parse_rtcp(data: bytes) -> tuple[list[SenderInfo], bool]:
    """Read a compound packet: its sender reports, and whether the sender says goodbye. What is damaged is skipped."""
    reports: list[SenderInfo] = []
    bye = False
    at = 0
    while at + 8 <= len(data):
        first, kind, words = struct.unpack_from(">BBH", data, at)
        end = at + 4 + words * 4
        if first >> 6 != 2 or end > len(data):
            break
        if kind == 200 and end - at >= 28:
            ssrc, seconds, fraction, rtp = struct.unpack_from(">IIII", data, at + 4)
            if seconds:
                middle = (seconds & 0xFFFF) << 16 | fraction >> 16
                reports.append(SenderInfo(ssrc, _wall_90k(seconds, fraction), middle, rtp))
        elif kind == 203:
            bye = True
        at = end
    return reports, bye


def _wall_90k(seconds: int, fraction: int) -> int:
    # Before 1970 in era 0 means era 1; cameras whose clock was never set say 1970 or 2000, which stays as it is.
    since_1970 = seconds - _NTP_UNIX_S if seconds >= _NTP_UNIX_S else seconds + _ERA_S - _NTP_UNIX_S
    return since_1970 * TICKS + (fraction * TICKS >> 32)


class Reception(msgspec.Struct):
    """What a receiver report says of one stream. Owned by the session."""

    ssrc: int
    highest: int = 0  # extended highest sequence number
    lost: int = 0
    received: int = 0
    sender_middle: int = 0
    sender_at_s: float = 0.0


def receiver_report(own_ssrc: int, stream: Reception, now_s: float) -> bytes:
    """A compound packet: RR with one block, SDES with a CNAME (6.1 wants both)."""
    delay = int((now_s - stream.sender_at_s) * 65_536) & 0xFFFFFFFF if stream.sender_middle else 0
    total = stream.lost + stream.received
    fraction = min(255, stream.lost * 256 // total) if total else 0
    block = struct.pack(
        ">IIIIII",
        stream.ssrc,
        fraction << 24 | min(stream.lost, 0x7FFFFF),
        stream.highest & 0xFFFFFFFF,
        0,
        stream.sender_middle,
        delay,
    )
    name = b"closedcircuit"
    item = bytes((1, len(name))) + name
    item += b"\0" * (4 - len(item) % 4)
    words = 1 + len(item) // 4
    return (
        struct.pack(">BBHI", 0x81, 201, 7, own_ssrc) + block + struct.pack(">BBHI", 0x81, 202, words, own_ssrc) + item
    )
