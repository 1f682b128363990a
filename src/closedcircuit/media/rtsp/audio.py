# SPDX-License-Identifier: Apache-2.0
"""Sound out of RTP packets: AAC (RFC 3640), G.711 (RFC 3551, 4.5.14), Opus (RFC 7587)."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable

from closedcircuit.base.errors import MediaError, Unsupported
from closedcircuit.media import codecs
from closedcircuit.media.rtsp.sdp import MediaLine
from closedcircuit.media.rtsp.video import Lost, payload_bounds
from closedcircuit.model import Track

FRAME_MAX = 64 << 10
"""Bytes of one audio frame."""

_HEADER = struct.Struct(">HHII").unpack_from

EmitAudio = Callable[[int, bytes], None]
"""(RTP timestamp, frame)."""


class AudioUnpacker:
    """One audio stream of one connection. Owned by the session's thread."""

    def __init__(self, line: MediaLine, track: Track, emit: EmitAudio, lost: Lost) -> None:
        self.track = track
        self.received = self.lost = 0
        self.ssrc = -1
        self.cycles = 0
        self._payload_type = line.payload_type
        self._emit, self._lost = emit, lost
        self._expect = -1

    @property
    def highest(self) -> int:
        """Extended highest sequence number received (RFC 3550, 6.4.1)."""
        return self.cycles << 16 | (self._expect - 1 & 0xFFFF)

    def take(self, data: bytes, at: int, end: int) -> None:
        """Read the RTP packet data[at:end]. What is damaged or of another payload type is skipped."""
        if end - at < 13:
            return
        flags, seq, ts, ssrc = _HEADER(data, at)
        start, over = payload_bounds(data, at, end, flags)
        if not over or flags & 0x7F != self._payload_type:
            return
        if ssrc != self.ssrc:
            self.ssrc, self._expect = ssrc, -1
        if seq != self._expect and self._expect >= 0:
            missing = seq - self._expect & 0xFFFF
            if missing > 0xFF00:
                return  # from the recent past: a duplicate
            self.lost += missing if missing < 0x8000 else 0
            self._lost(missing if missing < 0x8000 else 0, "packets of sound are missing")
            self._forget()
        self._expect = seq + 1 & 0xFFFF
        if not self._expect:
            self.cycles += 1
        self.received += 1
        self._payload(data, start, over, ts)

    def _payload(self, data: bytes, start: int, end: int, ts: int) -> None:
        """G.711 and Opus: the payload is the frame."""
        self._emit(ts, data[start:end])

    def _forget(self) -> None:
        """Drop a frame that is half here."""


class AacUnpacker(AudioUnpacker):
    """MPEG4-GENERIC in the modes AAC-hbr and AAC-lbr: several frames a packet, or one over several packets."""

    def __init__(self, line: MediaLine, track: Track, emit: EmitAudio, lost: Lost) -> None:
        super().__init__(line, track, emit, lost)
        low = line.fmtp.get("mode", "").lower() == "aac-lbr"
        self._size_bits = _small(line.fmtp.get("sizelength", ""), 6 if low else 13)
        self._index_bits = _small(line.fmtp.get("indexlength", ""), 2 if low else 3)
        self._delta_bits = _small(line.fmtp.get("indexdeltalength", ""), 2 if low else 3)
        parsed = codecs.parse_aac_config(track.config)
        own = parsed.frame_samples * track.timescale // parsed.rate
        self._frame_ticks = _small(line.fmtp.get("constantduration", ""), own, 1 << 20) or own
        self._half = b""
        self._half_size = self._half_ts = 0

    def _forget(self) -> None:
        self._half, self._half_size = b"", 0

    def _payload(self, data: bytes, start: int, end: int, ts: int) -> None:
        if end - start < 3:
            return
        header_bits = data[start] << 8 | data[start + 1]
        body = start + 2 + (header_bits + 7) // 8
        if body > end:
            return
        headers = int.from_bytes(data[start + 2 : body], "big")
        left = (body - start - 2) * 8
        over = left - header_bits
        first = True
        number = 0
        while True:
            width = self._size_bits + (self._index_bits if first else self._delta_bits)
            if left - over < width or not width:
                return
            left -= width
            size = (headers >> (left + width - self._size_bits)) & ((1 << self._size_bits) - 1)
            if body + size > end or self._half:
                self._continue(data[body:end], size, ts)
                return
            if size:
                self._emit(ts + number * self._frame_ticks & 0xFFFFFFFF, data[body : body + size])
            body += size
            first = False
            number += 1

    def _continue(self, piece: bytes, size: int, ts: int) -> None:
        """A frame that is larger than its packet: every packet of it names the whole size (RFC 3640, 3.2.3)."""
        if self._half and (size != self._half_size or ts != self._half_ts):
            self._half = b""
        if size > FRAME_MAX:
            self._forget()
            return
        self._half += piece
        self._half_size, self._half_ts = size, ts
        if len(self._half) >= size:
            frame, self._half = self._half[:size], b""
            self._emit(ts, frame)


def _small(text: str, otherwise: int, limit: int = 32) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 and int(text) <= limit else otherwise


def audio_unpacker(line: MediaLine, emit: EmitAudio, lost: Lost) -> AudioUnpacker:
    """Make the unpacker that a line of the SDP asks for. Raises Unsupported or MediaError where there is none."""
    if line.encoding == "MPEG4-GENERIC":
        text = line.fmtp.get("config", "")
        try:
            config = binascii.unhexlify(text)
        except (binascii.Error, ValueError):
            config = b""
        config = config or codecs.aac_config(line.clock_rate, line.channels)
        return AacUnpacker(line, codecs.aac_track(config, line.clock_rate), emit, lost)
    if line.encoding in ("PCMU", "PCMA"):
        track = codecs.g711_track(line.encoding.lower(), line.clock_rate, line.channels)
        return AudioUnpacker(line, track, emit, lost)
    if line.encoding == "OPUS":
        stereo = line.fmtp.get("sprop-stereo", "0") == "1"
        return AudioUnpacker(line, codecs.opus_track(2 if stereo else 1), emit, lost)
    if not line.encoding:
        raise MediaError("sound of an unknown kind")
    raise Unsupported(f"sound coded as {line.encoding}", remedy="Set the camera's audio to AAC or G.711.")
