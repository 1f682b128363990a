# SPDX-License-Identifier: Apache-2.0
"""Addresses as people type them, credentials and all."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

import msgspec

from closedcircuit.base.errors import ConfigError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)\Z", re.DOTALL)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s/?#@:\[\]]+)(:[0-9]*)?\Z")

PORTS = {"rtsp": 554, "rtsps": 322}


class Place(msgspec.Struct, frozen=True):
    """Where to dial for an rtsp or rtsps address."""

    scheme: str
    host: str
    port: int
    url: str  # to be sent to the server: without credentials


def split_address(address: str) -> tuple[str, str, str]:
    """Take the credentials out: (address without them, user name, password).

    Passwords with `@`, `/`, `?` or `#` in them are understood although the standard (RFC 3986, 3.2.1) wants them
    escaped. What is no URL (a file, a device) is given back as it is.
    """
    address = address.strip()
    found = _URL.match(address)
    if found is None:
        return address, "", ""
    scheme, rest = found[1].lower(), found[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        authority = rest[: rest.rindex("@", 0, len(authority)) + 1]
        if (slash := _credentials_end(rest)) > len(authority):
            authority = rest[:slash]
    elif not _HOST.match(authority) and "@" in rest:
        authority = rest[: _credentials_end(rest)]
    else:
        return f"{scheme}://{rest}", "", ""
    username, _, password = authority[:-1].partition(":")
    return f"{scheme}://{rest[len(authority) :]}", unquote(username), unquote(password)


def _credentials_end(rest: str) -> int:
    """Just past the last `@` that is followed by something like a host, and not part of a path."""
    end = 0
    for at in (index + 1 for index, char in enumerate(rest) if char == "@"):
        host = re.split(r"[/?#]", rest[at:], maxsplit=1)[0]
        before = rest[: at - 1]
        if _HOST.match(host) and (end == 0 or not re.search(r"[/?#]", before[end:])):
            end = at
    return end


def join_address(address: str, username: str, password: str) -> str:
    """Put credentials back in, escaped, for programs that want them there."""
    found = _URL.match(address)
    if found is None or not username:
        return address
    secret = f":{quote(password, safe='')}" if password else ""
    return f"{found[1]}://{quote(username, safe='')}{secret}@{found[2]}"


def parse_place(address: str) -> Place:
    """Host and port of an rtsp or rtsps address without credentials. Raises ConfigError."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"{address}: {error}", remedy="Write it like rtsp://192.168.1.20:554/stream1.") from error
    if parts.scheme not in PORTS or not host:
        raise ConfigError(f"{address}: no host in it", remedy="Write it like rtsp://192.168.1.20:554/stream1.")
    return Place(parts.scheme, host, port or PORTS[parts.scheme], address)
