# SPDX-License-Identifier: Apache-2.0
"""Messages, challenges, SDP and RTCP: what cameras say, and what they should not have."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import Secret, SeededIds
from closedcircuit.base.errors import MediaError
from closedcircuit.media.rtsp import auth
from closedcircuit.media.rtsp.messages import BODY_MAX, HEAD_MAX, build_request, parameters, parse_message
from closedcircuit.media.rtsp.rtcp import Reception, parse_rtcp, receiver_report
from closedcircuit.media.rtsp.sdp import decoded_sets, parse_sdp, resolve_control

ANSWER = (
    b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nSession: 1;timeout=60\r\nWWW-Authenticate: a\r\nwww-authenticate: b\r\n"
    b"Folded: one\r\n two\r\nContent-Length: 5\r\n\r\nhello$rest"
)


def test_an_answer_is_read_whatever_is_missing_of_it():
    end = ANSWER.index(b"$")
    for size in range(end):
        assert parse_message(ANSWER[:size]) is None
    message, at = parse_message(ANSWER) or pytest.fail("not read")
    assert (message.status, message.reason, message.body, at) == (200, "OK", b"hello", end)
    assert message.header("cseq") == "3"
    assert message.headers["www-authenticate"] == ["a", "b"]
    assert message.header("folded") == "one two"
    assert message.header("none") == ""


def test_bare_line_feeds_and_requests():
    message, at = parse_message(b"xxOPTIONS rtsp://h/ RTSP/1.0\nCSeq: 9\n\n", 2) or pytest.fail("not read")
    assert (message.method, message.url, message.header("cseq"), at) == ("OPTIONS", "rtsp://h/", "9", 38)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"RTSP/1.0 20 OK\r\n\r\n",
        b"RTSP/1.0 999 OK\r\n\r\n",
        b"\x00\x01\x02",
        b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"a" * (HEAD_MAX + 10),
        f"RTSP/1.0 200 OK\r\nContent-Length: {BODY_MAX + 1}\r\n\r\n".encode(),
        b"RTSP/1.0 200 OK\r\nContent-Length: many\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: \xd9\xa1\r\n\r\n",
    ],
)
def test_what_is_no_message(data):
    with pytest.raises(MediaError):
        parse_message(data)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_none_or_an_error(data):
    for head in (b"", b"RTSP/1.0 200 OK\r\n", b"RTSP/1.0 200 OK\r\nContent-Length: "):
        with contextlib.suppress(MediaError):
            found = parse_message(head + data)
            assert found is None or 0 < found[1] <= len(head + data)


def test_nothing_can_be_injected_into_a_request():
    data = build_request("SETUP", "rtsp://h/\r\nEvil: 1", 1, {"Session": "1\r\nEvil: 2"})
    assert data.count(b"\r\n") == 5
    assert b"\nEvil" not in data


@given(st.text(max_size=80))
def test_any_text_has_parameters(text):
    parameters(text)
    parameters(text, ",")


def test_parameters():
    assert parameters('A=1; b = "x;y" ;c;a=2') == {"a": "1", "b": "x;y", "c": ""}


# ---------------------------------------------------------------------------------------------------- signing in


def test_the_standards_own_examples():
    # RFC 7616, 3.9.1
    class Nonce(bytes):
        def hex(self, *_args) -> str:
            return "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"

    class Fixed:
        def random(self, size: int) -> bytes:
            return Nonce()

    for algorithm, response in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        text = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        challenge = auth.choose([text], Fixed())
        assert challenge is not None
        header = challenge.header("GET", "/dir/index.html", "Mufasa", Secret("Circle of Life"))
        assert f'response="{response}"' in header
        assert "nc=00000001" in header
    # RFC 2069, 2.4, with the errata's response
    plain = auth.choose(['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'], SeededIds())
    assert plain is not None
    header = plain.header("GET", "/dir/index.html", "Mufasa", Secret("CircleOfLife"))
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "qop" not in header


def test_the_strongest_challenge_is_taken():
    challenges = ['Basic realm="a"', 'Digest realm="a", nonce="1"', 'Digest realm="a", nonce="2", algorithm=SHA-256']
    chosen = auth.choose(challenges, SeededIds())
    assert chosen is not None
    assert chosen.nonce == "2"
    one = auth.choose(['Digest realm="x, Basic y", nonce="3", Basic realm="b"'], SeededIds())
    assert one is not None
    assert (one.kind, one.nonce) == ("digest", "3")
    assert auth.choose(["Negotiate x", "", 'Digest realm="a", nonce="1", algorithm=SHA-512'], SeededIds()) is None
    basic = auth.choose(["Basic realm=b"], SeededIds())
    assert basic is not None
    assert basic.header("GET", "x", "Aladdin", Secret("open sesame")) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


@given(st.lists(st.text(max_size=60) | st.text(max_size=60).map(lambda text: "Digest " + text), max_size=3))
def test_any_challenge_is_answered_or_not(challenges):
    chosen = auth.choose(challenges, SeededIds())
    if chosen is not None:
        chosen.header("DESCRIBE", "rtsp://h", "u", Secret("p"))


# ---------------------------------------------------------------------------------------------------- SDP

HIKVISION = """v=0
o=- 1700000000000000 1700000000000000 IN IP4 192.168.1.64
s=Media Presentation
e=NONE
b=AS:5100
t=0 0
a=control:rtsp://192.168.1.64:554/Streaming/Channels/101/
m=video 0 RTP/AVP 96
c=IN IP4 0.0.0.0
b=AS:5000
a=recvonly
a=x-dimensions:1920,1080
a=control:rtsp://192.168.1.64:554/Streaming/Channels/101/trackID=1
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z00AKpY1QPAET8s3AQEBAg==,aO48gA==
m=audio 0 RTP/AVP 8
c=IN IP4 0.0.0.0
a=recvonly
a=control:rtsp://192.168.1.64:554/Streaming/Channels/101/trackID=2
a=rtpmap:8 PCMA/8000
a=Media_header:MEDIAINFO=494D4B48;
a=appversion:1.0
"""


def test_a_cameras_description():
    described = parse_sdp(HIKVISION)
    video, audio = described.media
    assert (video.kind, video.encoding, video.clock_rate, video.payload_type) == ("video", "H264", 90_000, 96)
    assert [nal[0] for nal in decoded_sets(video.fmtp["sprop-parameter-sets"])] == [0x67, 0x68]
    assert (audio.encoding, audio.clock_rate, audio.channels) == ("PCMA", 8000, 1)
    url = resolve_control(resolve_control("rtsp://h/x/", described.control), video.control)
    assert url == "rtsp://192.168.1.64:554/Streaming/Channels/101/trackID=1"


def test_bad_descriptions():
    for text in ("", "<html></html>", "\n" * 3000):
        with pytest.raises(MediaError):
            parse_sdp(text)
    odd = parse_sdp(
        "v=0\nm=\nm=video\nm=video x y\na=rtpmap:\nm=video 0 RTP/AVP 96\na=rtpmap:96 H264\na=fmtp:96\na=framerate:x"
    )
    assert [line.encoding for line in odd.media] == ["", "", "", "H264"]
    assert odd.media[3].clock_rate == 90_000
    assert len(parse_sdp("v=0\n" + "m=video 0 RTP/AVP 96\n" * 100).media) == 16


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://h/a", "*", "rtsp://h/a"),
        ("rtsp://h/a", "", "rtsp://h/a"),
        ("rtsp://h/a", "track1", "rtsp://h/a/track1"),
        ("rtsp://h/a/", "track1", "rtsp://h/a/track1"),
        ("rtsp://h/a?x=1", "track1", "rtsp://h/a?x=1/track1"),
        ("rtsp://h/a", "rtsp://g/b", "rtsp://g/b"),
    ],
)
def test_controls(base, control, url):
    assert resolve_control(base, control) == url


@given(st.text(max_size=300), st.text(max_size=100))
def test_any_text_is_a_description_or_an_error(text, sets):
    for head in ("", "v=0\nm=video 0 RTP/AVP 96\na="):
        with contextlib.suppress(MediaError):
            parse_sdp(head + text)
    decoded_sets(sets)


# ---------------------------------------------------------------------------------------------------- RTCP


def sender_report(seconds: int, fraction: int = 0, rtp: int = 5) -> bytes:
    return struct.pack(">BBHIIIIII", 0x80, 200, 6, 7, seconds, fraction, rtp, 1, 1)


def test_sender_reports():
    unix = 1_800_000_000
    (info,), bye = parse_rtcp(sender_report(unix + 2_208_988_800, 1 << 31) + struct.pack(">BBHI", 0x81, 203, 1, 7))
    assert bye
    assert (info.ssrc, info.ntp_90k, info.rtp) == (7, unix * 90_000 + 45_000, 5)
    # after 2036-02-07 the seconds begin again (RFC 5905, 6)
    (later,), _ = parse_rtcp(sender_report(100))
    assert later.ntp_90k == ((1 << 32) - 2_208_988_800 + 100) * 90_000
    assert parse_rtcp(sender_report(0)) == ([], False)
    assert parse_rtcp(sender_report(5)[:20]) == ([], False)


def test_receiver_reports_read_as_rtcp():
    data = receiver_report(9, Reception(7, highest=70_000, lost=5, received=95, sender_middle=3, sender_at_s=1.0), 1.5)
    first, kind, words, ssrc, of = struct.unpack_from(">BBHII", data)
    assert (first, kind, words, ssrc, of) == (0x81, 201, 7, 9, 7)
    fraction_lost, highest, _, middle, delay = struct.unpack_from(">IIIII", data, 12)
    assert (fraction_lost >> 24, fraction_lost & 0xFFFFFF, highest, middle, delay) == (12, 5, 70_000, 3, 32_768)
    assert len(data) % 4 == 0
    first, kind, words = struct.unpack_from(">BBH", data, 32)
    assert (kind, 32 + 4 + words * 4) == (202, len(data))


@given(st.binary(max_size=200))
def test_any_bytes_are_rtcp_or_not(data):
    parse_rtcp(data)
    parse_rtcp(b"\x80\xc8\x00\x06" + data)
