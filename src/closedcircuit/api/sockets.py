# SPDX-License-Identifier: Apache-2.0
"""Connections: HTTP ones that do not wait for ever, WebSocket ones that take frames built beforehand.

Sending through ASGI builds a frame and wakes a task for every viewer and every sample. A live message is the same
bytes for all, so its frame is built once (`live`), and written straight to the transport of each connection: one
system call a viewer, and no task is woken. Text goes the same way, so that all leaves in the order it was said.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

EXTENSION = "closedcircuit.outlet"
"""Where in an ASGI scope's `extensions` the outlet is."""

REQUEST_WITHIN_S = 20.0
"""A connection whose first request is not there by then is closed: it costs a descriptor, and there are not many."""

STUCK_BYTES = 256 << 10
"""A connection with more than this unsent is cut instead of being closed politely: the farewell would not arrive."""


class TransportOutlet:
    """One connection as `live` sees it (`live.Outlet`). Belongs to the event loop's thread."""

    def __init__(self, protocol: RelayProtocol) -> None:
        self._protocol = protocol
        self.closing: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def write(self, frame: bytes) -> None:
        """Queue a frame; nothing happens once the connection is closing."""
        protocol = self._protocol
        if protocol.handshake_complete and not protocol.close_sent and not protocol.transport.is_closing():
            protocol.transport.write(frame)

    def unsent(self) -> int:
        """Bytes that the network has not taken."""
        return self._protocol.transport.get_write_buffer_size()

    def close(self, code: int, reason: str) -> None:
        """Hang up: politely, through whoever serves this connection; at once where nothing would arrive."""
        if self.unsent() > STUCK_BYTES:
            self._protocol.transport.abort()
        if not self.closing.done():
            self.closing.set_result((code, reason))


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP protocol, with a deadline for the head of the first request. Later ones have the keep-alive's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn names the narrower class
        self._deadline = self.loop.call_later(REQUEST_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._deadline.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        # After an upgrade the transport has another protocol, and this one nothing to say.
        spoken: object = self.transport.get_protocol()
        request: object = self.cycle
        if request is None and spoken is self:
            self.transport.abort()


class RelayProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with an outlet in the scope."""

    def handle_connect(self, event: Any) -> None:
        """Offer the outlet to the application, which starts after this returns."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]  # narrower there
            extensions[EXTENSION] = TransportOutlet(self)

    def keepalive_timeout(self) -> None:
        """Cut a connection that does not answer: closing would wait for a peer that takes nothing."""
        super().keepalive_timeout()
        self.transport.abort()
