# SPDX-License-Identifier: Apache-2.0
"""Errors as RFC 9457 problems: the one place where our error tree meets HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from closedcircuit.base import CircuitError, Kind
from closedcircuit.base.errors import TooManyTries

log = structlog.get_logger("api")

RETRY_AFTER_S = 2
"""What a browser is told to wait when something may work later."""

_REMEDIES = {
    404: "Check the address; docs/reference/api.md lists what there is.",
    405: "Use a method that docs/reference/api.md lists for this address.",
}


_BY_KIND = {
    Kind.RETRY: "Try again in a moment.",
    Kind.REFUSE: "Load the page again: it may have been changed or removed meanwhile.",
    Kind.BROKEN: "The System page and the log of the processes say more.",
    Kind.BUG: "The log of the web process says more.",
}
"""For errors that come without a remedy of their own."""


def problem(
    status: int, code: str, detail: str, remedy: str = "", *, headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """Return an answer of type `application/problem+json`; `more` are further members of it."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "remedy": remedy,
        **more,
    }
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def of_error(error: CircuitError, **more: Any) -> Response:
    """Return the problem that one of our errors is."""
    headers: dict[str, str] = {}
    if isinstance(error, TooManyTries):
        headers["retry-after"] = str(error.retry_after_s)
    elif error.http_status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_S)
    if error.kind in {Kind.BROKEN, Kind.BUG}:
        log.error("request_failed", code=error.code, why=str(error))
    remedy = error.remedy or _BY_KIND[error.kind]
    return problem(error.http_status, error.code, str(error), remedy, headers=headers, **more)


def crashed() -> Response:
    """Return the problem that a bug of ours is; what it was is in the log and nowhere else."""
    return problem(500, "bug", "Something went wrong here.", "The log of the web process says what.")


def add_handlers(app: FastAPI) -> None:
    """Answer every error of a route with a problem."""

    async def ours(_request: Request, error: Exception) -> Response:
        if not isinstance(error, CircuitError):  # pragma: no cover - registered for that class only
            raise error
        return of_error(error)

    async def invalid(_request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):  # pragma: no cover - registered for that class only
            raise error
        return _invalid(error)

    async def http(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):  # pragma: no cover - registered for that class only
            raise error
        code = "not-found" if error.status_code == HTTPStatus.NOT_FOUND else "request.refused"
        detail = f"{HTTPStatus(error.status_code).phrase}."
        remedy = _REMEDIES.get(error.status_code, "docs/reference/api.md says what is expected.")
        return problem(error.status_code, code, detail, remedy, headers=dict(error.headers or {}))

    async def bug(_request: Request, _error: Exception) -> Response:
        return crashed()  # starlette raises the error again, and the gate logs it

    app.add_exception_handler(Exception, bug)
    app.add_exception_handler(CircuitError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _invalid(error: RequestValidationError) -> Response:
    """Name the first thing that is wrong with a request, without repeating what was sent: it may hold a password."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in {"body", "query", "path"})
    what = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if first["type"] == "json_invalid":
        return problem(400, "request.json", "The body is not JSON.", "Send JSON with content-type application/json.")
    detail = f"{where}: {what}." if where else f"{what}."
    return problem(422, "request.invalid", detail, "Correct it; docs/reference/api.md lists every field.")
