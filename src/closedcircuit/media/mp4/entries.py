# SPDX-License-Identifier: Apache-2.0
"""Sample entries: how a track is coded, as a box, and back.

avc1 and hvc1: ISO/IEC 14496-15, 5.4.2 and 8.4.1; mp4a: 14496-14, 5.6; Opus: "Encapsulation of Opus in ISO base media
file format"; fLaC: "Encapsulation of FLAC in ISO base media file format"; encv and enca: ISO/IEC 23001-7, 8.
"""

from __future__ import annotations

import struct
from typing import Final

from closedcircuit.base.errors import Unsupported
from closedcircuit.media.mp4.boxes import Box, Buffer, box, children, damaged, full_box, need
from closedcircuit.model import Track, TrackKind

_VIDEO_FIELDS: Final = 78  # bytes of VisualSampleEntry before its boxes
_AUDIO_FIELDS: Final = 28  # bytes of AudioSampleEntry before its boxes
_KIND: Final = {"h264": b"avc1", "h265": b"hvc1", "aac": b"mp4a", "opus": b"Opus", "flac": b"fLaC"}
_CODEC: Final = {kind: codec for codec, kind in _KIND.items()}
_CONFIG: Final = {b"avc1": b"avcC", b"hvc1": b"hvcC", b"Opus": b"dOps", b"fLaC": b"dfLa"}


def sample_entry(track: Track, kid: bytes | None) -> bytes:
    """Build the sample entry of a track, sealed under `kid` where there is one. Raises Unsupported for other codecs."""
    kind = _KIND.get(track.codec)
    if kind is None:
        raise Unsupported(f"{track.codec} cannot be kept in an MP4 file.", remedy="Transcode it first.")
    video = track.kind is TrackKind.VIDEO
    config = _esds(track.config) if kind == b"mp4a" else box(_CONFIG[kind], track.config)
    fields = _video_fields(track) if video else _audio_fields(track)
    if kid is None:
        return box(kind, fields, config)
    tenc = full_box(b"tenc", 0, 0, b"\0\0\1\x10", kid)  # protected, 16-byte IVs
    scheme = full_box(b"schm", 0, 0, b"cenc", b"\0\1\0\0")
    return box(
        b"encv" if video else b"enca", fields, config, box(b"sinf", box(b"frma", kind), scheme, box(b"schi", tenc))
    )


def read_entry(data: Buffer, entry: Box, timescale: int) -> tuple[Track, bytes | None]:
    """Read a sample entry back: the track, and the kid where it is sealed. Raises MediaError, Unsupported."""
    video = entry.kind in (b"encv", b"avc1", b"hvc1")
    fields = _VIDEO_FIELDS if video else _AUDIO_FIELDS
    if entry.end - entry.body < fields:
        raise damaged("a sample entry is cut off")
    inner = children(data, entry, skip=fields)
    kind, kid = entry.kind, None
    if kind in (b"encv", b"enca"):
        kind, kid = _read_protection(data, need(inner, b"sinf"))
    codec = _CODEC.get(kind)
    if codec is None or video != (codec in ("h264", "h265")):
        raise Unsupported(f"Footage coded as {kind!r} is not known.", remedy="Use a newer version of this program.")
    width = height = channels = 0
    if video:
        width, height = struct.unpack_from(">HH", data, entry.body + 24)
    else:
        (channels,) = struct.unpack_from(">H", data, entry.body + 16)
    if kind == b"mp4a":
        config = _read_esds(data, need(inner, b"esds"))
    else:
        found = need(inner, _CONFIG[kind])
        config = bytes(data[found.body : found.end])
    track = Track(
        kind=TrackKind.VIDEO if video else TrackKind.AUDIO,
        codec=codec,
        codec_string=codec_string(codec, config),
        timescale=timescale,
        config=config,
        width=width,
        height=height,
        channels=channels,
    )
    return track, kid


def codec_string(codec: str, config: bytes) -> str:
    """Name a coding as browsers do (RFC 6381; ISO/IEC 14496-15, annex E). Raises MediaError if `config` is cut off."""
    if codec == "h264":
        _enough(config, 4)
        return f"avc1.{config[1:4].hex()}"
    if codec == "h265":
        return _hevc_string(config)
    if codec == "aac":
        _enough(config, 2)
        kind = config[0] >> 3
        return f"mp4a.40.{32 + ((config[0] & 7) << 3 | config[1] >> 5) if kind == 31 else kind}"
    return codec


def _hevc_string(config: bytes) -> str:
    _enough(config, 13)
    space = ("", "A", "B", "C")[config[1] >> 6]
    compatible = int(f"{int.from_bytes(config[2:6], 'big'):032b}"[::-1], 2)
    tier = "H" if config[1] & 0x20 else "L"
    constraints = config[6:12].rstrip(b"\0")
    tail = "".join(f".{byte:X}" for byte in constraints)
    return f"hvc1.{space}{config[1] & 31}.{compatible:X}.{tier}{config[12]}{tail}"


def _enough(config: bytes, size: int) -> None:
    if len(config) < size:
        raise damaged("a codec configuration is cut off")


def _video_fields(track: Track) -> bytes:
    return struct.pack(
        ">6xH16xHHIIIH32xHh", 1, track.width, track.height, 0x480000, 0x480000, 0, 1, 24, -1
    )  # 72 dpi, one frame a sample, no name, depth 24


def _audio_fields(track: Track) -> bytes:
    rate = track.timescale if track.timescale < 65_536 else 0
    return struct.pack(">6xH8xHHHHI", 1, track.channels, 16, 0, 0, rate << 16)


def _esds(config: bytes) -> bytes:
    """ES_Descriptor (ISO/IEC 14496-1, 7.2.6.5) of an AAC track."""
    specific = _descriptor(5, config)
    decoder = _descriptor(4, struct.pack(">BB3sII", 0x40, 0x15, b"\0\0\0", 0, 0), specific)
    return full_box(b"esds", 0, 0, _descriptor(3, b"\0\0\0", decoder, _descriptor(6, b"\2")))


def _descriptor(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    return bytes((tag, size >> 21 & 127 | 128, size >> 14 & 127 | 128, size >> 7 & 127 | 128, size & 127)) + body


def _read_esds(data: Buffer, esds: Box) -> bytes:
    """Find the AudioSpecificConfig: DecoderSpecificInfo in DecoderConfigDescriptor in ES_Descriptor."""
    at, end = esds.body + 4, esds.end
    for wanted, fields in ((3, 3), (4, 13), (5, 0)):
        at, end = _open_descriptor(data, at, end, wanted)
        at += fields
    return bytes(data[at:end])


def _open_descriptor(data: Buffer, at: int, end: int, wanted: int) -> tuple[int, int]:
    if at >= end or data[at] != wanted:
        raise damaged("an elementary stream descriptor is missing")
    size = 0
    for position in range(at + 1, min(at + 5, end)):
        size = size << 7 | data[position] & 127
        if not data[position] & 128:
            if size > end - position - 1:
                break
            return position + 1, position + 1 + size
    raise damaged("an elementary stream descriptor is cut off")


def _read_protection(data: Buffer, sinf: Box) -> tuple[bytes, bytes]:
    inner = children(data, sinf)
    original, scheme, info = need(inner, b"frma", 4), need(inner, b"schm", 8), need(inner, b"schi")
    tenc = need(children(data, info), b"tenc", 24)
    if bytes(data[scheme.body + 4 : scheme.body + 8]) != b"cenc" or bytes(data[tenc.body : tenc.body + 8]) != (
        b"\0\0\0\0\0\0\1\x10"
    ):
        raise Unsupported("This file is sealed in another way.", remedy="Use a newer version of this program.")
    return bytes(data[original.body : original.body + 4]), bytes(data[tenc.body + 8 : tenc.body + 24])
