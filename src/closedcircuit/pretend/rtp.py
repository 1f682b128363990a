# SPDX-License-Identifier: Apache-2.0
"""Access units and audio frames to interleaved RTP, built once for all clients of a stream.

RTP: RFC 3550; H.264: RFC 6184; H.265: RFC 7798; AAC: RFC 3640 (AAC-hbr); G.711: RFC 3551; Opus: RFC 7587;
the four bytes in front of each packet on a TCP connection: RFC 2326, 10.12.
"""

from __future__ import annotations

import struct

import msgspec

MTU = 1400
"""Bytes of RTP payload in a packet, as on an Ethernet with room to spare."""
NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 (NTP) to 1970."""


class Burst(msgspec.Struct, frozen=True):
    """The interleaved packets of one access unit, on their default channel."""

    data: bytes
    offsets: tuple[int, ...]  # of each packet's `$`
    video: bool
    key: bool

    def on(self, channel: int) -> bytes:
        """The same with another channel number."""
        data = bytearray(self.data)
        for offset in self.offsets:
            data[offset + 1] = channel
        return bytes(data)


class RtpStream:
    """One track's sequence numbers, timestamps and counters. Owned by the thread that draws it."""

    def __init__(self, codec: str, *, payload_type: int, rate: int, ssrc: int, channel: int) -> None:
        self.codec, self.rate, self.ssrc, self.channel = codec, rate, ssrc, channel
        self._payload_type = payload_type
        # RFC 3550, 5.1: both begin anywhere, so that a receiver has to cope with wrap-around.
        self.sequence = ssrc >> 7 & 0xFFFF
        self.base = ssrc * 2_654_435_761 & 0xFFFFFFFF
        self.packets = self.octets = 0
        self.last_timestamp = self.base

    def timestamp(self, at: int) -> int:
        """RTP timestamp of `at`, which counts in this track's rate from any zero."""
        return (self.base + at) & 0xFFFFFFFF

    def burst(self, payloads: list[bytes], at: int, *, key: bool = False) -> Burst:
        """Number the payloads of one access unit; the last one gets the marker bit (video)."""
        video = self.codec in ("h264", "h265")
        stamp = self.last_timestamp = self.timestamp(at)
        out = bytearray()
        offsets = []
        last = len(payloads) - 1
        for index, payload in enumerate(payloads):
            offsets.append(len(out))
            marker = 0x80 if index == last and video else 0
            out += struct.pack(
                ">BBHBBHII",
                0x24,
                self.channel,
                12 + len(payload),
                0x80,
                self._payload_type | marker,
                self.sequence,
                stamp,
                self.ssrc,
            )
            out += payload
            self.sequence = (self.sequence + 1) & 0xFFFF
            self.octets += len(payload)
        self.packets += len(payloads)
        return Burst(bytes(out), tuple(offsets), video, key)

    def sender_report(self, wall_90k: int, at: int) -> bytes:
        """RTCP SR and SDES (RFC 3550, 6.4.1 and 6.5) that ties `at` to wall time, on the odd channel."""
        seconds, ticks = divmod(wall_90k, 90_000)
        name = b"pretend"
        report = struct.pack(
            ">BBHIIIIII",
            0x80,
            200,
            6,
            self.ssrc,
            (seconds + NTP_EPOCH_S) & 0xFFFFFFFF,
            (ticks << 32) // 90_000,
            self.timestamp(at),
            self.packets & 0xFFFFFFFF,
            self.octets & 0xFFFFFFFF,
        )
        items = bytes((1, len(name))) + name
        items += b"\0" * (4 - len(items) % 4)
        report += struct.pack(">BBHI", 0x81, 202, 1 + len(items) // 4, self.ssrc) + items
        return struct.pack(">BBH", 0x24, self.channel + 1, len(report)) + report


def video_payloads(codec: str, nals: list[bytes]) -> list[bytes]:
    """Payloads of one access unit: small NAL units gathered (STAP-A, AP), large ones split (FU-A, FU)."""
    payloads: list[bytes] = []
    small: list[bytes] = []
    for nal in nals:
        if len(nal) <= 200:  # parameter sets and SEI travel together, as most cameras send them
            small.append(nal)
            continue
        payloads += _gather(codec, small)
        small = []
        payloads += [nal] if len(nal) <= MTU else _split(codec, nal)
    return payloads + _gather(codec, small)


def _gather(codec: str, nals: list[bytes]) -> list[bytes]:
    if len(nals) < 2:
        return list(nals)
    body = b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
    if codec == "h264":  # RFC 6184, 5.7.1: F and the highest NRI of the gathered units
        return [bytes((24 | max(nal[0] & 0x60 for nal in nals),)) + body]
    return [bytes((48 << 1, 1)) + body]  # RFC 7798, 4.4.2: layer 0, TID 1


def _split(codec: str, nal: bytes) -> list[bytes]:
    if codec == "h264":  # RFC 6184, 5.8
        kind, header, skip = nal[0] & 31, bytes((nal[0] & 0xE0 | 28,)), 1
    else:  # RFC 7798, 4.4.3
        kind, header, skip = nal[0] >> 1 & 63, bytes((nal[0] & 0x81 | 49 << 1, nal[1])), 2
    step = MTU - len(header) - 1
    starts = range(skip, len(nal), step)
    return [
        header
        + bytes((kind | (0x80 if at == skip else 0) | (0x40 if at + step >= len(nal) else 0),))
        + nal[at : at + step]
        for at in starts
    ]


def audio_payload(codec: str, frame: bytes) -> bytes:
    """Payload of one audio frame; AAC gets the AU header section of RFC 3640, 3.3.6 (13 bits of size, 3 of index)."""
    if codec == "aac":
        return struct.pack(">HH", 16, len(frame) << 3) + frame
    return frame
