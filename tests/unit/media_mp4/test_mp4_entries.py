# SPDX-License-Identifier: Apache-2.0
"""The beginning of a file, read back as it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base.errors import MediaError, Unsupported
from closedcircuit.media.mp4 import INIT_BYTES_MAX, codec_string, init_segment, read_init
from closedcircuit.model import Track, TrackKind

KID = bytes(range(16))
HEADER = json.dumps({"v": 1, "camera": "door"}).encode()
AVCC = bytes.fromhex("0164001fffe10004676400000100026800")
HVCC = bytes.fromhex("010160000000b000000000005df000fcfdf8f800000f00")


def video(codec="h264", config=AVCC):
    return Track(
        kind=TrackKind.VIDEO,
        codec=codec,
        codec_string=codec_string(codec, config),
        timescale=90_000,
        config=config,
        width=1920,
        height=1080,
    )


def audio(codec="aac", config=b"\x11\x88", rate=48_000, channels=1):
    return Track(
        kind=TrackKind.AUDIO,
        codec=codec,
        codec_string=codec_string(codec, config),
        timescale=rate,
        config=config,
        channels=channels,
    )


TRACKS = [
    (video(),),
    (video(), audio()),
    (video("h265", HVCC), audio("opus", bytes(11), channels=2)),
    (video(), audio("flac", bytes(42), rate=8000)),
    (video(), audio("flac", bytes(42), rate=96_000)),
    (video(), audio("aac", b"\x11\x88" + bytes(300))),
]


@pytest.mark.parametrize("tracks", TRACKS)
@pytest.mark.parametrize("kid", [KID, None])
@pytest.mark.parametrize("header", [HEADER, b""])
def test_round_trip(tracks, kid, header):
    data = init_segment(tracks, kid, header)
    found = read_init(data + b"whatever follows")
    assert found.tracks == tracks
    assert (found.kid, found.header, found.size) == (kid, header, len(data))


def test_sealed_and_clear_say_so():
    sealed, clear = init_segment((video(), audio()), KID, HEADER), init_segment((video(), audio()), None, b"")
    for word in (b"encv", b"enca", b"sinf", b"tenc", b"pssh"):
        assert word in sealed
        assert word not in clear
    assert sealed.count(KID) == 3  # two tenc, one pssh


@pytest.mark.parametrize(
    ("codec", "config", "text"),
    [
        ("h264", AVCC, "avc1.64001f"),
        ("h265", HVCC, "hvc1.1.6.L93.B0"),
        ("h265", bytes.fromhex("01216000000090000000000099") + bytes(10), "hvc1.1.6.H153.90"),
        ("aac", b"\x11\x88", "mp4a.40.2"),
        ("aac", b"\x2b\x11\x88\x00", "mp4a.40.5"),
        ("aac", b"\xf8\xe6\x20\x00", "mp4a.40.39"),
        ("opus", b"", "opus"),
        ("flac", b"", "flac"),
    ],
)
def test_codec_strings(codec, config, text):
    assert codec_string(codec, config) == text


def test_what_mp4_cannot_hold():
    pcmu = Track(kind=TrackKind.AUDIO, codec="pcmu", codec_string="ulaw", timescale=8000, config=b"", channels=1)
    with pytest.raises(Unsupported, match="pcmu"):
        init_segment((video(), pcmu), KID, b"")


def test_every_cut_is_an_error():
    data = init_segment((video(), audio()), KID, HEADER)
    moov_end = len(data) - 24 - len(HEADER)
    for size in range(len(data)):
        if size == moov_end or moov_end < size < moov_end + 8:
            assert read_init(data[:size]).header == b""  # a file without our header is a file as well
            continue
        with pytest.raises(MediaError):
            read_init(data[:size])


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8), st.booleans())
def test_damage_is_an_error_or_another_file_but_nothing_else(at, junk, insert):
    data = init_segment((video(), audio()), KID, HEADER)
    at %= len(data)
    damaged = data[:at] + junk + data[at if insert else at + len(junk) :]
    try:
        found = read_init(damaged)
    except MediaError:
        return
    assert 0 < found.size <= len(damaged)


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data):
    with pytest.raises(MediaError):
        read_init(data)


def test_a_huge_beginning_is_not_read():
    with pytest.raises(MediaError):
        read_init(init_segment((video(),), KID, b" " * INIT_BYTES_MAX))
