# SPDX-License-Identifier: Apache-2.0
"""One recorder's connection to `live.sock`, web's end of it."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from closedcircuit.base.errors import MediaError
from closedcircuit.live.wire import FrameKind, FrameReader, pack_json

UNSENT_BYTES_MAX = 1 << 20
"""A recorder that does not take this much of our small requests is hung; it is hung up on and may come back."""

log = structlog.get_logger("live")


class Listener(Protocol):
    """Who is told what a recorder does. Called on the event loop's thread."""

    def linked(self, link: RecorderLink) -> None:
        """A recorder connected."""

    def unlinked(self, link: RecorderLink) -> None:
        """It is gone; nothing more comes from it."""

    def heard(self, link: RecorderLink, kind: int, payload: bytes) -> None:
        """It sent a frame. May raise MediaError; the connection ends then."""


class RecorderLink(asyncio.Protocol):
    """Cuts the bytes into frames, hands them on, hangs up on nonsense."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A recorder connected (asyncio's call)."""
        if isinstance(transport, asyncio.WriteTransport):
            self._transport = transport
        self._listener.linked(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came (asyncio's call)."""
        try:
            for kind, payload in self._reader.feed(data):
                if self._transport is None:
                    return
                self._listener.heard(self, kind, payload)
        except MediaError as error:
            log.warning("recorder_hung_up_on", why=str(error))
            self.hang_up()

    def connection_lost(self, exc: Exception | None) -> None:
        """The recorder is gone (asyncio's call)."""
        del exc
        self._transport = None
        self._listener.unlinked(self)

    def send(self, kind: FrameKind, value: object) -> None:
        """Queue a request; never blocks. A recorder that does not read is hung up on."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            log.warning("recorder_hung_up_on", why="it does not read")
            self.hang_up()
            return
        self._transport.write(pack_json(kind, value))

    def hang_up(self) -> None:
        """End the connection at once; `unlinked` follows."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
