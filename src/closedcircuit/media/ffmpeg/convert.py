# SPDX-License-Identifier: Apache-2.0
"""FFmpeg's packets to our samples: NAL units with 4-byte lengths, frames of sound without wrapping.

Pictures that are neither H.264 nor H.265 (MJPEG from a web camera, raw ones from USB) are coded anew as H.264, because
nothing else can be recorded; that is said in the stream's note.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import msgspec
from av.video.frame import PictureType

from closedcircuit.base.errors import CircuitError, MediaError, StreamBroken, Unsupported
from closedcircuit.media import codecs
from closedcircuit.model import Track

TICKS = 90_000
GOP_S = 2
PICTURE_MAX = 16 << 20


class Piece(msgspec.Struct):
    """A sample on its way from FFmpeg's thread to the receiver's."""

    track: int
    at: int  # presentation time in 1/90000 s of FFmpeg's own zero
    key: bool
    data: list[bytes]
    arrived_90k: int = 0
    arrived_s: float = 0.0


def ticks(time: int, base: Fraction) -> int:
    """A time of FFmpeg in 1/90000 s, rounded to the nearest."""
    return round(time * base.numerator * TICKS / base.denominator)


class VideoConverter:
    """One video stream. Used by one thread."""

    def __init__(self, stream: Any) -> None:
        name = stream.codec_context.name
        self.note = ""
        self._recode: Recoder | None = None
        self._prefix = 0  # bytes of NAL lengths; 0: annex B
        extra = bytes(stream.codec_context.extradata or b"")
        if name not in ("h264", "hevc"):
            self.note = f"coded anew: it sends {name}"
            self._recode = Recoder(stream)
            self.sets = codecs.ParameterSets("h264")
            return
        known: list[bytes] = []
        if extra[:1] == b"\1":
            if name == "h264":
                sps, pps = codecs.sets_of_avcc(extra)
                known, self._prefix = [*sps, *pps], (extra[4] & 3) + 1
            else:
                groups = codecs.sets_of_hvcc(extra)
                known = [nal for kind in (32, 33, 34) for nal in groups.get(kind, [])]
                self._prefix = (extra[21] & 3) + 1
        else:
            known = codecs.split_annexb(extra)
        self._h265 = name == "hevc"
        self.sets = codecs.ParameterSets("h265" if self._h265 else "h264", known)

    def track(self) -> Track | None:
        """How it is coded as far as is known."""
        return self.sets.track()

    def pieces(self, packet: Any, base: Fraction, fallback: int) -> Iterator[Piece]:
        """Samples of one packet; `fallback` is its time where it names none. Raises StreamBroken, MediaError."""
        if packet.size > PICTURE_MAX:
            raise StreamBroken(f"a single picture of more than {PICTURE_MAX >> 20} MiB")
        time = packet.pts if packet.pts is not None else packet.dts
        at = fallback if time is None else ticks(time, base)
        if self._recode is not None:
            for when, key, data in self._recode.again(packet, at):
                yield self._piece(when, key, codecs.split_annexb(data))
            return
        data = bytes(packet)
        nals = list(codecs.split_lengths(data, self._prefix)) if self._prefix else codecs.split_annexb(data)
        if nals:
            yield self._piece(at, packet.is_keyframe, nals)

    def _piece(self, at: int, key: bool, nals: list[bytes]) -> Piece:
        for nal in nals:
            kind = nal[0] >> 1 & 63 if self.sets.codec == "h265" else nal[0] & 31
            if kind in ((32, 33, 34) if self.sets.codec == "h265" else (7, 8)):
                self.sets.offer(nal)
        return Piece(1, at, key, [part for nal in nals for part in (len(nal).to_bytes(4, "big"), nal)])


class Recoder:
    """Decodes and codes anew as H.264, for sources that nothing else can be done with. Used by one thread."""

    def __init__(self, stream: Any) -> None:
        self._decoder = stream.codec_context
        self._decoder.thread_count = 1
        self._encoder: Any = None
        self._next_key = 0

    def again(self, packet: Any, at: int) -> Iterator[tuple[int, bool, bytes]]:
        """(time, key, annex B bytes) of the pictures that a packet makes."""
        for frame in self._decoder.decode(packet):
            encoder = self._encoder_for(frame)
            picture = frame.reformat(encoder.width, encoder.height, format="yuv420p")
            picture.pts, picture.time_base = at, Fraction(1, TICKS)
            key = at >= self._next_key or at < self._next_key - 2 * GOP_S * TICKS
            picture.pict_type = PictureType.I if key else PictureType.NONE
            if key:
                self._next_key = at + GOP_S * TICKS
            for made in encoder.encode(picture):
                yield int(made.pts), bool(made.is_keyframe), bytes(made)

    def _encoder_for(self, frame: Any) -> Any:
        width, height = frame.width & ~1, frame.height & ~1
        if self._encoder is None or (self._encoder.width, self._encoder.height) != (width, height):
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
            encoder.time_base = Fraction(1, TICKS)
            encoder.framerate = Fraction(25)
            encoder.thread_count = 1
            encoder.options = {
                "preset": "veryfast",
                "tune": "zerolatency",
                "crf": "23",
                "g": "600",
                "forced-idr": "1",
                "maxrate": "8M",
                "bufsize": "8M",
            }
            self._encoder, self._next_key = encoder, 0
        return self._encoder


class AudioConverter:
    """One audio stream. Raises Unsupported where it cannot be recorded. Used by one thread."""

    def __init__(self, stream: Any) -> None:
        context = stream.codec_context
        extra = bytes(context.extradata or b"")
        rate, channels = int(context.sample_rate or 0), int(context.layout.nb_channels or 1)
        self._adts = False
        if context.name == "aac":
            self._adts = not extra
            config = extra or codecs.aac_config(rate, channels)
            self.track = codecs.aac_track(config, codecs.parse_aac_config(config).rate)
        elif context.name == "opus":
            skip = int.from_bytes(extra[10:12], "little") if extra[:8] == b"OpusHead" else 0
            self.track = codecs.opus_track(channels, pre_skip=skip)
        elif context.name in ("pcm_mulaw", "pcm_alaw"):
            self.track = codecs.g711_track({"pcm_mulaw": "pcmu", "pcm_alaw": "pcma"}[context.name], rate, channels)
        else:
            raise Unsupported(f"sound coded as {context.name}", remedy="Set the camera's audio to AAC or G.711.")

    def pieces(self, packet: Any, base: Fraction, fallback: int) -> Iterator[Piece]:
        """The frame of a packet, without its ADTS header (ISO/IEC 14496-3, 1.A.2)."""
        data = bytes(packet)
        if self._adts and data[:1] == b"\xff" and len(data) > 9:
            data = data[7 if data[1] & 1 else 9 :]
        at = fallback if packet.pts is None else ticks(packet.pts, base)
        if data:
            yield Piece(2, at, True, [data])


def audio_converter(stream: Any) -> tuple[AudioConverter | None, str]:
    """The converter, or None and why there is no sound."""
    try:
        return AudioConverter(stream), ""
    except (MediaError, Unsupported) as error:
        return None, f"without sound: {error}"
    except CircuitError:
        return None, "without sound"
