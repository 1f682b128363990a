# SPDX-License-Identifier: Apache-2.0
"""The only door to sockets.

Everything is non-blocking and driven by its owner's thread; `Connection.fileno()` and `Listener.fileno()` suit
`selectors`.
"""

from closedcircuit.net.connection import OUT_LIMIT, Connection
from closedcircuit.net.dialling import dial, live_socket_path, unix_connect
from closedcircuit.net.listener import Listener, listen_tcp, unix_listen
from closedcircuit.net.tls import TlsIdentity, TlsPolicy

__all__ = [
    "OUT_LIMIT",
    "Connection",
    "Listener",
    "TlsIdentity",
    "TlsPolicy",
    "dial",
    "listen_tcp",
    "live_socket_path",
    "unix_connect",
    "unix_listen",
]
