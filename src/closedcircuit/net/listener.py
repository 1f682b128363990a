# SPDX-License-Identifier: Apache-2.0
"""Non-blocking listeners: TCP on loopback unless told otherwise, and Unix sockets of mode 0600."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from closedcircuit.base.errors import NetError
from closedcircuit.net.connection import OUT_LIMIT, Connection
from closedcircuit.net.tls import TlsIdentity, server_wrap


class Listener:
    """Accepts connections when asked to. Owned by one thread."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        path: Path | None = None,
        tls: TlsIdentity | None = None,
        out_limit: int = OUT_LIMIT,
    ) -> None:
        self.socket = sock  # for an event loop that wants the socket itself; it then accepts, not we
        self._path, self._out_limit = path, out_limit
        self._wrap = None if tls is None else server_wrap(tls)

    def accept(self) -> Connection | None:
        """Return the next connection (with TLS: still in its handshake, call `progress()`), or None: nobody waits."""
        try:
            sock, address = self.socket.accept()
        except BlockingIOError:
            return None
        except OSError as error:
            # The peer left before we looked, or descriptors ran out: neither ends the listener.
            if error.errno in (errno.ECONNABORTED, errno.EMFILE, errno.ENFILE):
                return None
            raise NetError(f"{self._path or 'listener'}: {error.strerror}") from error
        peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(self._path)
        if self._path is None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made = Connection.of_socket(sock, peer, out_limit=self._out_limit)
        if self._wrap is not None:
            made.secure(self._wrap)
        return made

    @property
    def host(self) -> str:
        """The address listened on; the path of a Unix socket."""
        name = self.socket.getsockname()
        return str(name[0]) if isinstance(name, tuple) else str(name)

    @property
    def port(self) -> int:
        """The TCP port listened on; 0 for a Unix socket."""
        name = self.socket.getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self.socket.fileno()

    def close(self) -> None:
        """Stop listening; a Unix socket's name is removed."""
        self.socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def listen_tcp(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    tls: TlsIdentity | None = None,
    backlog: int = 512,
    out_limit: int = OUT_LIMIT,
) -> Listener:
    """Listen; port 0 takes any free one (`.port` says which). Raises NetError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise NetError(f"{host}:{port}: cannot listen ({error.strerror})", remedy="Choose another port.") from error
    sock.setblocking(False)
    return Listener(sock, tls=tls, out_limit=out_limit)


def unix_listen(path: Path, *, backlog: int = 16, out_limit: int = OUT_LIMIT) -> Listener:
    """Listen on a Unix socket of mode 0600.

    A socket left by a crash is replaced. Raises NetError where somebody answers there, or the path cannot be had.
    """
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        if _answers(path):
            raise NetError(f"{path}: somebody listens there already", remedy="Is Closed Circuit running twice?")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The mode is set before anybody can connect: connect(2) needs listen(2), which comes after.
        sock.bind(str(path))
        os.chmod(path, 0o600)  # noqa: PTH101 - beside bind, which takes the same string
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise NetError(f"{path}: cannot listen ({error.strerror or error})") from error
    sock.setblocking(False)
    return Listener(sock, path=path, out_limit=out_limit)


def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.setblocking(False)
    try:
        return probe.connect_ex(str(path)) in (0, errno.EAGAIN, errno.EINPROGRESS)
    finally:
        probe.close()
