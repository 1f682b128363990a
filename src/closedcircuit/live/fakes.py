# SPDX-License-Identifier: Apache-2.0
"""A recorder that has no cameras: it speaks the protocol of `live.sock` on a test's event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import msgspec

from closedcircuit.base import TICKS, Clock
from closedcircuit.live.states import StreamState
from closedcircuit.live.wire import (
    AUDIO,
    KEY,
    MESSAGE_HEADER,
    REPLAYED,
    FrameKind,
    FrameReader,
    pack_json,
    pack_sample,
)
from closedcircuit.model import State

Seal = Callable[[bytes, bytes], bytes]
"""(the 32 header bytes, plaintext) -> ciphertext and tag."""


def no_seal(header: bytes, plaintext: bytes) -> bytes:
    """Append 16 bytes where the tag would be: enough where nobody opens it."""
    return plaintext + header[:16]


class FakeStream:
    """One stream: its live id and count while it is watched, and the running group of pictures for a replay."""

    def __init__(self) -> None:
        self.live_id = 0
        self.sequence = 0
        self.group: list[tuple[int, bytes, int]] = []


class FakeRecorder:
    """Connects to the hub, says HELLO, answers WATCH as a recorder does, and sends what the test tells it to.

    Use it as an asynchronous context. All of it belongs to one event loop. Leaving it hangs up, as a crash would.
    """

    def __init__(self, path: Path, clock: Clock, cameras: Iterable[str], *, seal: Seal = no_seal) -> None:
        self.cameras = tuple(cameras)
        self.asked: list[tuple[FrameKind, dict[str, Any]]] = []
        self.watched: dict[tuple[str, str], FakeStream] = {}
        self.test_answer: dict[str, Any] | None = {"ok": True, "tracks": [], "first_picture_ms": 40.0}
        self._path, self._clock, self._seal = path, clock, seal
        self._live_ids = 0
        self._streams: dict[tuple[str, str], FakeStream] = {}
        self._reader = FrameReader()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        reader, self._writer = await asyncio.open_unix_connection(str(self._path))
        self.send(FrameKind.HELLO, {"pid": 1, "version": "fake", "cameras": self.cameras})
        self._listening = asyncio.create_task(self._listen(reader))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.vanish()

    async def vanish(self) -> None:
        """Hang up without a word. Calling it twice is allowed."""
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
            self._listening = None
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None

    async def until_watched(self, camera: str, stream: str = "main") -> FakeStream:
        """Wait until somebody watches a stream."""
        while (camera, stream) not in self.watched:
            await self._next()
        return self.watched[camera, stream]

    async def until_asked(self, kind: FrameKind) -> dict[str, Any]:
        """Wait for a request of this type; return the first one that came since the start."""
        while True:
            for asked, value in self.asked:
                if asked is kind:
                    return value
            await self._next()

    def say_state(self, **changes: Any) -> None:
        """Send STATE: every camera live on `main`, but for the changes."""
        now_90k = self._clock.now_90k()
        values: dict[str, Any] = {"state": State.LIVE, "since_90k": now_90k - TICKS, "codec": "h264", **changes}
        state = StreamState(**values)
        self.send(FrameKind.STATE, {"at_90k": now_90k, "cameras": {c: {"main": state} for c in self.cameras}})

    def say_edge(self, camera: str, stream: str, end_90k: int) -> None:
        """Send EDGE."""
        self.send(FrameKind.EDGE, {"camera": camera, "stream": stream, "end_90k": end_90k})

    def sample(self, camera: str, plaintext: bytes, *, flags: int = 0, stream: str = "main") -> bytes | None:
        """Keep a sample for a replay and, if the stream is watched, send it sealed and return the live message."""
        known = self._stream((camera, stream))
        pts = self._clock.now_90k()
        if flags & (KEY | AUDIO) == KEY:
            known.group.clear()
        known.group.append((flags, plaintext, pts))
        if (camera, stream) not in self.watched:
            return None
        return self._send_sample((camera, stream), flags, plaintext, pts)

    def send(self, kind: FrameKind, value: object) -> None:
        """Send any JSON frame."""
        self.send_raw(pack_json(kind, value))

    def send_raw(self, data: bytes) -> None:
        """Send any bytes."""
        if self._writer is not None:
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the hub took what was sent, as far as the socket can tell."""
        if self._writer is not None:
            await self._writer.drain()

    def _send_sample(self, key: tuple[str, str], flags: int, plaintext: bytes, pts: int) -> bytes:
        stream = self.watched[key]
        header = MESSAGE_HEADER.pack(1, flags, 0, stream.live_id, stream.sequence, pts, self._clock.now_90k())
        stream.sequence += 1
        message = header + self._seal(header, plaintext)
        self.send_raw(pack_sample("/".join(key), message))
        return message

    def _stream(self, key: tuple[str, str]) -> FakeStream:
        return self._streams.setdefault(key, FakeStream())

    async def _next(self) -> None:
        self._news.clear()
        async with asyncio.timeout(10):
            await self._news.wait()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            for kind, payload in self._reader.feed(data):
                self._heard(FrameKind(kind), msgspec.json.decode(payload))
        self._news.set()

    def _heard(self, kind: FrameKind, value: dict[str, Any]) -> None:
        self.asked.append((kind, value))
        if kind is FrameKind.WATCH:
            self._start((value["camera"], value["stream"]))
        elif kind is FrameKind.UNWATCH:
            self.watched.pop((value["camera"], value["stream"]), None)
        elif kind is FrameKind.TEST and self.test_answer is not None:
            self.send(FrameKind.TESTED, {"id": value["id"], **self.test_answer})
        self._news.set()

    def _start(self, key: tuple[str, str]) -> None:
        self._live_ids += 1
        stream = self.watched[key] = self._stream(key)
        stream.live_id, stream.sequence = self._live_ids, 0
        track = {"kind": "video", "codec": "h264", "codec_string": "avc1.640028", "timescale": 90_000, "config": ""}
        config = {"type": "config", "channel": 0, "camera": key[0], "stream": key[1], "key_id": "00" * 8}
        self.send(FrameKind.CONFIG, {**config, "live_id": f"{stream.live_id:016x}", "tracks": [track]})
        for number, (flags, plaintext, pts) in enumerate(stream.group):
            self._send_sample(key, flags | (REPLAYED if number == 0 else 0), plaintext, pts)
