# SPDX-License-Identifier: Apache-2.0
"""Parameter sets of streams that real encoders made, and of liars."""

import contextlib
from fractions import Fraction

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base.errors import CircuitError, MediaError, StreamBroken, Unsupported
from closedcircuit.media import codecs
from closedcircuit.media.codecs import ParameterSets


def coded(name: str, width: int, height: int, options: dict[str, str], pix_fmt: str = "yuv420p") -> list[bytes]:
    encoder = av.CodecContext.create(name, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pix_fmt
    encoder.time_base, encoder.framerate = Fraction(1, 25), Fraction(25)
    encoder.options = options
    frame = av.VideoFrame(width, height, pix_fmt)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return codecs.split_annexb(b"".join(bytes(packet) for packet in packets))


SIZES = [(320, 240), (1920, 1080), (176, 144), (1366, 768), (2688, 1520), (352, 288)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(
    ("profile", "pix_fmt"),
    [("baseline", "yuv420p"), ("high", "yuv420p"), ("high422", "yuv422p"), ("high444", "yuv444p")],
)
def test_h264(width, height, profile, pix_fmt):
    nals = coded("libx264", width, height, {"preset": "ultrafast", "profile": profile}, pix_fmt)
    sps = [nal for nal in nals if nal[0] & 31 == 7]
    pps = [nal for nal in nals if nal[0] & 31 == 8]
    track = codecs.h264_track(sps, pps)
    assert (track.width, track.height) == (width, height)
    assert track.codec_string == f"avc1.{sps[0][1:4].hex()}"
    assert codecs.sets_of_avcc(track.config) == (sps, pps)
    # FFmpeg takes the configuration and decodes with it
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = track.config
    pictures = [nal for nal in nals if nal[0] & 31 in (1, 5)]
    frames = [*decoder.decode(av.Packet(codecs.join_lengths(pictures))), *decoder.decode(None)]
    assert (frames[0].width, frames[0].height) == (width, height)


@pytest.mark.parametrize("interlaced", ["0", "1"])
def test_h264_interlaced_and_scaling_lists(interlaced):
    options = {"preset": "ultrafast", "profile": "high", "x264-params": f"interlaced={interlaced}:cqm=jvt:8x8dct=1"}
    nals = coded("libx264", 720, 576, options)
    sps = next(nal for nal in nals if nal[0] & 31 == 7)
    parsed = codecs.parse_h264_sps(sps)
    assert (parsed.width, parsed.height) == (720, 576)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_h265(width, height):
    options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=none"}
    nals = coded("libx265", width, height, options)
    groups = {kind: [nal for nal in nals if nal[0] >> 1 & 63 == kind] for kind in (32, 33, 34)}
    track = codecs.h265_track(groups[32], groups[33], groups[34])
    assert (track.width, track.height) == (width, height)
    assert codecs.sets_of_hvcc(track.config) == groups
    assert track.codec_string.startswith("hvc1.1.6.L")
    decoder = av.CodecContext.create("hevc", "r")
    decoder.extradata = track.config
    pictures = [nal for nal in nals if nal[0] >> 1 & 63 < 32]
    frames = [*decoder.decode(av.Packet(codecs.join_lengths(pictures))), *decoder.decode(None)]
    assert (frames[0].width, frames[0].height) == (width, height)


def test_codec_strings_of_the_standards_examples():
    from closedcircuit.media.codecs.h265 import codec_string

    assert codec_string(bytes.fromhex("01 60000000 b00000000000 5d")) == "hvc1.1.6.L93.B0"
    assert codec_string(bytes.fromhex("22 20000000 900000000000 99")) == "hvc1.2.4.H153.90"
    assert codec_string(bytes.fromhex("41 60000000 000000000000 5d")) == "hvc1.A1.6.L93"


def test_sets_by_id_the_newest_wins():
    from closedcircuit.cameras.fakes import H264_PPS, H264_SPS, H264_SPS_LARGE

    sets = ParameterSets("h264", [H264_SPS])
    assert sets.track() is None
    assert sets.offer(H264_PPS)
    first = sets.track()
    assert not sets.offer(H264_PPS)
    assert sets.offer(H264_SPS_LARGE)
    second = sets.track()
    assert first is not None
    assert second is not None
    assert (first.width, second.width) == (320, 640)
    assert not sets.offer(b"\x67\x42")  # damaged: left out
    assert sets.track() == second


def test_absurdly_many_sets_end_it():
    sets = ParameterSets("h264")

    def offer_all() -> None:
        for number in range(256):
            code = f"{number + 1:b}"
            bits = "0" * (len(code) - 1) + code + "1"
            sets.offer(b"\x68" + int(bits.ljust(24, "0"), 2).to_bytes(3, "big"))

    with pytest.raises(StreamBroken, match="absurd"):
        offer_all()


@given(st.binary(max_size=200), st.sampled_from([b"\x67", b"\x68", b"\x40\x01", b"\x42\x01", b"\x44\x01", b""]))
def test_any_bytes_are_a_set_or_a_media_error(data, head):
    for read in (
        codecs.parse_h264_sps,
        codecs.pps_id,
        codecs.parse_h265_sps,
        codecs.h265_set_id,
        codecs.sets_of_avcc,
        codecs.sets_of_hvcc,
        codecs.parse_aac_config,
    ):
        with contextlib.suppress(MediaError):
            read(head + data)
    for codec in ("h264", "h265"):
        sets = ParameterSets(codec, [head + data])
        sets.track()


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6))
def test_lengths_come_and_go(nals):
    assert list(codecs.split_lengths(codecs.join_lengths(nals))) == nals


@given(st.binary(max_size=100))
def test_any_bytes_split(data):
    codecs.split_annexb(data)
    with contextlib.suppress(MediaError):
        list(codecs.split_lengths(data))


def test_annex_b():
    assert codecs.split_annexb(b"\0\0\0\1ab\0\0\1c\0\0\0\1\0\0\1d\0") == [b"ab", b"c", b"d"]


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_aac_as_ffmpeg_makes_it(rate, channels):
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.format, encoder.layout = rate, "fltp", "mono" if channels == 1 else "stereo"
    encoder.open()
    config = bytes(encoder.extradata)
    parsed = codecs.parse_aac_config(config)
    assert (parsed.object_type, parsed.rate, parsed.channels, parsed.frame_samples) == (2, rate, channels, 1024)
    assert codecs.aac_config(rate, channels) == config[:2]
    track = codecs.aac_track(config)
    assert (track.codec_string, track.timescale) == ("mp4a.40.2", rate)


def test_sound_that_is_refused():
    with pytest.raises(Unsupported):
        codecs.aac_config(12_345, 1)
    with pytest.raises(Unsupported):
        codecs.opus_track(6)
    with pytest.raises(Unsupported):
        codecs.g711_track("pcmu", 8000, 0)
    with pytest.raises(CircuitError):
        codecs.parse_aac_config(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("packet", "samples"),
    [(b"", 0), (b"\x78", 960), (b"\x00", 480), (b"\x79", 1920), (b"\x7b\x03", 2880), (b"\x7b", 0), (b"\x9b\x3f", 0)],
)
def test_opus_durations(packet, samples):
    assert codecs.opus_frame_samples(packet) == samples
