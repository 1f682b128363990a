# SPDX-License-Identifier: Apache-2.0
"""Starting connections, and where the Unix socket between recorder and web lies."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import tempfile
from pathlib import Path

from closedcircuit.base.clock import Clock, SystemClock
from closedcircuit.base.errors import NetError
from closedcircuit.net.connection import OUT_LIMIT, Connection
from closedcircuit.net.names import RESOLVER
from closedcircuit.net.tls import TlsPolicy, client_check, client_wrap

UNIX_PATH_MAX = 100
"""Bytes of a Unix socket's path that work everywhere (108 on Linux and 104 on macOS, with the final zero)."""


def dial(
    host: str,
    port: int,
    *,
    tls: TlsPolicy | None = None,
    clock: Clock | None = None,
    timeout_s: float = 5.0,
    out_limit: int = OUT_LIMIT,
) -> Connection:
    """Begin to connect; drive it with `progress()`. `timeout_s` covers name, TCP and TLS together.

    All addresses of a name are tried in turn. Raises NetError at once only where too many names wait, ConfigError for
    an unusable TLS policy.
    """
    made = Connection.opening(
        f"{host}:{port}",
        RESOLVER.ask(host, port),
        clock=clock or SystemClock(),
        timeout_s=timeout_s,
        out_limit=out_limit,
    )
    if tls is not None:
        made.secure(client_wrap(tls, host), client_check(tls, host))
    return made


def unix_connect(path: Path, *, out_limit: int = OUT_LIMIT) -> Connection:
    """Connect to a Unix socket: at once, or NetError (nobody there, or its backlog is full: try again later)."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.connect(str(path))
    except OSError as error:
        sock.close()
        raise NetError(f"{path}: nobody there ({error.strerror or error})") from error
    return Connection.of_socket(sock, str(path), out_limit=out_limit)


def live_socket_path(data_dir: Path) -> Path:
    """Where recorder and web meet (`docs/design/processes.md`). Makes the folder, mode 0700.

    `DIR/run/live.sock`; where that is too long for a socket, a folder of the user's own below the temporary one, named
    by a hash of DIR. Raises NetError if that folder is somebody else's.
    """
    plain = data_dir.absolute() / "run" / "live.sock"
    if len(os.fsencode(plain)) <= UNIX_PATH_MAX:
        plain.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return plain
    digest = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"closedcircuit-{os.getuid()}-{digest}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise NetError(f"{folder}: not ours alone", remedy="Remove it, or use a data folder with a shorter path.")
    return folder / "live.sock"
