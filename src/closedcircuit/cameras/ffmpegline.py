# SPDX-License-Identifier: Apache-2.0
"""A line over FFmpeg, for every source that is not RTSP over TCP. Importing this imports FFmpeg."""

from __future__ import annotations

from closedcircuit.base.clock import Clock
from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.cameras.address import join_address
from closedcircuit.cameras.line import Line, Pull
from closedcircuit.media.ffmpeg import FfmpegPull
from closedcircuit.model import PacketSink, Source

UDP = "rtsp+udp://"
"""How an address asks for RTSP over UDP, for devices that know no other way."""

HLS_S = 30.0
"""HLS comes in pieces of many seconds (RFC 8216, 4.3.3.1): silence between them means nothing."""


class FfmpegLine(Line):
    """Owned by the receiver's thread; FFmpeg itself runs in a thread of the `FfmpegPull`."""

    def __init__(
        self, name: str, source: Source, account: tuple[str, Secret], sink: PacketSink, clock: Clock, ids: Ids
    ) -> None:
        super().__init__(name, sink, clock, ids)
        self._source, self._account = source, account
        self._ffmpeg: FfmpegPull | None = None
        self._in_pieces = ".m3u8" in source.address
        if self._in_pieces:
            self.frozen_s = HLS_S

    def _open(self, now_s: float) -> Pull:  # noqa: ARG002 - other lines need the time
        username, password = self._account
        address, options = self._source.address, self._source.options
        if address.startswith(UDP):
            address, options = "rtsp://" + address.removeprefix(UDP), {"rtsp_transport": "udp", **options}
        self._ffmpeg = FfmpegPull(
            join_address(address, username, password.reveal()),
            options,
            sink=self._sink,
            clock=self._clock,
            audio=self._source.audio,
        )
        if self._in_pieces:
            self._ffmpeg.silent_s = HLS_S
        return self._ffmpeg

    def _step(self, view: memoryview, now_s: float, now_90k: int) -> None:  # noqa: ARG002 - other lines read into it
        if self._ffmpeg is not None:
            self._ffmpeg.drain(now_s)

    def _tick(self, now_s: float, now_90k: int) -> None:
        """`drain` keeps the deadlines."""

    def _shut(self, *, on_purpose: bool) -> None:  # noqa: ARG002 - nobody to say goodbye to
        if self._ffmpeg is not None:
            self._ffmpeg.close()
            self._ffmpeg = None
