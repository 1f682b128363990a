# SPDX-License-Identifier: Apache-2.0
"""One non-blocking byte stream: TCP, TLS over TCP, or a Unix socket.

Nothing here blocks. A `Connection` is driven by whoever owns it, from one thread: `progress()` until it is open, then
`recv_into` and `send` as often as the owner's sweep or selector likes. Memory a connection: the out-buffer, at most
`out_limit` bytes; there is no in-buffer, the caller brings one and may share it among all its connections.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol

from closedcircuit.base.clock import Clock
from closedcircuit.base.errors import CertificateRefused, NetError

OUT_LIMIT = 256 << 10
"""Unsent bytes that a connection keeps unless told otherwise."""

_CONNECTING = frozenset({errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK})

Buffer = bytes | bytearray | memoryview


class Lookup(Protocol):
    """A name being resolved in another thread."""

    def poll(self) -> list[tuple[int, tuple[object, ...]]] | None:
        """(family, sockaddr) in the order to try; None while unknown. Raises NetError when the name has no address."""

    def cancel(self) -> None:
        """The answer is not wanted any more."""


class Connection:
    """A stream that may still be opening. Owned by one thread; every method returns at once."""

    __slots__ = (
        "_addresses",
        "_attempt_until_s",
        "_check",
        "_clock",
        "_deadline_s",
        "_last_error",
        "_lookup",
        "_out",
        "_out_bytes",
        "_sock",
        "_tls",
        "_wrap",
        "is_open",
        "out_limit",
        "peer",
    )

    def __init__(self, peer: str, clock: Clock | None, deadline_s: float, out_limit: int) -> None:
        self.peer = peer  # for messages: "host:port" or a path
        self.is_open = False  # connected, and TLS agreed where there is any
        self.out_limit = out_limit
        self._clock, self._deadline_s = clock, deadline_s
        self._sock: socket.socket | None = None
        self._tls: ssl.SSLSocket | None = None
        self._wrap: Callable[[socket.socket], ssl.SSLSocket] | None = None
        self._check: Callable[[ssl.SSLSocket], None] | None = None
        self._lookup: Lookup | None = None
        self._addresses: deque[tuple[int, tuple[object, ...]]] = deque()
        self._attempt_until_s = 0.0
        self._last_error = ""
        self._out: deque[bytes] = deque()
        self._out_bytes = 0

    # ------------------------------------------------------------------------------------------------ opening

    @classmethod
    def opening(cls, peer: str, lookup: Lookup, *, clock: Clock, timeout_s: float, out_limit: int) -> Connection:
        """A connection that first waits for `lookup`; call `progress()` until it says True."""
        made = cls(peer, clock, clock.monotonic_s() + timeout_s, out_limit)
        made._lookup = lookup
        return made

    @classmethod
    def of_socket(cls, sock: socket.socket, peer: str, *, out_limit: int = OUT_LIMIT) -> Connection:
        """Take a connected socket (an accepted one, or one of a pair)."""
        made = cls(peer, None, 0.0, out_limit)
        sock.setblocking(False)
        made._sock, made.is_open = sock, True
        return made

    def secure(
        self, wrap: Callable[[socket.socket], ssl.SSLSocket], check: Callable[[ssl.SSLSocket], None] | None = None
    ) -> None:
        """Speak TLS: `wrap` the connected socket without a handshake; `check` the peer before any byte of ours."""
        self._wrap, self._check = wrap, check
        if self._sock is not None:
            self.is_open = False
            self._tls = self._sock = wrap(self._sock)

    def progress(self) -> bool:
        """Go on opening. True once usable; then it costs an attribute look-up.

        Raises NetError when it failed for good or its deadline passed; CertificateRefused when the peer is another
        than the policy allows. The connection is closed then.
        """
        if self.is_open:
            return True
        try:
            return self._progress()
        except NetError:
            self.close()
            raise

    def _progress(self) -> bool:
        now_s = self._clock.monotonic_s() if self._clock is not None else 0.0
        if self._clock is not None and now_s > self._deadline_s:
            doing = "looking up its name" if self._lookup else "the TLS handshake" if self._tls else "connecting"
            raise NetError(
                f"{self.peer}: no answer in time while {doing}",
                remedy="Is the device on, are address and port right, and is there no firewall between?",
            )
        if self._lookup is not None:
            found = self._lookup.poll()
            if found is None:
                return False
            self._lookup = None
            self._addresses.extend(found)
        if self._sock is None:
            self._next_address(now_s)
        if self._tls is None:
            if not self._connected(now_s):
                return False
            if self._wrap is None:
                self.is_open = True
                return True
            assert self._sock is not None  # noqa: S101 - for the type checker: it is connected
            self._tls = self._sock = self._wrap(self._sock)
        return self._handshake(self._tls)

    def _next_address(self, now_s: float) -> None:
        """Begin with the next address that does not refuse at once; raise the last refusal when none is left."""
        while self._addresses:
            family, address = self._addresses.popleft()
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address)
            if code == 0 or code in _CONNECTING:
                self._sock = sock
                self._attempt_until_s = now_s + max(1.0, (self._deadline_s - now_s) / (len(self._addresses) + 1))
                return
            sock.close()
            self._last_error = _words(code)
        raise NetError(f"{self.peer}: {self._last_error or 'no address'}", remedy=_remedy(self._last_error))

    def _connected(self, now_s: float) -> bool:
        """Say whether the TCP connection stands; begin with the next address where this one failed."""
        assert self._sock is not None  # noqa: S101 - for the type checker: the caller has just looked
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            try:
                self._sock.getpeername()
            except OSError:
                pass  # ENOTCONN: still on its way
            else:
                return True
        if code or (now_s > self._attempt_until_s and self._addresses):
            self._last_error = _words(code) if code else "no answer"
            self._sock.close()
            self._sock = None
            self._next_address(now_s)
        return False

    def _handshake(self, tls: ssl.SSLSocket) -> bool:
        try:
            tls.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(
                f"{self.peer}: its certificate is not trusted ({error.verify_message})",
                remedy="Pin the certificate's SHA-256 if you know that it is the device's own, or name its CA.",
            ) from error
        except OSError as error:
            raise NetError(
                f"{self.peer}: no TLS there ({error.strerror or error.args[0]})",
                remedy="If the device does not speak TLS on this port, use rtsp:// instead of rtsps://.",
            ) from error
        if self._check is not None:
            self._check(tls)
        self.is_open = True
        return True

    # ------------------------------------------------------------------------------------------------ using

    def recv_into(self, buffer: bytearray | memoryview) -> int | None:
        """Read what is there into `buffer`. None: nothing now. 0: the peer closed. Raises NetError when it broke."""
        if self._sock is None:
            return 0
        try:
            return self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLError as error:
            if isinstance(error, ssl.SSLZeroReturnError | ssl.SSLEOFError):
                return 0
            raise NetError(f"{self.peer}: {error.reason or 'TLS failed'}") from error
        except OSError as error:
            raise NetError(f"{self.peer}: {_words(error.errno or 0)}") from error

    def send(self, data: Buffer) -> bool:
        """Take all of `data`, to be sent in order, or nothing of it.

        False: the out-buffer has no room for it (overflow rule: refuse the new, keep the old). May be called before
        the connection is open. Raises NetError when it broke. What could not be sent at once is copied; `flush` later.
        """
        if self._out or not self.is_open:
            if self._out_bytes + len(data) > self.out_limit:
                return False
            self._out.append(bytes(data))
            self._out_bytes += len(data)
            if self.is_open:
                self.flush()
            return True
        sent = self._send_some(data)
        if sent < len(data):
            rest = bytes(memoryview(data)[sent:])
            # A message that was begun has to be finished, so this one may pass the limit once.
            if not sent and len(rest) > self.out_limit:
                return False
            self._out.append(rest)
            self._out_bytes += len(rest)
        return True

    def flush(self) -> bool:
        """Send what waits. True when nothing is left. Raises NetError when the connection broke."""
        if not self.is_open:
            return not self._out
        while self._out:
            head = self._out[0]
            sent = self._send_some(head)
            self._out_bytes -= sent
            if sent < len(head):
                if sent:
                    self._out[0] = head[sent:]
                return False
            self._out.popleft()
        return True

    def _send_some(self, data: Buffer) -> int:
        if self._sock is None:
            raise NetError(f"{self.peer}: closed")
        try:
            return self._sock.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise NetError(f"{self.peer}: {_words(error.errno or 0)}") from error

    @property
    def unsent(self) -> int:
        """Bytes in the out-buffer."""
        return self._out_bytes

    @property
    def is_tls(self) -> bool:
        """Whether bytes come a TLS record at a time: a short read does not mean that nothing more waits."""
        return self._tls is not None

    def fileno(self) -> int:
        """The descriptor, for a selector; -1 while there is none."""
        return -1 if self._sock is None else self._sock.fileno()

    def local_address(self) -> str:
        """Our own address on this connection, as the peer sees it; empty when unknown."""
        if self._sock is None:
            return ""
        name = self._sock.getsockname()
        return str(name[0]) if isinstance(name, tuple) else str(name)

    def close(self) -> None:
        """Close at once; what is unsent is dropped. Calling it again does nothing."""
        self.is_open = False
        if self._lookup is not None:
            self._lookup.cancel()
            self._lookup = None
        if self._sock is not None:
            self._sock.close()
        self._sock = self._tls = None
        self._wrap = self._check = None
        self._addresses.clear()
        self._out.clear()
        self._out_bytes = 0


def _words(code: int) -> str:
    return _PLAIN.get(code) or os.strerror(code)


def _remedy(words: str) -> str:
    return _REMEDIES.get(words, "Check the address, the cable and the network.")


_PLAIN = {
    errno.ECONNREFUSED: "nothing listens there",
    errno.EHOSTUNREACH: "there is no way to that host",
    errno.ENETUNREACH: "there is no way to that network",
    errno.ETIMEDOUT: "no answer",
    errno.ECONNRESET: "it broke the connection off",
    errno.EPIPE: "it broke the connection off",
    errno.ENOENT: "there is no such socket",
}
_REMEDIES = {
    "nothing listens there": "Check the port: cameras mostly use 554 for RTSP. Is RTSP switched on in the device?",
    "no answer": "Is the device on, and is this its address? A firewall may be between.",
}
