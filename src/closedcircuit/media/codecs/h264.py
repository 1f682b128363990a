# SPDX-License-Identifier: Apache-2.0
"""H.264 (ITU-T H.264 = ISO/IEC 14496-10): what its parameter sets say, and `avcC` (ISO/IEC 14496-15, 5.3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from closedcircuit.base.errors import MediaError
from closedcircuit.media.codecs.bits import Bits, rbsp
from closedcircuit.model import Track, TrackKind

SIDE_MAX = 16_384
"""Pixels; more in a parameter set is a lie or an attack."""

_HIGH = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})


class H264Sps(msgspec.Struct, frozen=True):
    """What we need of a sequence parameter set (7.3.2.1.1)."""

    id: int
    profile: int
    compatibility: int
    level: int
    chroma_format: int
    bit_depth_luma: int
    bit_depth_chroma: int
    width: int  # pixels after cropping
    height: int


def parse_sps(nal: bytes) -> H264Sps:
    """Read an SPS NAL unit (header byte included). Raises MediaError for what is none."""
    if len(nal) < 5 or nal[0] & 31 != 7:
        raise MediaError("not an H.264 sequence parameter set")
    bits = Bits(rbsp(nal[1:1024]))
    profile, compatibility, level = bits.u(8), bits.u(8), bits.u(8)
    ident = bits.ue()
    if ident > 31:
        raise MediaError("an H.264 parameter set has an impossible id")
    chroma, luma_depth, chroma_depth, separate = 1, 8, 8, False
    if profile in _HIGH:
        chroma = bits.ue()
        if chroma > 3:
            raise MediaError("an H.264 parameter set has an impossible chroma format")
        separate = chroma == 3 and bits.flag()
        luma_depth, chroma_depth = bits.ue() + 8, bits.ue() + 8
        bits.u(1)
        if bits.flag():
            _skip_scaling_lists(bits, 12 if chroma == 3 else 8)
    _skip_picture_order(bits)
    bits.ue()  # max_num_ref_frames
    bits.u(1)
    across, map_units = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.flag()
    if not frames_only:
        bits.u(1)
    bits.u(1)
    left = right = top = bottom = 0
    if bits.flag():
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    fields = 1 if frames_only else 2
    planes = 0 if separate else chroma
    unit_x = 2 if planes in (1, 2) else 1
    unit_y = (2 if planes == 1 else 1) * fields
    width = across * 16 - unit_x * (left + right)
    height = map_units * 16 * fields - unit_y * (top + bottom)
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
        raise MediaError(f"an H.264 parameter set names an impossible picture size, {width}x{height}")
    return H264Sps(ident, profile, compatibility, level, chroma, luma_depth, chroma_depth, width, height)


def _skip_scaling_lists(bits: Bits, count: int) -> None:
    """7.3.2.1.1.1."""
    for number in range(count):
        if not bits.flag():
            continue
        last = following = 8
        for _ in range(16 if number < 6 else 64):
            if following:
                following = (last + bits.se()) % 256
            last = following or last


def _skip_picture_order(bits: Bits) -> None:
    bits.ue()  # log2_max_frame_num_minus4
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.u(1)
        bits.se()
        bits.se()
        cycle = bits.ue()
        if cycle > 255:
            raise MediaError("an H.264 parameter set has an impossible picture order")
        for _ in range(cycle):
            bits.se()


def pps_id(nal: bytes) -> int:
    """Id of a picture parameter set (7.3.2.2). Raises MediaError."""
    if len(nal) < 2 or nal[0] & 31 != 8:
        raise MediaError("not an H.264 picture parameter set")
    ident = Bits(rbsp(nal[1:16])).ue()
    if ident > 255:
        raise MediaError("an H.264 parameter set has an impossible id")
    return ident


def avcc(sps: Sequence[bytes], pps: Sequence[bytes]) -> bytes:
    """Body of the `avcC` box, 4-byte lengths. Raises MediaError when nothing can be decoded with these sets."""
    if not sps or not pps or len(sps) > 31 or len(pps) > 255:
        raise MediaError("H.264 needs a sequence and a picture parameter set")
    first = parse_sps(sps[0])
    out = bytearray((1, sps[0][1], sps[0][2], sps[0][3], 0xFF, 0xE0 | len(sps)))
    for nal in sps:
        out += len(nal).to_bytes(2, "big") + nal
    out.append(len(pps))
    for nal in pps:
        out += len(nal).to_bytes(2, "big") + nal
    if first.profile in _HIGH:
        out += bytes(
            (
                0xFC | first.chroma_format,
                0xF8 | (first.bit_depth_luma - 8) & 7,
                0xF8 | (first.bit_depth_chroma - 8) & 7,
                0,
            )
        )
    return bytes(out)


def sets_of_avcc(body: bytes) -> tuple[list[bytes], list[bytes]]:
    """SPS and PPS out of the body of an `avcC` box. Raises MediaError."""
    if len(body) < 7 or body[0] != 1:
        raise MediaError("not an avcC")
    at, groups = 5, []
    for mask in (31, 255):
        nals, count = [], body[at] & mask if at < len(body) else 0
        at += 1
        for _ in range(count):
            size = int.from_bytes(body[at : at + 2], "big")
            nals.append(body[at + 2 : at + 2 + size])
            at += 2 + size
        if at > len(body):
            raise MediaError("an avcC ends too early")
        groups.append(nals)
    return groups[0], groups[1]


def h264_track(sps: Sequence[bytes], pps: Sequence[bytes]) -> Track:
    """The record of a track coded with these sets, timescale 90000. Raises MediaError."""
    config = avcc(sps, pps)
    first = parse_sps(sps[0])
    return Track(
        kind=TrackKind.VIDEO,
        codec="h264",
        codec_string=f"avc1.{sps[0][1:4].hex()}",
        timescale=90_000,
        config=config,
        width=first.width,
        height=first.height,
    )
