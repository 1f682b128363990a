# SPDX-License-Identifier: Apache-2.0
"""The recorder's end of `live.sock` (docs/design/processes.md): it connects, and listens on nothing.

Everything runs in the sweep thread and returns at once. What a sweep has to say goes out in one write at its end.
Overflow rule: samples that would not fit (`OUT_BYTES`) are refused and their stream goes on at its next key frame;
STATE and EDGE are left out, for newer ones follow.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from closedcircuit.base import Clock
from closedcircuit.base.errors import NetError
from closedcircuit.model import Camera
from closedcircuit.net import Connection, unix_connect

HELLO, STATE, CONFIG, SAMPLE, TESTED, EDGE = 1, 2, 3, 4, 6, 7
WATCH, UNWATCH, RELOAD, TEST = 16, 17, 18, 19

OUT_BYTES: Final = 4 << 20
FRAME_BYTES_MAX: Final = 1 << 20
"""Web's requests are small; more is nonsense, and the connection is closed."""
AGAIN_S: Final = 1.0

_HEAD: Final = struct.Struct(">IB")
_NAME: Final = struct.Struct(">H")


class Watched(msgspec.Struct, frozen=True):
    """WATCH and UNWATCH."""

    camera: str
    stream: str


class AskedTest(msgspec.Struct, frozen=True):
    """TEST."""

    id: str
    camera: Camera
    password: str = ""


class Asked(Protocol):
    """Who does what the web process asks for. Called in the sweep thread; must return at once."""

    def hello(self) -> dict[str, Any]:
        """Payload of HELLO."""

    def state(self) -> dict[str, Any]:
        """Payload of STATE."""

    def watch(self, camera: str, stream: str) -> None:
        """Somebody watches."""

    def unwatch(self, camera: str, stream: str) -> None:
        """Nobody does any more."""

    def unwatch_all(self) -> None:
        """The web process is gone."""

    def reload(self) -> None:
        """Files changed."""

    def test(self, asked: AskedTest) -> None:
        """Try a camera; the answer goes to `Link.tested`, from any thread."""


class Link:
    """One connection to the web process, made anew each second while there is none. A `RelayPort`."""

    def __init__(
        self, path: Path, asked: Asked, clock: Clock, connect: Callable[..., Connection] = unix_connect
    ) -> None:
        self.is_connected = False
        self._path, self._asked, self._clock, self._connect = path, asked, clock, connect
        self._connection: Connection | None = None
        self._again_s = 0.0
        self._in = bytearray()
        self._buffer = bytearray(64 << 10)
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._tested: deque[bytes] = deque()  # appended by any thread

    # ------------------------------------------------------------------------------------------------ once a sweep

    def sweep(self) -> None:
        """Connect, read what came, act on it."""
        connection = self._connection
        if connection is None:
            if self._clock.monotonic_s() < self._again_s:
                return
            self._open()
            connection = self._connection
        if connection is None:
            return
        try:
            self._read(connection)
        except (NetError, msgspec.MsgspecError, ValueError):
            self._close()

    def flush(self) -> None:
        """Send what gathered."""
        connection = self._connection
        if connection is None:
            return
        while self._tested:
            self._put(TESTED, self._tested.popleft())
        try:
            if self._out:
                data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
                self._out, self._out_bytes = [], 0
                connection.send(data)
            elif connection.unsent:
                connection.flush()
        except NetError:
            self._close()

    def close(self) -> None:
        """Hang up."""
        self.flush()
        self._close()

    # ------------------------------------------------------------------------------------------------ sending

    def has_room(self, size: int) -> bool:
        """See `RelayPort`."""
        connection = self._connection
        return connection is not None and connection.unsent + self._out_bytes + size + _HEAD.size <= OUT_BYTES

    def config(self, message: bytes) -> bool:
        """See `RelayPort`."""
        return self._put(CONFIG, message)

    def sealed(self, name: bytes, message: bytes) -> bool:
        """See `RelayPort`."""
        return self._put(SAMPLE, _NAME.pack(len(name)), name, message)

    def state(self, changed: Any) -> None:
        """Send STATE."""
        self._put(STATE, msgspec.json.encode(changed))

    def edge(self, camera: str, stream: str, end_90k: int) -> None:
        """A fragment is on disk up to here."""
        self._put(EDGE, msgspec.json.encode({"camera": camera, "stream": stream, "end_90k": end_90k}))

    def tested(self, answer: dict[str, Any]) -> None:
        """Answer a TEST. From any thread; goes out with the next sweep."""
        self._tested.append(msgspec.json.encode(answer))

    def _put(self, kind: int, *parts: bytes) -> bool:
        size = sum(map(len, parts))
        if not self.has_room(size):
            return False
        self._out.append(_HEAD.pack(size + 1, kind))
        self._out.extend(parts)
        self._out_bytes += size + _HEAD.size
        return True

    # ------------------------------------------------------------------------------------------------ inside

    def _open(self) -> None:
        self._again_s = self._clock.monotonic_s() + AGAIN_S
        try:
            self._connection = self._connect(self._path, out_limit=2 * OUT_BYTES)
        except NetError:
            return
        self.is_connected = True
        self._in.clear()
        self._put(HELLO, msgspec.json.encode(self._asked.hello()))
        self.state(self._asked.state())

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._out, self._out_bytes = [], 0
        if self.is_connected:
            self.is_connected = False
            self._asked.unwatch_all()
        self._again_s = self._clock.monotonic_s() + AGAIN_S

    def _read(self, connection: Connection) -> None:
        while True:
            got = connection.recv_into(self._buffer)
            if got is None:
                return
            if got == 0:
                raise NetError("the web process hung up")
            self._in += memoryview(self._buffer)[:got]
            for kind, payload in self._frames():
                self._act(kind, payload)
            if got < len(self._buffer):
                return

    def _frames(self) -> Sequence[tuple[int, bytes]]:
        found = []
        at, data = 0, self._in
        while len(data) - at >= _HEAD.size:
            size, kind = _HEAD.unpack_from(data, at)
            if not 1 <= size <= FRAME_BYTES_MAX:
                raise ValueError("no frame of this protocol")
            if len(data) - at < 4 + size:
                break
            found.append((kind, bytes(data[at + _HEAD.size : at + 4 + size])))
            at += 4 + size
        del data[:at]
        return found

    def _act(self, kind: int, payload: bytes) -> None:
        if kind == WATCH:
            wanted = msgspec.json.decode(payload, type=Watched)
            self._asked.watch(wanted.camera, wanted.stream)
        elif kind == UNWATCH:
            wanted = msgspec.json.decode(payload, type=Watched)
            self._asked.unwatch(wanted.camera, wanted.stream)
        elif kind == RELOAD:
            self._asked.reload()
        elif kind == TEST:
            self._asked.test(msgspec.json.decode(payload, type=AskedTest))
