# SPDX-License-Identifier: Apache-2.0
"""Encoding answers, and describing them."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from closedcircuit.api.shapes import Problem, Shape

Answers = dict[int | str, dict[str, Any]]


def json(value: object, status: int = 200) -> Response:
    """Return `value` as JSON; bytes become standard base64."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def said(shape: type[Shape], status: int = 200) -> Answers:
    """Describe a route's answer for OpenAPI: this shape, or a problem."""
    return {status: {"model": shape}, "4XX": {"model": Problem}}


def nothing() -> Answers:
    """Describe an answer without a body."""
    return {204: {"description": "Done"}, "4XX": {"model": Problem}}


def raw(media_type: str, what: str) -> Answers:
    """Describe an answer of bytes."""
    return {200: {"description": what, "content": {media_type: {}}}, "4XX": {"model": Problem}}
