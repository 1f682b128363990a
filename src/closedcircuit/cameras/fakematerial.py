# SPDX-License-Identifier: Apache-2.0
"""What fake cameras send: access units whose bytes say who they are."""

from __future__ import annotations

import hashlib

import msgspec

from closedcircuit.base.clock import TICKS

# Parameter sets of a 320x240 H.264 baseline stream, of a 640x480 one, and of a 320x240 H.265 stream, made with x264 and
# x265. Slices in fakes are not decodable; nothing here decodes them.
H264_SPS = bytes.fromhex("6742c00dda0507e840000003004000000ca3c50aa8")
H264_SPS_LARGE = bytes.fromhex("6742c01eda0280f684000003000400000300ca3c58ba80")
H264_PPS = bytes.fromhex("68ce0fc8")
H265_VPS = bytes.fromhex("40010c01ffff01600000030090000003000003003c959409")
H265_SPS = bytes.fromhex("42010101600000030090000003000003003ca00a080f16595952930b9a020000030002000003003210")
H265_PPS = bytes.fromhex("4401c073c189")


class Frame(msgspec.Struct):
    """One access unit to be served."""

    nals: list[bytes]
    at: int  # presentation time, 1/90000 s from the stream's beginning


def made_up_frames(count: int, *, fps: int = 25, gop: int = 25, size: int = 4000, codec: str = "h264") -> list[Frame]:
    """Access units whose bytes say who they are; a key frame with its parameter sets every `gop`."""
    frames = []
    for number in range(count):
        body = hashlib.shake_256(number.to_bytes(4, "big")).digest(size)
        key = number % gop == 0
        if codec == "h264":
            nals = [b"\x65\x88" + body] if key else [b"\x41\x9a" + body]
            nals = [H264_SPS, H264_PPS, *nals] if key else nals
        else:
            nals = [b"\x26\x01\xaf" + body] if key else [b"\x02\x01\xd0" + body]
            nals = [H265_VPS, H265_SPS, H265_PPS, *nals] if key else nals
        frames.append(Frame(nals, number * TICKS // fps))
    return frames
