# SPDX-License-Identifier: Apache-2.0
"""Live view over one WebSocket a page (`live`)."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from closedcircuit.api.gate import session_token
from closedcircuit.api.parts import Parts, PartsOf
from closedcircuit.api.problems import log
from closedcircuit.api.sockets import EXTENSION, TransportOutlet
from closedcircuit.base import CircuitError
from closedcircuit.live import Viewer

router = APIRouter(prefix="/api", tags=["live"])

SIGNED_IN_EVERY_S = 10.0
"""How often a connection's session is looked up again: who is signed out sees nothing after this long."""

UNREADABLE, SIGNED_OUT = 1007, 4401
"""WebSocket close codes: RFC 6455, 7.4.1, and ours."""


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stream of a watch message."""

    camera: str
    stream: str


class Watch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole set that a page wants now."""

    watch: tuple[Wanted, ...]


@router.websocket("/live")
async def live(socket: WebSocket, parts: PartsOf) -> None:
    """Relay states, edges and sealed samples until the browser leaves, is signed out or is too slow."""
    await socket.accept()
    outlet = socket.scope["extensions"].get(EXTENSION)
    if not isinstance(outlet, TransportOutlet):
        log.error("live_without_outlet", why="the server's WebSocket protocol is not RelayProtocol")
        await socket.close(1011)
        return
    viewer = parts.hub.join(outlet)
    reading = asyncio.create_task(_read(socket, parts, viewer, outlet))
    checking = asyncio.create_task(_stay_signed_in(socket, parts, outlet))
    try:
        await asyncio.wait((reading, outlet.closing), return_when=asyncio.FIRST_COMPLETED)
    finally:
        parts.hub.leave(viewer)
        for task in (reading, checking):
            task.cancel()
        await asyncio.gather(reading, checking, return_exceptions=True)
        if outlet.closing.done():
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it may have left before us
                await socket.close(*outlet.closing.result())


async def _read(socket: WebSocket, parts: Parts, viewer: Viewer, outlet: TransportOutlet) -> None:
    """Take watch messages until the browser leaves."""
    while True:
        try:
            text = await socket.receive_text()
        except (WebSocketDisconnect, KeyError):  # KeyError: starlette's answer to a binary message
            return
        try:
            wanted = msgspec.json.decode(text, type=Watch)
        except (msgspec.DecodeError, RecursionError):
            outlet.close(UNREADABLE, "not a watch message")
            return
        for refused in parts.hub.watch(viewer, ((one.camera, one.stream) for one in wanted.watch)):
            viewer.tell_problem(refused)


async def _stay_signed_in(socket: WebSocket, parts: Parts, outlet: TransportOutlet) -> None:
    """Hang up when the session is over."""
    token = session_token(socket.headers)
    while True:
        await asyncio.sleep(SIGNED_IN_EVERY_S)
        try:
            signed_in = await parts.desk.run(parts.sessions.find, token)
        except CircuitError:
            continue  # the database is busy: ask again later; a session is not ended by that
        if signed_in is None:
            outlet.close(SIGNED_OUT, "signed out")
            return
