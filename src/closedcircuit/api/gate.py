# SPDX-License-Identifier: Apache-2.0
"""What every request passes before a route sees it, and every answer before it leaves.

Deny by default: whatever is below `/api` needs a session, unless it is listed in `OPEN`; a new route cannot forget.
In this order: is the host asked one of ours (DNS rebinding), does the request come from our own page (CSRF), is the
body small enough, is somebody signed in. docs/design/http.md has the headers.
"""

from __future__ import annotations

import asyncio
import ipaddress
from http.cookies import CookieError, SimpleCookie
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closedcircuit.api.parts import Parts
from closedcircuit.api.problems import crashed, log, of_error, problem
from closedcircuit.base import CircuitError

COOKIE = "cc_session"

OPEN = frozenset(
    {
        ("GET", "/api/session"),
        ("POST", "/api/setup/passkey"),
        ("POST", "/api/setup"),
        ("GET", "/api/login"),
        ("POST", "/api/login"),
    }
)
"""What a stranger may call."""

BODY_BYTES_MAX = 256 << 10
"""No request needs more: the largest is setup, with two recipients of 2 kB and a blob."""

BODY_WITHIN_S = 30.0
"""A body that is not there by then is not waited for (408)."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
}


class BodyError(Exception):
    """A body outgrew its bound, or came too slowly; the gate alone raises and catches it."""


class Gate:
    """An ASGI application around another. Keeps nothing between requests."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        refusal = await self._refuse(scope)
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send, refusal)
            return
        guarded = _Guarded(receive, send)
        answer = refusal
        if answer is None:
            try:
                await self._app(scope, guarded.receive, guarded.send)
            except BodyError:
                pass  # told below
            except Exception:  # noqa: BLE001 - the edge: a bug of one request must not end the connection's answer
                log.exception("request_crashed", path=scope["path"])
                answer = crashed()
        answer = guarded.refusal or answer
        if answer is not None and not guarded.started:
            guarded.refusal = None
            await answer(scope, receive, guarded.send)

    async def _refuse(self, scope: Scope) -> Response | None:
        """Return why this request is not let in; None lets it in, with its session in `scope["state"]`."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_our_host(host, scope):
            return problem(
                421,
                "request.host",
                f"This server is not known as {host[:100]!r}.",
                "Open it as localhost, or list the name in config.toml under web.names.",
            )
        method = scope.get("method", "GET")
        if (scope["type"] == "websocket" or method not in SAFE) and not _same_origin(headers.get("origin", ""), host):
            return problem(
                403,
                "access.origin",
                "This request does not come from this server's own page.",
                "Send the header Origin with the address of this server, as its own page does.",
            )
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return problem(400, "request.invalid", "Content-Length is not a number.", "Leave it to your HTTP library.")
        if len(length) > 12 or int(length) > BODY_BYTES_MAX:
            return _too_large()
        scope.setdefault("state", {})["session"] = None
        if not scope["path"].startswith("/api/"):
            return None
        return await self._check_session(scope, headers, method)

    async def _check_session(self, scope: Scope, headers: Headers, method: str) -> Response | None:
        token = session_token(headers)
        is_open = scope["type"] == "http" and (method, scope["path"]) in OPEN
        try:
            session = await self._parts.desk.run(self._parts.sessions.find, token) if token else None
        except CircuitError as error:
            return of_error(error)
        scope["state"]["session"] = session
        if session is None and not is_open:
            return problem(401, "access.denied", "You are not signed in.", "Sign in and try again.")
        return None

    def _is_our_host(self, host: str, scope: Scope) -> bool:
        name = host_name(host)
        if name in LOCAL_NAMES or name in self._parts.hosts:
            return True
        # An address, and the very one that the connection came in at: no name was looked up, so none was rebound.
        server = scope.get("server") or ("",)
        try:
            return ipaddress.ip_address(name) == ipaddress.ip_address(str(server[0]))
        except ValueError:
            return False

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, refusal: Response | None) -> None:
        if refusal is None:
            await self._app(scope, receive, send)
            return
        await receive()  # websocket.connect
        await send({"type": "websocket.http.response.start", "status": refusal.status_code, "headers": _raw(refusal)})
        await send({"type": "websocket.http.response.body", "body": bytes(refusal.body)})


class _Guarded:
    """One request's two channels: bounds what comes in, dresses what goes out."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._taken = 0
        self._more = True
        self._deadline_s = asyncio.get_running_loop().time() + BODY_WITHIN_S
        self.started = False
        self.refusal: Response | None = None  # then nothing of the route's answer goes out: it may swallow the error

    async def receive(self) -> Message:
        if not self._more:
            return await self._receive()  # waiting for the browser to leave: as long as it likes
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            raise self._refuse(
                problem(408, "request.slow", f"The body did not come within {BODY_WITHIN_S:.0f} s.", "Send it again.")
            ) from None
        self._taken += len(message.get("body", b""))
        self._more = bool(message.get("more_body", False))
        if self._taken > BODY_BYTES_MAX:
            raise self._refuse(_too_large())
        return message

    async def send(self, message: Message) -> None:
        if self.refusal is not None and not self.started:
            return
        if message["type"] == "http.response.start":
            self.started = True
            dress(MutableHeaders(raw=message["headers"]))
        await self._send(message)

    def _refuse(self, answer: Response) -> BodyError:
        self.refusal = answer
        return BodyError(answer.status_code)


def dress(headers: MutableHeaders) -> None:
    """Add the headers that every answer carries."""
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")


def host_name(host: str) -> str:
    """Return the name of a Host header: lower-case, without port, brackets and final dot."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].rstrip(".")


def session_token(headers: Headers) -> str:
    """Return the session's token out of the cookies; empty without."""
    try:
        cookie: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookie[COOKIE].value if COOKIE in cookie else ""


def _same_origin(origin: str, host: str) -> bool:
    scheme, _, rest = origin.partition("://")
    return scheme in {"http", "https"} and bool(rest) and rest.lower() == host.strip().lower()


def _too_large() -> Response:
    return problem(413, "request.too-large", f"A body may have {BODY_BYTES_MAX} bytes.", "Send less.")


def _raw(response: Response) -> list[tuple[bytes, bytes]]:
    headers = MutableHeaders(raw=list(response.raw_headers))
    dress(headers)
    raw: list[tuple[bytes, bytes]] = [(bytes(k), bytes(v)) for k, v in headers.raw]
    return raw


def cookie(token: str, *, secure: bool, forget: bool = False) -> dict[str, Any]:
    """Return the arguments for `Response.set_cookie` that sign a browser in, or out."""
    return {
        "key": COOKIE,
        "value": token,
        "max_age": 0 if forget else 30 * 86_400,
        "path": "/",
        "httponly": True,
        "samesite": "strict",
        "secure": secure,
    }
