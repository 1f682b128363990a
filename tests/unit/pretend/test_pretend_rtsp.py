# SPDX-License-Identifier: Apache-2.0
"""What a camera says, and that nothing sent to it breaks it."""

from __future__ import annotations

import base64
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.pretend.rtsp import (
    REQUEST_MAX,
    Login,
    Request,
    answer,
    audio_sdp,
    describe,
    interleaved_channels,
    take_request,
    video_sdp,
)

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "pretend_rtsp"


WORDS = [
    *(b"DESCRIBE ", b"SETUP ", b"rtsp://h/x", b" RTSP/1.0\r\n", b"\r\n", b"CSeq: 1\r\n", b"Content-Length: "),
    *(b"99999999999", b"-1", b"Transport: RTP/AVP/TCP;interleaved=", b"300-301", b"Authorization: Digest "),
    *(b'nonce="', b'", uri=', b"$\x00\xff\xff", b"\xff\xfe", b"Basic "),
]


def request(method: str = "DESCRIBE", **headers: str) -> Request:
    return Request(method, "rtsp://127.0.0.1:1/till/main", {"cseq": "1"} | headers)


def test_requests_and_interleaved_bytes_come_off_in_order():
    buffer = bytearray(
        b"OPTIONS rtsp://h/a RTSP/1.0\r\nCSeq: 3\r\n\r\n$\x01\x00\x02hi"
        b"SET_PARAMETER rtsp://h/a RTSP/1.0\r\nCSeq: 4\r\nContent-Length: 3\r\n\r\nabcPLAY"
    )
    first = take_request(buffer)
    assert isinstance(first, Request)
    assert (first.method, first.path, first.headers["cseq"]) == ("OPTIONS", "a", "3")
    assert take_request(buffer) == b"$\x01\x00\x02hi"
    last = take_request(buffer)
    assert isinstance(last, Request)
    assert last.method == "SET_PARAMETER"
    assert buffer == b"PLAY"
    assert take_request(buffer) is None


@pytest.mark.parametrize(
    "text", [b"GET / HTTP/1.1\r\n\r\n", b"hello\r\n\r\n", b"A b RTSP/1.0\r\nContent-Length: x\r\n\r\n"]
)
def test_nonsense_is_refused(text: bytes):
    with pytest.raises(ValueError):
        take_request(bytearray(text))


def test_an_endless_request_is_refused():
    with pytest.raises(ValueError):
        take_request(bytearray(b"A" * (REQUEST_MAX + 1)))


def feed(data: bytes, cuts: list[int]) -> None:
    """What the server does: bytes arrive in pieces, until one breaks the rules."""
    buffer = bytearray()
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    try:
        for first, last in pairwise(places):
            buffer += data[first:last]
            while (taken := take_request(buffer)) is not None:
                if isinstance(taken, Request):
                    interleaved_channels(taken.headers.get("transport", ""), 0)
                    Login("digest", "u", "p").admits(taken, "nonce")
                    Login("basic", "u", "p").admits(taken, "nonce")
                    assert answer(taken).startswith(b"RTSP/1.0 200 OK\r\n")
            assert len(buffer) <= 2 * REQUEST_MAX + 65536 + len(data)
    except ValueError:
        pass


@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=5))
def test_any_bytes_are_taken_or_refused(data: bytes, cuts: list[int]):
    feed(data, cuts)


@given(
    st.lists(
        st.sampled_from(WORDS),
        max_size=14,
    ).map(b"".join),
    st.lists(st.integers(0, 300), max_size=4),
)
def test_any_soup_of_its_words_is_taken_or_refused(data: bytes, cuts: list[int]):
    feed(data, cuts)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_corpus(path: Path):
    data = path.read_bytes()
    feed(data, [])
    feed(data, list(range(0, len(data), 7)))


def digest(login: Login, nonce: str, *, qop: str = "", wrong: str = "") -> Request:
    algorithm = hashlib.sha256 if login.scheme == "digest-sha-256" else hashlib.md5

    def mixed(text: str) -> str:
        return algorithm(text.encode()).hexdigest()

    uri = "rtsp://127.0.0.1:1/till/main"
    secret = mixed(f"{login.username}:{login.realm}:{wrong or login.password}")
    middle = f"{nonce}:00000001:c0ffee:{qop}" if qop else nonce
    response = mixed(f"{secret}:{middle}:{mixed('DESCRIBE:' + uri)}")
    more = f', qop={qop}, nc=00000001, cnonce="c0ffee"' if qop else ""
    value = f'Digest username="{login.username}", realm="{login.realm}", nonce="{nonce}", uri="{uri}"'
    value += f', response="{response}"'
    return request(authorization=value + more)


@pytest.mark.parametrize("scheme", ["digest", "digest-sha-256"])
@pytest.mark.parametrize("qop", ["", "auth"])
def test_digest(scheme: str, qop: str):
    login = Login(scheme, "admin", "secret")
    assert login.admits(digest(login, "n1", qop=qop), "n1")
    assert not login.admits(digest(login, "n1", qop=qop), "n2")
    assert not login.admits(digest(login, "n1", qop=qop, wrong="guess"), "n1")
    assert not login.admits(request(), "n1")


def test_basic():
    login = Login("basic", "admin", "a:b")
    told = base64.b64encode(b"admin:a:b").decode()
    assert login.admits(request(authorization=f"Basic {told}"), "n")
    assert not login.admits(request(authorization="Basic QUFB"), "n")
    assert login.challenge("n").startswith("Basic ")


@pytest.mark.parametrize(
    ("transport", "channel"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=4-5", 4),
        ("RTP/AVP;unicast;client_port=1-2,RTP/AVP/TCP;interleaved=2-3", 2),
        ("RTP/AVP/TCP", 6),
        ("RTP/AVP;unicast;client_port=1-2", None),
        ("RTP/AVP/TCP;interleaved=255-256", None),
    ],
)
def test_transport(transport: str, channel: int | None):
    assert interleaved_channels(transport, 6) == channel


def test_the_description_names_every_track():
    tracks = (
        video_sdp("h265", (b"\x40\x01v", b"\x42\x01s", b"\x44\x01p"), payload_type=96, fps=12.5),
        audio_sdp("aac", 16_000, b"\x14\x08"),
    )
    text = describe("Till", tracks)
    assert "a=rtpmap:96 H265/90000\r\n" in text
    assert "sprop-vps=QAF2;sprop-sps=QgFz;sprop-pps=RAFw" in text
    assert "a=rtpmap:97 MPEG4-GENERIC/16000/1\r\n" in text
    assert "config=1408" in text
    assert text.count("a=control:track") == 2
