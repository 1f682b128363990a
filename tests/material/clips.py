# SPDX-License-Identifier: Apache-2.0
"""Small real clips for tests: coded by FFmpeg (PyAV), handed over as a camera's samples.

`clip(...)` makes one and remembers it for the process; equal arguments give the same object, so do not change it.
"""

from __future__ import annotations

import functools
import io
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from closedcircuit.media.mp4 import codec_string
from closedcircuit.model import Sample, Track, TrackKind

RUN_OFFSET_S = 7
"""The run's zero is not the clip's: cameras do not begin to count when we connect."""


@dataclass(frozen=True)
class Clip:
    tracks: tuple[Track, ...]
    samples: tuple[Sample, ...]  # in decoding order of time, video and audio interleaved as a camera sends them

    @property
    def video(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.track == 1]

    @property
    def audio(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.track == 2]


def picture(number: int, width: int, height: int) -> av.VideoFrame:
    """A gradient with a moving square and some noise, so that frames differ and have some size."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(number).integers(0, 24, (height, width))
    image = np.stack([(x * 255 // width + noise) % 256, (y * 255 // height + noise) % 256, (x + y + noise) % 256], -1)
    left = number * 5 % max(1, width - 40)
    image[20:60, left : left + 40] = (255, 255, 0)
    frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), "rgb24").reformat(format="yuv420p")
    frame.pts = number
    frame.time_base = Fraction(1, 25)
    return frame


@functools.cache
def clip(
    video: str = "h264",
    audio: str | None = "aac",
    *,
    frames: int = 100,
    gop: int = 25,
    b_frames: int = 0,
    slices: int = 1,
    size: tuple[int, int] = (320, 180),
) -> Clip:
    """Code `frames` pictures at 25 a second. `video`: h264, h265; `audio`: aac, opus, flac or None."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"video_track_timescale": "90000"}) as container:
        pictures = container.add_stream("libx264" if video == "h264" else "libx265", rate=25)
        pictures.width, pictures.height = size
        pictures.pix_fmt = "yuv420p"
        pictures.gop_size = gop
        pictures.max_b_frames = b_frames
        x264 = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={b_frames}:slices={slices}:b-adapt=0:threads=1"
        x265 = f"{x264}:log-level=none:pools=none:frame-threads=1:open-gop=0"
        name, params = ("x264-params", x264) if video == "h264" else ("x265-params", x265.replace("threads=1:", ""))
        pictures.options = {"preset": "ultrafast", "crf": "30", name: params}
        sound = _sound(container, audio)
        _code(container, pictures, sound, frames, size)
    file.seek(0)
    with av.open(file) as container:
        return _take_apart(container, video, audio)


def _sound(container, audio):
    if audio is None:
        return None
    stream = container.add_stream({"aac": "aac", "opus": "libopus", "flac": "flac"}[audio], rate=48_000)
    stream.layout = "mono"
    stream.format = {"aac": "fltp", "opus": "s16", "flac": "s16"}[audio]
    return stream


def _code(container, pictures, sound, frames, size):
    for number in range(frames):
        for packet in pictures.encode(picture(number, *size)):
            container.mux(packet)
        if sound is not None:
            tone = np.sin(np.arange(1920) * 0.05 + number) * 8000 + np.random.default_rng(number).normal(0, 500, 1920)
            frame = av.AudioFrame.from_ndarray(tone.astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate = 48_000
            frame.pts = number * 1920
            frame.time_base = Fraction(1, 48_000)
            for packet in sound.encode(frame):
                container.mux(packet)
    for stream in filter(None, (pictures, sound)):
        for packet in stream.encode(None):
            container.mux(packet)


def _take_apart(container, video, audio):
    streams = {container.streams.video[0].index: 1}
    stream = container.streams.video[0]
    config = bytes(stream.codec_context.extradata)
    tracks = [
        Track(
            kind=TrackKind.VIDEO,
            codec=video,
            codec_string=codec_string(video, config),
            timescale=90_000,
            config=config,
            width=stream.width,
            height=stream.height,
        )
    ]
    if audio is not None:
        stream = container.streams.audio[0]
        streams[stream.index] = 2
        config = audio_config(audio, bytes(stream.codec_context.extradata))
        tracks.append(
            Track(
                kind=TrackKind.AUDIO,
                codec=audio,
                codec_string=codec_string(audio, config),
                timescale=48_000,
                config=config,
                channels=1,
            )
        )
    found = []
    for packet in container.demux():
        if packet.size == 0:
            continue
        number = streams[packet.stream.index]
        scale = tracks[number - 1].timescale
        pts = round(packet.pts * packet.time_base * scale) + RUN_OFFSET_S * scale
        data = bytes(packet)
        key = packet.is_keyframe if number == 1 else True
        at = packet.dts * packet.time_base
        parts = [data[:7], memoryview(data)[7:]]
        found.append((at, Sample(number, pts, key, len(data), parts, round(at * 90_000))))
    found.sort(key=lambda pair: pair[0])
    return Clip(tuple(tracks), tuple(sample for _, sample in found))


def audio_config(audio: str, extradata: bytes) -> bytes:
    """FFmpeg's extradata as the body of the sample entry's box."""
    if audio == "opus":  # OpusHead is little-endian (RFC 7845, 5.1), dOps big-endian
        channels, skip, rate, gain, family = struct.unpack_from("<BHIhB", extradata, 9)
        return struct.pack(">BBHIhB", 0, channels, skip, rate, gain, family)
    if audio == "flac":
        return b"\0\0\0\0\x80\0\0\x22" + extradata
    return extradata
