# SPDX-License-Identifier: Apache-2.0
"""Every file of the corpus, as it is and damaged, through the parser that it is meant for: an answer or our error."""

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import Secret, SeededIds
from closedcircuit.base.errors import CircuitError
from closedcircuit.cameras.fakes import CollectingSink, payload_of
from closedcircuit.cameras.registry import parse_camera
from closedcircuit.media import codecs
from closedcircuit.media.rtsp import RtspSession
from closedcircuit.media.rtsp.messages import parse_message
from closedcircuit.media.rtsp.rtcp import parse_rtcp
from closedcircuit.media.rtsp.sdp import parse_sdp

HERE = Path(__file__).parent


def playing(codec: str) -> tuple[RtspSession, CollectingSink]:
    """A session whose handshake is done."""
    body = (
        f"v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\na=control:v\r\n"
        "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n"
        "a=fmtp:97 mode=AAC-hbr;config=1408\r\na=control:a\r\n"
    )
    ok = "RTSP/1.0 200 OK\r\nCSeq: {}\r\n"
    said = ok.format(1) + "\r\n" + ok.format(2) + f"Content-Length: {len(body)}\r\n\r\n{body}"
    said += ok.format(3) + "Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n"
    said += ok.format(4) + "Transport: RTP/AVP/TCP;interleaved=2-3\r\n\r\n" + ok.format(5) + "\r\n"
    sink = CollectingSink()
    session = RtspSession("rtsp://h/x", "", Secret(""), ids=SeededIds(), sink=sink)
    session.begin(0.0)
    session.feed(memoryview(said.encode()), 1.0, 90_000)
    assert session.playing
    return session, sink


def packets(codec: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        session, sink = playing(codec)
        try:
            session.feed(memoryview(data), 1.0, 90_000)
            session.poll(2.0, 180_000)
        finally:
            assert all(sample.size == len(payload_of(sample)) for sample in sink.samples)

    return run


def parameter_sets(data: bytes) -> None:
    for codec in ("h264", "h265"):
        codecs.ParameterSets(codec, [data]).track()
    codecs.parse_h264_sps(data) if data[:1] == b"\x67" else codecs.parse_h265_sps(data)


TARGETS: dict[str, Callable[[bytes], object]] = {
    "rtsp": parse_message,
    "sdp": lambda data: parse_sdp(data.decode("utf-8", "replace")),
    "rtp_h264": packets("H264"),
    "rtp_h265": packets("H265"),
    "rtp_aac": packets("H264"),
    "rtcp": parse_rtcp,
    "parameter_sets": parameter_sets,
    "camera_toml": lambda data: parse_camera(data, Path("c.toml")),
}
CORPUS = [(name, path) for name in TARGETS for path in sorted((HERE / name).iterdir())]


def test_every_target_has_a_corpus():
    assert {name for name, _ in CORPUS} == set(TARGETS)


@pytest.mark.parametrize(("name", "path"), CORPUS, ids=lambda value: value.name if isinstance(value, Path) else value)
def test_as_it_is(name, path):
    with contextlib.suppress(CircuitError):
        TARGETS[name](path.read_bytes())


@settings(deadline=None, max_examples=25)
@pytest.mark.parametrize(("name", "path"), CORPUS, ids=lambda value: value.name if isinstance(value, Path) else value)
@given(data=st.data())
def test_damaged(name, path, data):
    seed = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(seed)))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "number"]))
        if what == "flip" and at < len(seed):
            seed[at] ^= 1 << data.draw(st.integers(0, 7))
        elif what == "cut":
            del seed[at : at + data.draw(st.integers(1, 20))]
        elif what == "insert":
            seed[at:at] = data.draw(st.binary(max_size=20))
        else:
            seed[at : at + 2] = struct.pack(">H", data.draw(st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF])))
    with contextlib.suppress(CircuitError):
        TARGETS[name](bytes(seed))
