# SPDX-License-Identifier: Apache-2.0
"""H.265 (ITU-T H.265 = ISO/IEC 23008-2): what its parameter sets say, and `hvcC` (ISO/IEC 14496-15, 8.3.3.1)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from closedcircuit.base.errors import MediaError
from closedcircuit.media.codecs.bits import Bits, rbsp
from closedcircuit.media.codecs.h264 import SIDE_MAX
from closedcircuit.model import Track, TrackKind

VPS, SPS, PPS = 32, 33, 34


class H265Sps(msgspec.Struct, frozen=True):
    """What we need of a sequence parameter set (7.3.2.2)."""

    id: int
    sub_layers: int
    nested: bool
    profile_tier_level: bytes  # 12 bytes: space, tier, profile; compatibility (4); constraints (6); level
    chroma_format: int
    bit_depth_luma: int
    bit_depth_chroma: int
    width: int  # pixels after the conformance window
    height: int


def parse_sps(nal: bytes) -> H265Sps:
    """Read an SPS NAL unit (2 header bytes included). Raises MediaError for what is none."""
    if len(nal) < 16 or (nal[0] >> 1) & 63 != SPS:
        raise MediaError("not an H.265 sequence parameter set")
    bits = Bits(rbsp(nal[2:2048]))
    bits.u(4)
    sub_layers = bits.u(3) + 1
    nested = bits.flag()
    if sub_layers > 7:
        raise MediaError("an H.265 parameter set has an impossible number of layers")
    ptl = bits.u(96).to_bytes(12, "big")
    _skip_sub_layers(bits, sub_layers)
    ident, chroma = bits.ue(), bits.ue()
    if ident > 15 or chroma > 3:
        raise MediaError("an H.265 parameter set has an impossible id or chroma format")
    separate = chroma == 3 and bits.flag()
    width, height = bits.ue(), bits.ue()
    if bits.flag():
        planes = 0 if separate else chroma
        unit_x = 2 if planes in (1, 2) else 1
        unit_y = 2 if planes == 1 else 1
        width -= unit_x * (bits.ue() + bits.ue())
        height -= unit_y * (bits.ue() + bits.ue())
    luma_depth, chroma_depth = bits.ue() + 8, bits.ue() + 8
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX) or max(luma_depth, chroma_depth) > 16:
        raise MediaError(f"an H.265 parameter set names an impossible picture, {width}x{height}")
    return H265Sps(ident, sub_layers, nested, ptl, chroma, luma_depth, chroma_depth, width, height)


def _skip_sub_layers(bits: Bits, sub_layers: int) -> None:
    """The rest of profile_tier_level (7.3.3)."""
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers - 1)]
    if sub_layers > 1:
        bits.u(2 * (8 - (sub_layers - 1)))
    for profile, level in present:
        if profile:
            bits.u(88)
        if level:
            bits.u(8)


def set_id(nal: bytes) -> int:
    """Id of a VPS, SPS or PPS. Raises MediaError."""
    kind = (nal[0] >> 1) & 63 if len(nal) > 2 else -1
    if kind == SPS:
        return parse_sps(nal).id
    bits = Bits(rbsp(nal[2:16]))
    if kind == VPS:
        return bits.u(4)
    if kind == PPS:
        ident = bits.ue()
        if ident <= 63:
            return ident
    raise MediaError("not an H.265 parameter set")


def hvcc(vps: Sequence[bytes], sps: Sequence[bytes], pps: Sequence[bytes]) -> bytes:
    """Body of the `hvcC` box, 4-byte lengths. Raises MediaError when nothing can be decoded with these sets."""
    if not vps or not sps or not pps:
        raise MediaError("H.265 needs video, sequence and picture parameter sets")
    first = parse_sps(sps[0])
    out = bytearray(b"\x01" + first.profile_tier_level)
    out += bytes((0xF0, 0, 0xFC, 0xFC | first.chroma_format))
    out += bytes((0xF8 | (first.bit_depth_luma - 8) & 7, 0xF8 | (first.bit_depth_chroma - 8) & 7, 0, 0))
    out.append(first.sub_layers << 3 | first.nested << 2 | 3)
    out.append(3)
    for kind, nals in ((VPS, vps), (SPS, sps), (PPS, pps)):
        out += bytes((0x80 | kind,)) + len(nals).to_bytes(2, "big")
        for nal in nals:
            out += len(nal).to_bytes(2, "big") + nal
    return bytes(out)


def sets_of_hvcc(body: bytes) -> dict[int, list[bytes]]:
    """NAL units by type out of the body of an `hvcC` box. Raises MediaError."""
    if len(body) < 23 or body[0] != 1:
        raise MediaError("not an hvcC")
    at, groups = 23, dict[int, list[bytes]]()
    for _ in range(body[22]):
        if at + 3 > len(body):
            raise MediaError("an hvcC ends too early")
        kind, count = body[at] & 63, int.from_bytes(body[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(body[at : at + 2], "big")
            groups.setdefault(kind, []).append(body[at + 2 : at + 2 + size])
            at += 2 + size
            if at > len(body):
                raise MediaError("an hvcC ends too early")
    return groups


def codec_string(profile_tier_level: bytes) -> str:
    """RFC 6381 as ISO/IEC 14496-15 annex E.3 has it: `hvc1.1.6.L93.B0`."""
    space, tier, profile = profile_tier_level[0] >> 6, profile_tier_level[0] >> 5 & 1, profile_tier_level[0] & 31
    compatibility = int(f"{int.from_bytes(profile_tier_level[1:5], 'big'):032b}"[::-1], 2)
    constraints = profile_tier_level[5:11].rstrip(b"\0")
    text = f"hvc1.{('', 'A', 'B', 'C')[space]}{profile}.{compatibility:X}.{'LH'[tier]}{profile_tier_level[11]}"
    return text + "".join(f".{byte:X}" for byte in constraints)


def h265_track(vps: Sequence[bytes], sps: Sequence[bytes], pps: Sequence[bytes]) -> Track:
    """The record of a track coded with these sets, timescale 90000. Raises MediaError."""
    config = hvcc(vps, sps, pps)
    first = parse_sps(sps[0])
    return Track(
        kind=TrackKind.VIDEO,
        codec="h265",
        codec_string=codec_string(first.profile_tier_level),
        timescale=90_000,
        config=config,
        width=first.width,
        height=first.height,
    )
