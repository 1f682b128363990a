# SPDX-License-Identifier: Apache-2.0
"""What audio tracks say of themselves: AAC (ISO/IEC 14496-3, 1.6.2.1), Opus (Opus in ISOBMFF, 4.3.2), G.711."""

from __future__ import annotations

import msgspec

from closedcircuit.base.errors import MediaError, Unsupported
from closedcircuit.media.codecs.bits import Bits
from closedcircuit.model import Track, TrackKind

_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}


class AacConfig(msgspec.Struct, frozen=True):
    """What we need of an AudioSpecificConfig."""

    object_type: int  # 2 is AAC-LC; 5 HE-AAC, 29 HE-AAC v2 where that is signalled
    rate: int  # of the core, samples a second
    channels: int
    frame_samples: int  # of the core: 1024 or 960; 512 or 480 for the low-delay kinds


def parse_aac_config(config: bytes) -> AacConfig:
    """Read an AudioSpecificConfig. Raises MediaError, Unsupported for what is not AAC."""
    bits = Bits(config[:64])
    kind, rate = _object_type(bits), _rate(bits)
    layout = bits.u(4)
    core = kind
    if kind in (5, 29):  # explicit SBR: the extension's rate, then the core's type
        _rate(bits)
        core = _object_type(bits)
    if core not in (1, 2, 3, 4, 6, 17, 19, 20, 22, 23, 39):
        raise Unsupported(f"MPEG-4 audio of object type {core}", remedy="Set the camera's audio to AAC-LC or G.711.")
    short = bits.left > 0 and bits.flag()
    low_delay = core in (23, 39)
    frame = (480 if short else 512) if low_delay else (960 if short else 1024)
    if not 1000 <= rate <= 192_000:
        raise MediaError(f"AAC at {rate} samples a second")
    return AacConfig(kind, rate, _CHANNELS.get(layout, 2), frame)


def _object_type(bits: Bits) -> int:
    kind = bits.u(5)
    return 32 + bits.u(6) if kind == 31 else kind


def _rate(bits: Bits) -> int:
    index = bits.u(4)
    if index == 15:
        return bits.u(24)
    if index >= len(_RATES):
        raise MediaError("AAC at an impossible rate")
    return _RATES[index]


def aac_config(rate: int, channels: int) -> bytes:
    """AudioSpecificConfig of plain AAC-LC."""
    layout = {count: number for number, count in _CHANNELS.items()}.get(channels)
    if layout is None or rate not in _RATES:
        raise Unsupported(f"AAC with {channels} channels at {rate} samples a second")
    return (2 << 11 | _RATES.index(rate) << 7 | layout << 3).to_bytes(2, "big")


def aac_track(config: bytes, timescale: int = 0) -> Track:
    """The record of an AAC track; `timescale` is its RTP clock, the core's rate if 0. Raises MediaError."""
    parsed = parse_aac_config(config)
    return Track(
        kind=TrackKind.AUDIO,
        codec="aac",
        codec_string=f"mp4a.40.{parsed.object_type}",
        timescale=timescale or parsed.rate,
        config=config,
        channels=parsed.channels,
    )


def opus_track(channels: int, *, pre_skip: int = 0, input_rate: int = 48_000) -> Track:
    """The record of an Opus track (mono or stereo); its clock is always 48000 (RFC 7587, 4.1)."""
    if channels not in (1, 2):
        raise Unsupported(f"Opus with {channels} channels")
    head = bytes((0, channels)) + pre_skip.to_bytes(2, "big") + input_rate.to_bytes(4, "big") + b"\0\0\0"
    return Track(
        kind=TrackKind.AUDIO, codec="opus", codec_string="opus", timescale=48_000, config=head, channels=channels
    )


def opus_frame_samples(packet: bytes) -> int:
    """Duration of an Opus packet at 48 kHz, from its first bytes (RFC 6716, 3.1); 0 for a damaged one."""
    if not packet:
        return 0
    number, code = packet[0] >> 3, packet[0] & 3
    if number < 12:
        size = (480, 960, 1920, 2880)[number & 3]
    elif number < 16:
        size = (480, 960)[number & 1]
    else:
        size = (120, 240, 480, 960)[number & 3]
    if code == 3 and len(packet) < 2:
        return 0
    total = size * (1, 2, 2, packet[1] & 63 if code == 3 else 0)[code]
    return total if total <= 5760 else 0


def g711_track(codec: str, rate: int, channels: int) -> Track:
    """The record of a G.711 track, `pcmu` or `pcma`, one byte a sample and channel."""
    if codec not in ("pcmu", "pcma") or not 1 <= channels <= 8 or not 1000 <= rate <= 192_000:
        raise Unsupported(f"{codec} with {channels} channels at {rate} samples a second")
    names = {"pcmu": "ulaw", "pcma": "alaw"}
    return Track(
        kind=TrackKind.AUDIO, codec=codec, codec_string=names[codec], timescale=rate, config=b"", channels=channels
    )
