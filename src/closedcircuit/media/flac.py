# SPDX-License-Identifier: Apache-2.0
"""G.711 to FLAC without loss, because MP4 has no place for G.711 that browsers read.

FFmpeg (60 MB a process) is loaded when the first camera needs it, not before.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from closedcircuit.base.errors import MediaError, Unsupported
from closedcircuit.model import Track, TrackKind

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

_DFLA: Final = b"\0\0\0\0\x80\0\0\x22"  # version and flags; last metadata block, STREAMINFO, 34 bytes
_STREAMINFO: Final = 34


def _mu_law(code: int) -> int:
    """ITU-T G.711, table 2: 14-bit values, here times 4."""
    code ^= 0xFF
    size = ((code & 15) << 3) + 0x84 << (code >> 4 & 7)
    return 0x84 - size if code & 0x80 else size - 0x84


def _a_law(code: int) -> int:
    """ITU-T G.711, table 1: 13-bit values, here times 8."""
    code ^= 0x55
    exponent = code >> 4 & 7
    size = (code & 15) << 4 | 8
    if exponent:
        size = size + 0x100 << exponent - 1
    return size if code & 0x80 else -size


def _planes(values: list[int]) -> tuple[bytes, bytes]:
    """Low and high bytes of 256 signed 16-bit values, as tables for `bytes.translate`."""
    return bytes(value & 255 for value in values), bytes(value >> 8 & 255 for value in values)


_TABLES: Final = {
    "pcmu": _planes([_mu_law(code) for code in range(256)]),
    "pcma": _planes([_a_law(code) for code in range(256)]),
}


def linear(codec: str, payload: bytes | memoryview) -> bytes:
    """G.711 codes as signed 16-bit little-endian samples."""
    low, high = _TABLES[codec]
    out = bytearray(2 * len(payload))
    codes = bytes(payload)
    out[0::2] = codes.translate(low)
    out[1::2] = codes.translate(high)
    return bytes(out)


class FlacTranscoder:
    """One track's transcoder. One thread at a time.

    Frames come out as soon as they are full (72 ms at 8 kHz). A jump in the timestamps closes the running frame short,
    so that sound keeps its place; less than 10 ms is taken for jitter.
    """

    def __init__(self, codec: str, rate: int, channels: int) -> None:
        """Raise Unsupported for another codec, and for what FLAC cannot hold."""
        if codec not in _TABLES:
            raise Unsupported(f"{codec} is not G.711.", remedy="Record this camera without sound.")
        self._codec = codec
        self._rate = rate
        self._channels = channels
        self._encoder = self._make()
        self._block = self._encoder.frame_size
        info = bytes(self._encoder.extradata or b"")
        if len(info) != _STREAMINFO:
            raise MediaError("The FLAC encoder did not describe its stream.", remedy="Record without sound.")
        self.track = Track(
            kind=TrackKind.AUDIO,
            codec="flac",
            codec_string="flac",
            timescale=rate,
            config=_DFLA + info,
            channels=channels,
        )
        self._pending = bytearray()
        self._pts = 0  # of the first pending sample

    def push(self, payload: bytes | memoryview, pts: int) -> list[tuple[int, bytes]]:
        """Take one packet's codes; `pts` counts samples. Returns (pts, FLAC frame) of what is complete now."""
        out: list[tuple[int, bytes]] = []
        width = 2 * self._channels
        expected = self._pts + len(self._pending) // width
        if abs(pts - expected) > self._rate // 100:
            out = self.flush()
            self._pts = pts
        whole = len(payload) - len(payload) % self._channels
        self._pending += linear(self._codec, payload[:whole])
        size = self._block * width
        at = 0
        while len(self._pending) - at >= size:
            out.append((self._pts, self._encode(bytes(self._pending[at : at + size]))))
            self._pts += self._block
            at += size
        del self._pending[:at]
        return out

    def flush(self) -> list[tuple[int, bytes]]:
        """Close the running frame short. For the end of a run."""
        if not self._pending:
            return []
        frame = self._encode(bytes(self._pending))
        out = [(self._pts, frame)]
        self._pts += len(self._pending) // (2 * self._channels)
        self._pending.clear()
        self._encoder = self._make()  # an encoder takes one short frame, its last
        return out

    def _make(self) -> AudioCodecContext:
        import av
        from av.audio.codeccontext import AudioCodecContext

        encoder = av.CodecContext.create("flac", "w")
        if not isinstance(encoder, AudioCodecContext):
            raise Unsupported("This FFmpeg has no FLAC encoder.", remedy="Record this camera without sound.")
        encoder.format = "s16"
        encoder.sample_rate = self._rate
        encoder.time_base = Fraction(1, self._rate)
        # Level 3: frames of 72 ms at 8 kHz. Shorter ones cost three times the CPU, for 24 ms less delay of live sound.
        encoder.options = {"compression_level": "3"}
        try:
            encoder.layout = {1: "mono", 2: "stereo"}.get(self._channels, f"{self._channels} channels")
            encoder.open()
        except (av.FFmpegError, ValueError) as error:
            raise Unsupported(
                f"FLAC cannot hold {self._channels} channels at {self._rate} Hz.", remedy="Record without sound."
            ) from error
        return encoder

    def _encode(self, samples: bytes) -> bytes:
        import av

        count = len(samples) // (2 * self._channels)
        frame = av.AudioFrame(format="s16", layout=self._encoder.layout, samples=count, align=1)
        frame.sample_rate = self._rate
        frame.pts = self._pts
        frame.planes[0].update(samples)
        try:
            packets = self._encoder.encode(frame)
            if not packets:
                packets = self._encoder.encode(None)
        except av.FFmpegError as error:
            raise MediaError(f"FLAC could not be encoded: {error}.", remedy="Record without sound.") from error
        return b"".join(map(bytes, packets))
