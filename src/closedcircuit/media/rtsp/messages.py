# SPDX-License-Identifier: Apache-2.0
"""RTSP 1.0 messages (RFC 2326): built, and parsed out of bytes that may be hostile.

Bounds: a head of 16 KiB and 128 lines, a body of 512 KiB. More is no camera.
"""

from __future__ import annotations

import msgspec

from closedcircuit.base.errors import MediaError

HEAD_MAX = 16 << 10
BODY_MAX = 512 << 10
LINES_MAX = 128


class Message(msgspec.Struct, frozen=True):
    """A response (`status` > 0) or a request of the server (`method`). Header names are lower case."""

    status: int
    reason: str
    method: str
    url: str
    headers: dict[str, list[str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first value of a header, or an empty text."""
        values = self.headers.get(name)
        return values[0] if values else ""


def parse_message(data: bytes, start: int = 0) -> tuple[Message, int] | None:
    """Read one message that begins at `start`; give it and where the next begins, or None: not all of it is here.

    Raises MediaError for what is no RTSP message, or too large for one.
    """
    end = data.find(b"\r\n\r\n", start, start + HEAD_MAX + 4)
    gap = 4
    bare = data.find(b"\n\n", start, start + HEAD_MAX + 2)  # some cameras end lines with LF alone
    if bare >= 0 and (end < 0 or bare < end):
        end, gap = bare, 2
    if end < 0:
        if len(data) - start > HEAD_MAX:
            raise MediaError("an RTSP message without an end")
        if not _may_begin(data[start : start + 16]):
            raise MediaError("what came is no RTSP")
        return None
    lines = data[start:end].decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    if len(lines) > LINES_MAX:
        raise MediaError("an RTSP message with too many lines")
    status, reason, method, url = _first_line(lines[0])
    headers = _headers(lines[1:])
    length = headers.get("content-length", ["0"])[0].strip()
    if not (length.isascii() and length.isdigit() and len(length) < 10) or int(length) > BODY_MAX:
        raise MediaError(f"an RTSP message with a body of {length[:20]} bytes")
    body_at = end + gap
    if len(data) < body_at + int(length):
        return None
    body = bytes(data[body_at : body_at + int(length)])
    return Message(status, reason, method, url, headers, body), body_at + int(length)


def _may_begin(head: bytes) -> bool:
    """Whether these first bytes can become a status line or a request line."""
    return all(32 <= byte < 127 or byte in (9, 10, 13) for byte in head)


def _first_line(line: str) -> tuple[int, str, str, str]:
    first, _, rest = line.strip().partition(" ")
    if first.startswith("RTSP/"):
        code, _, reason = rest.strip().partition(" ")
        if len(code) == 3 and code.isascii() and code.isdigit() and code[0] in "12345":
            return int(code), reason.strip()[:200], "", ""
    elif first and first.replace("_", "").isalpha() and first.isupper():
        url, _, version = rest.partition(" ")
        if version.strip().startswith("RTSP/"):
            return 0, "", first, url
    raise MediaError(f"what came is no RTSP: {line[:40]!r}")


def _headers(lines: list[str]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    last = ""
    for line in lines:
        if line[:1] in (" ", "\t") and last:  # folded (RFC 2326, 4.2)
            headers[last][-1] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if colon:
            last = name.strip().lower()
            headers.setdefault(last, []).append(value.strip())
    return headers


def build_request(method: str, url: str, number: int, headers: dict[str, str]) -> bytes:
    """Write a request without a body. Values never hold line breaks: they are removed, so that none can be injected."""
    lines = [f"{method} {url} RTSP/1.0", f"CSeq: {number}", "User-Agent: Closed Circuit"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(line.replace("\r", "").replace("\n", "") for line in lines) + "\r\n\r\n").encode()


def build_response(status: int, reason: str, number: str, headers: dict[str, str] | None = None) -> bytes:
    """Write an answer to a request of the server."""
    lines = [f"RTSP/1.0 {status} {reason}", f"CSeq: {number}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(line.replace("\r", "").replace("\n", "") for line in lines) + "\r\n\r\n").encode()


def parameters(text: str, separator: str = ";") -> dict[str, str]:
    """`a=1;b="x;y";c` as a dict with lower-case keys and without quotes: Transport, Session, fmtp, challenges."""
    found: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        stop, quoted = at, False
        while stop < end and (quoted or text[stop] != separator):
            if text[stop] == '"':
                quoted = not quoted
            stop += 1
        name, _, value = text[at:stop].partition("=")
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if name.strip():
            found.setdefault(name.strip().lower(), value)
        at = stop + 1
    return found
