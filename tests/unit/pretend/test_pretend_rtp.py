# SPDX-License-Identifier: Apache-2.0
"""Packets can be put together again to what went in."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import TICKS
from closedcircuit.pretend.rtp import MTU, NTP_EPOCH_S, RtpStream, audio_payload, video_payloads

H264 = st.tuples(st.sampled_from([0x67, 0x68, 0x65, 0x41, 0x06]), st.binary(min_size=1, max_size=4000)).map(
    lambda n: bytes((n[0],)) + n[1]
)
H265 = st.tuples(st.sampled_from([0x40, 0x42, 0x44, 0x26, 0x02]), st.binary(min_size=1, max_size=4000)).map(
    lambda n: bytes((n[0], 1)) + n[1]
)


def put_together(codec: str, payloads: list[bytes]) -> list[bytes]:
    """A second reading of RFC 6184 and RFC 7798, as short as can be."""
    nals: list[bytes] = []
    for payload in payloads:
        assert len(payload) <= MTU + 3 + 10 * 202
        kind = payload[0] & 31 if codec == "h264" else payload[0] >> 1 & 63
        head = 1 if codec == "h264" else 2
        if kind in (24, 48):
            rest = payload[head:]
            while rest:
                size = int.from_bytes(rest[:2], "big")
                nals.append(rest[2 : 2 + size])
                rest = rest[2 + size :]
        elif kind in (28, 49):
            flags = payload[head]
            if codec == "h264":
                header = bytes((payload[0] & 0xE0 | flags & 31,))
            else:
                header = bytes((payload[0] & 0x81 | (flags & 63) << 1, payload[1]))
            if flags & 0x80:
                nals.append(header)
            nals[-1] += payload[head + 1 :]
        else:
            nals.append(payload)
    return nals


@given(st.lists(H264, min_size=1, max_size=8))
def test_h264_comes_back(nals: list[bytes]):
    assert put_together("h264", video_payloads("h264", nals)) == nals


@given(st.lists(H265, min_size=1, max_size=8))
def test_h265_comes_back(nals: list[bytes]):
    assert put_together("h265", video_payloads("h265", nals)) == nals


def test_a_burst_is_numbered_and_its_last_packet_marked():
    stream = RtpStream("h264", payload_type=96, rate=90_000, ssrc=0xFFFFFFFF, channel=0)
    first = stream.sequence
    burst = stream.burst([b"a" * 10, b"b" * 20, b"c"], 90_000, key=True)
    assert len(burst.offsets) == 3
    for number, offset in enumerate(burst.offsets):
        magic, channel, _, version, kind, sequence, stamp, ssrc = struct.unpack_from(">BBHBBHII", burst.data, offset)
        assert (magic, channel, version, ssrc) == (0x24, 0, 0x80, 0xFFFFFFFF)
        assert sequence == (first + number) & 0xFFFF
        assert stamp == (stream.base + 90_000) & 0xFFFFFFFF
        assert bool(kind & 0x80) == (number == 2)
    moved = burst.on(6)
    assert [moved[offset + 1] for offset in burst.offsets] == [6, 6, 6]
    assert len(moved) == len(burst.data)


def test_sequence_numbers_wrap():
    stream = RtpStream("pcmu", payload_type=0, rate=8000, ssrc=1, channel=2)
    stream.sequence = 0xFFFF
    burst = stream.burst([b"x", b"y"], 0)
    assert [struct.unpack_from(">H", burst.data, offset + 6)[0] for offset in burst.offsets] == [0xFFFF, 0]


def test_a_sender_report_ties_media_time_to_wall_time():
    stream = RtpStream("h264", payload_type=96, rate=90_000, ssrc=7, channel=0)
    stream.burst([b"abc"], 0)
    report = stream.sender_report(1_800_000_000 * TICKS + TICKS // 2, 4242)
    magic, channel, size = struct.unpack_from(">BBH", report)
    assert (magic, channel, size) == (0x24, 1, len(report) - 4)
    kind, _, ssrc, seconds, fraction, stamp, packets, octets = struct.unpack_from(">xBHIIIIII", report, 4)
    assert (kind, ssrc, packets, octets) == (200, 7, 1, 3)
    assert seconds == 1_800_000_000 + NTP_EPOCH_S
    assert fraction == 1 << 31
    assert stamp == stream.timestamp(4242)
    assert report[4 + 28 + 1] == 202
    assert len(report) % 4 == 0


@pytest.mark.parametrize("codec", ["pcmu", "opus"])
def test_other_audio_goes_as_it_is(codec: str):
    assert audio_payload(codec, b"frame") == b"frame"


def test_aac_gets_its_header_section():
    assert audio_payload("aac", b"x" * 300)[:4] == struct.pack(">HH", 16, 300 << 3)
