# SPDX-License-Identifier: Apache-2.0
"""Numpy pictures and sounds to coded access units, for the pretend site.

A `Picture` is a YUV 4:2:0 frame whose planes are numpy views on the encoder's own memory, so that what is drawn is
never copied. Encoders are set for a camera's habits: no B-frames, no look-ahead, one access unit out for one picture
in. One encoder belongs to one thread; distinct encoders may run in distinct threads (FFmpeg lets go of the GIL).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import av
import msgspec
import numpy as np
from av.video.reformatter import Interpolation

from closedcircuit.base.errors import MediaError, Unsupported

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Plane = NDArray[np.uint8]

TICKS: Final = 90_000
_X265: Final = "pools=none:frame-threads=1:wpp=0:log-level=none:bframes=0:rc-lookahead=0:scenecut=0:open-gop=0"


class VideoCoding(msgspec.Struct, frozen=True, kw_only=True):
    """What to make of pictures."""

    codec: str  # "h264" or "h265"
    width: int  # even
    height: int  # even
    interval_90k: int  # between pictures
    gop: int  # pictures from one key frame to the next, unless one is asked for earlier
    quality: int  # constant rate factor: 18 is very good, 30 poor
    kbps_max: int  # never more than this over a second


class Picture:
    """One picture to draw on: `y` (height, width), `u` and `v` (half of each), limited range BT.709, uint8."""

    __slots__ = ("frame", "u", "v", "y")

    def __init__(self, width: int, height: int) -> None:
        self.frame: Any = av.VideoFrame(width, height, "yuv420p")
        self.y, self.u, self.v = (self._plane(i) for i in range(3))

    def _plane(self, index: int) -> Plane:
        plane = self.frame.planes[index]
        return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]

    def resized(self, width: int, height: int) -> Picture:
        """The same picture in another size, a new one."""
        made = Picture.__new__(Picture)
        made.frame = self.frame.reformat(width, height, interpolation=Interpolation.FAST_BILINEAR)
        made.y, made.u, made.v = (made._plane(i) for i in range(3))  # noqa: SLF001 - of the same class
        return made

    def rgb(self) -> NDArray[np.uint8]:
        """The picture as (height, width, 3)."""
        self.frame.colorspace = 1  # BT.709
        shown: NDArray[np.uint8] = self.frame.to_ndarray(format="rgb24")
        return shown


class VideoEncoder:
    """H.264 or H.265, one access unit a picture, decodable as it comes."""

    def __init__(self, coding: VideoCoding) -> None:
        self.coding = coding
        name = {"h264": "libx264", "h265": "libx265"}.get(coding.codec)
        if name is None:
            raise Unsupported(f"no encoder for {coding.codec}", remedy="Ask for h264 or h265.")
        try:
            context: Any = av.CodecContext.create(name, "w")
        except av.FFmpegError as error:
            raise Unsupported(f"this PyAV has no {name}", remedy="Install PyAV's wheel from PyPI.") from error
        context.width, context.height, context.pix_fmt = coding.width, coding.height, "yuv420p"
        context.time_base = Fraction(1, TICKS)
        context.framerate = Fraction(TICKS, coding.interval_90k)
        context.thread_count = 1
        context.gop_size = coding.gop
        context.max_b_frames = 0
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1, 1
        context.flags |= av.codec.context.Flags.global_header
        context.options = self._options(coding)
        context.open()
        self._context = context
        self.parameter_sets = tuple(split_annexb(bytes(context.extradata or b"")))
        self.parameter_sets = tuple(nal for nal in self.parameter_sets if _is_parameter_set(coding.codec, nal))
        if not self.parameter_sets:
            raise MediaError(f"{name} told no parameter sets")

    @staticmethod
    def _options(coding: VideoCoding) -> dict[str, str]:
        rate = f"vbv-maxrate={coding.kbps_max}:vbv-bufsize={coding.kbps_max}"
        options = {"preset": "ultrafast", "tune": "zerolatency", "crf": str(coding.quality), "forced-idr": "1"}
        if coding.codec == "h264":
            # Constrained baseline is what ultrafast makes; saying so lets every browser's decoder take it.
            return options | {"x264-params": f"{rate}:scenecut=0:keyint={coding.gop}", "profile": "baseline"}
        tools = "ctu=32:max-merge=1:subme=0:me=dia:merange=8:ref=1:weightp=0:aq-mode=0"
        return options | {"x265-params": f"{_X265}:{tools}:{rate}:keyint={coding.gop}:min-keyint={coding.gop}"}

    def encode(self, picture: Picture, pts_90k: int, *, key: bool = False) -> tuple[bool, list[bytes]]:
        """Code one picture; returns whether it is a key frame, and its NAL units without start codes.

        Parameter sets come in front of a key frame, as cameras send them. pts_90k must grow.
        """
        frame = picture.frame
        frame.pts, frame.time_base = pts_90k, Fraction(1, TICKS)
        frame.pict_type = av.video.frame.PictureType.I if key else av.video.frame.PictureType.NONE
        nals: list[bytes] = []
        is_key = False
        for packet in self._context.encode(frame):
            is_key |= bool(packet.is_keyframe)
            nals += split_annexb(bytes(packet))
        if is_key:
            nals = [*self.parameter_sets, *nals]
        return is_key, nals


class AudioEncoder:
    """AAC-LC or Opus, mono."""

    def __init__(self, codec: str, rate: int, kbps: int) -> None:
        name = {"aac": "aac", "opus": "libopus"}.get(codec)
        if name is None:
            raise Unsupported(f"no encoder for {codec}", remedy="Ask for aac or opus.")
        context: Any = av.CodecContext.create(name, "w")
        context.sample_rate, context.layout = rate, "mono"
        context.format = "fltp" if codec == "aac" else "s16"
        context.bit_rate = kbps * 1000
        context.time_base = Fraction(1, rate)
        if codec == "opus":
            context.options = {"application": "lowdelay", "compression_level": "0", "frame_duration": "20"}
        context.open()
        self._context, self._rate, self._codec = context, rate, codec
        self.frame_size: int = context.frame_size  # samples that one call to `encode` takes
        self.config = bytes(context.extradata or b"")  # AudioSpecificConfig for AAC

    def encode(self, samples: NDArray[np.int16], at: int) -> list[tuple[int, bytes]]:
        """Code `frame_size` samples, the first of them number `at`; returns (first sample, frame) that are ready.

        AAC runs one frame behind: its first call returns nothing.
        """
        if self._codec == "aac":
            frame: Any = av.AudioFrame.from_ndarray((samples / np.float32(32768)).reshape(1, -1), "fltp", "mono")
        else:
            frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, at, Fraction(1, self._rate)
        return [(packet.pts, bytes(packet)) for packet in self._context.encode(frame)]


def split_annexb(data: bytes) -> list[bytes]:
    """NAL units of an Annex B byte stream (ITU-T H.264, B.1.1), without start codes and trailing zeros."""
    nals = []
    start = data.find(b"\0\0\1")
    while start >= 0:
        after = data.find(b"\0\0\1", start + 3)
        nal = data[start + 3 : after if after >= 0 else len(data)].rstrip(b"\0")
        if nal:
            nals.append(nal)
        start = after
    return nals


def _is_parameter_set(codec: str, nal: bytes) -> bool:
    """SPS or PPS (H.264 7, 8), VPS, SPS or PPS (H.265 32 to 34); encoders also put an SEI about themselves there."""
    return nal[0] & 31 in (7, 8) if codec == "h264" else nal[0] >> 1 & 63 in (32, 33, 34)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write (height, width, 3) as a PNG file."""
    context: Any = av.CodecContext.create("png", "w")
    context.height, context.width = rgb.shape[:2]
    context.pix_fmt, context.time_base = "rgb24", Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
    path.write_bytes(b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)]))


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """Coded pictures to be played in a loop, the load simulator's stock: made once, replayed at no cost."""

    codec: str
    parameter_sets: tuple[bytes, ...]
    interval_90k: int
    pictures: tuple[tuple[bool, tuple[bytes, ...]], ...]  # (key frame, NAL units with its parameter sets)
    audio_config: bytes = b""
    audio_rate: int = 0
    audio: tuple[bytes, ...] = ()  # AAC frames of 1024 samples


def make_clip(coding: VideoCoding, seconds: int, *, audio: bool = False) -> Clip:
    """Code a moving pattern under so much noise that the rate control is busy: the size is that of a real camera's.

    Takes about as long as it lasts for 1080p. A whole number of GOPs, so that it can be repeated.
    """
    encoder = VideoEncoder(coding)
    random = np.random.default_rng(1)
    height, width = coding.height, coding.width
    across, down = np.arange(width), np.arange(height)[:, None]
    still = (110 + 50 * np.sin(across / 37) + 40 * np.sin(down / 23)).astype(np.uint8)
    noise = np.clip(np.rint(random.normal(0, 4, (height + 64, width + 64))), -12, 12).astype(np.int8).view(np.uint8)
    pictures = []
    count = max(1, seconds * TICKS // coding.interval_90k // coding.gop) * coding.gop
    for number in range(count):
        picture = Picture(width, height)
        x, y = random.integers(0, 64, 2)
        np.add(still, noise[y : y + height, x : x + width], out=picture.y)
        for block in range(6):
            left = (number * (5 + 3 * block) + block * 331) % (width - 160)
            picture.y[block * height // 7 :, left : left + 120][:130] = 40 + 30 * block
        picture.u[:], picture.v[:] = 118, 132
        key, nals = encoder.encode(picture, number * coding.interval_90k)
        pictures.append((key, tuple(nals)))
    sound = AudioEncoder("aac", 16_000, 32) if audio else None
    frames: list[bytes] = []
    if sound is not None:
        for number in range(seconds * 16_000 // sound.frame_size + 1):
            tone = 900 * np.sin((np.arange(sound.frame_size) + number * sound.frame_size) * 0.05)
            frames += [data for _, data in sound.encode(tone.astype(np.int16), number * sound.frame_size)]
    return Clip(
        codec=coding.codec,
        parameter_sets=encoder.parameter_sets,
        interval_90k=coding.interval_90k,
        pictures=tuple(pictures),
        audio_config=sound.config if sound else b"",
        audio_rate=16_000 if sound else 0,
        audio=tuple(frames),
    )
