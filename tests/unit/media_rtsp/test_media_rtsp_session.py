# SPDX-License-Identifier: Apache-2.0
"""A whole conversation as bytes: however it is cut, the same samples come out; whatever it is, no error but ours."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import Secret, SeededIds
from closedcircuit.base.errors import CameraError
from closedcircuit.cameras.fakes import H264_PPS, H264_SPS, CollectingSink, made_up_frames, payload_of
from closedcircuit.media.rtsp import RtspSession, aggregate, payloads

SDP = (
    "v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\na=control:v\r\n"
    "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n"
    "a=fmtp:97 mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;indexdeltalength=3\r\na=control:a\r\n"
)


def answers(codec: str) -> bytes:
    body = SDP.format(codec=codec)
    ok = "RTSP/1.0 200 OK\r\nCSeq: {}\r\n"
    return "".join(
        [
            ok.format(1) + "Public: GET_PARAMETER\r\n\r\n",
            ok.format(2) + f"Content-Length: {len(body)}\r\n\r\n" + body,
            ok.format(3) + "Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
            ok.format(4) + "Session: 1\r\nTransport: RTP/AVP/TCP;interleaved=2-3\r\n\r\n",
            ok.format(5) + "Session: 1\r\n\r\n",
        ]
    ).encode()


def packet(channel: int, kind: int, sequence: int, ts: int, payload: bytes, *, mark: bool = False) -> bytes:
    head = 0x80 << 24 | (kind | (0x80 if mark else 0)) << 16 | sequence & 0xFFFF
    return struct.pack(">BBHIII", 0x24, channel, 12 + len(payload), head, ts & 0xFFFFFFFF, 7) + payload


def stream(codec: str, count: int = 12) -> bytes:
    out, sequence = b"", 65_530
    for number, frame in enumerate(made_up_frames(count, gop=4, size=900, codec=codec.lower())):
        pieces = list(payloads(codec.lower(), frame.nals, 200))
        for index, piece in enumerate(pieces):
            out += packet(0, 96, sequence, frame.at, piece, mark=index == len(pieces) - 1)
            sequence += 1
        unit = bytes([number]) * 40
        out += packet(2, 97, number, number * 1024, struct.pack(">HH", 16, 40 << 3) + unit, mark=True)
    return out


def session(sink: CollectingSink) -> RtspSession:
    made = RtspSession("rtsp://h/x", "", Secret(""), ids=SeededIds(), sink=sink)
    made.begin(0.0)
    return made


def facts(sink: CollectingSink) -> list[tuple]:
    return [(sample.track, sample.pts, sample.key, payload_of(sample)) for sample in sink.samples]


@pytest.mark.parametrize("codec", ["H264", "H265"])
def test_cut_at_every_byte(codec):
    data = answers(codec) + stream(codec, 3)
    whole = CollectingSink()
    session(whole).feed(memoryview(data), 1.0, 90_000)
    assert len(whole.samples) == 6
    for at in range(0, len(data), 3):
        sink = CollectingSink()
        one = session(sink)
        one.feed(memoryview(data[:at]), 1.0, 90_000)
        one.feed(memoryview(data[at:]), 1.0, 90_000)
        assert facts(sink) == facts(whole)


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(["H264", "H265"]), st.lists(st.integers(1, 3000), min_size=1, max_size=40))
def test_cut_anywhere_and_often(codec, sizes):
    data = answers(codec) + stream(codec)
    whole, sink = CollectingSink(), CollectingSink()
    session(whole).feed(memoryview(data), 1.0, 90_000)
    one, at, number = session(sink), 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)]
        one.feed(memoryview(data[at : at + size]), 1.0, 90_000)
        at, number = at + size, number + 1
    assert facts(sink) == facts(whole)
    assert len(sink.video) == 12
    assert len(sink.audio) == 12


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_flipped_bytes_end_in_samples_or_in_an_error_of_ours(data):
    codec = data.draw(st.sampled_from(["H264", "H265"]))
    wire = bytearray(stream(codec, 4))
    for _ in range(data.draw(st.integers(1, 12))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    sink = CollectingSink()
    one = session(sink)
    one.feed(memoryview(answers(codec)), 1.0, 90_000)
    with contextlib.suppress(CameraError):
        one.feed(memoryview(bytes(wire)), 1.0, 90_000)
        one.poll(2.0, 180_000)
    for sample in sink.samples:
        assert sample.size == len(payload_of(sample))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["H264", "H265"]),
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 3, 4]),
            st.sampled_from([96, 97, 0]),
            st.integers(0, 6),
            st.integers(0, 3),
            st.sampled_from(
                [
                    b"",
                    b"\x7c\x85",
                    b"\x7c\x05",
                    b"\x7c\x45",
                    b"\x78",
                    b"\x65\x88",
                    b"\x62\x01\x93",
                    b"\x60\x01",
                    b"\x00\x10",
                ]
            ),
            st.binary(max_size=60),
            st.booleans(),
        ),
        max_size=25,
    ),
)
def test_any_packets_end_in_samples_or_in_an_error_of_ours(codec, packets):
    sink = CollectingSink()
    one = session(sink)
    one.feed(memoryview(answers(codec)), 1.0, 90_000)
    with contextlib.suppress(CameraError):
        for number, (channel, kind, step, time, head, body, mark) in enumerate(packets):
            wire = packet(channel, kind, number + step % 2, time * 3600, head + body, mark=mark)
            one.feed(memoryview(wire), 1.0 + number, 90_000 * number)
            one.poll(1.0 + number, 90_000 * number)
    for sample in sink.samples:
        assert sample.size == len(payload_of(sample))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_any_bytes_from_the_start(chunks):
    one = session(CollectingSink())
    with contextlib.suppress(CameraError):
        for number, chunk in enumerate(chunks):
            one.feed(memoryview(chunk), float(number), number)


@pytest.mark.parametrize("codec", ["H264", "H265"])
@pytest.mark.parametrize("extra", ["padding", "extension", "sources"])
def test_the_rarer_parts_of_rtp_headers(codec, extra):
    plain, odd = CollectingSink(), CollectingSink()
    wire = stream(codec, 5)
    session_plain, session_odd = session(plain), session(odd)
    session_plain.feed(memoryview(answers(codec) + wire), 1.0, 90_000)
    session_odd.feed(memoryview(answers(codec)), 1.0, 90_000)
    at = 0
    while at < len(wire):
        size = 4 + int.from_bytes(wire[at + 2 : at + 4], "big")
        head, payload = bytearray(wire[at + 4 : at + 16]), wire[at + 16 : at + size]
        if extra == "padding":
            head[0] |= 0x20
            payload += b"\0\0\3"
        elif extra == "extension":
            head[0] |= 0x10
            payload = b"\xab\xac\0\1abcd" + payload
        else:
            head[0] |= 2
            payload = b"12345678" + payload
        body = bytes(head) + payload
        session_odd.feed(memoryview(wire[at : at + 2] + len(body).to_bytes(2, "big") + body), 1.0, 90_000)
        at += size
    assert facts(odd) == facts(plain)
    assert len(odd.samples) == 10


@pytest.mark.parametrize(("codec", "kind"), [("H264", 24), ("H265", 48)])
def test_aggregation_packets(codec, kind):
    frame = made_up_frames(1, size=100, codec=codec.lower())[0]
    payload = aggregate(codec.lower(), frame.nals)
    assert (payload[0] & 31 if codec == "H264" else payload[0] >> 1 & 63) == kind
    sink = CollectingSink()
    one = session(sink)
    one.feed(memoryview(answers(codec) + packet(0, 96, 1, 5, payload, mark=True)), 1.0, 90_000)
    assert payload_of(sink.video[0]) == b"".join(len(nal).to_bytes(4, "big") + nal for nal in frame.nals)
    torn = CollectingSink()
    another = session(torn)
    another.feed(memoryview(answers(codec) + packet(0, 96, 1, 5, payload[:-3], mark=True)), 1.0, 90_000)
    assert torn.samples == []


def test_tiny_pieces_are_bounded():
    one = session(CollectingSink())
    one.feed(memoryview(answers("H264")), 1.0, 90_000)
    start = packet(0, 96, 0, 5, b"\x7c\x85\x88")
    one.feed(memoryview(start), 1.0, 90_000)

    def pour() -> None:
        for block in range(1000):
            more = b"".join(packet(0, 96, block * 100 + n + 1, 5, b"\x7c\x05x") for n in range(100))
            one.feed(memoryview(more), 1.0, 90_000)

    with pytest.raises(CameraError, match="MiB"):
        pour()


def test_a_goodbye_of_the_stream_ends_it():
    one = session(CollectingSink())
    one.feed(memoryview(answers("H264")), 1.0, 90_000)
    bye = struct.pack(">BBHBBHI", 0x24, 1, 8, 0x81, 203, 1, 7)
    with pytest.raises(CameraError, match="ended the stream"):
        one.feed(memoryview(bye), 1.0, 90_000)


def test_sets_in_pieces():
    """A parameter set larger than a packet comes in fragments, and is known all the same."""
    frame = made_up_frames(1)[0]
    sink = CollectingSink()
    one = session(sink)
    wire = b""
    pieces = list(payloads("h264", frame.nals, 10))
    for number, piece in enumerate(pieces):
        wire += packet(0, 96, number, 5, piece, mark=number == len(pieces) - 1)
    one.feed(memoryview(answers("H264") + wire), 1.0, 90_000)
    assert sink.runs[0][0][0].width == 320
    assert H264_SPS in payload_of(sink.video[0])
    assert H264_PPS in payload_of(sink.video[0])
