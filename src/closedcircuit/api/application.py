# SPDX-License-Identifier: Apache-2.0
"""The web application: routes inside the gate. FastAPI's telemetry, documentation pages and redirects are off."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedcircuit.api.gate import Gate
from closedcircuit.api.parts import Parts
from closedcircuit.api.problems import add_handlers
from closedcircuit.api.routes import cameras, footage, live, owner, storage, system
from closedcircuit.api.static_pages import StaticPages

NO_TELEMETRY = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
"""FastAPI carries OpenTelemetry since 0.142, on by default. A surveillance system does not measure its people."""

ROUTERS = tuple(room.router for room in (owner, cameras, footage, live, storage, system))


def build_routes() -> FastAPI:
    """Return the routes without a site behind them: enough to describe the API."""
    app = FastAPI(
        title="Closed Circuit",
        version=version("closedcircuit"),
        description="docs/design/http.md says why it is so.",
        telemetry=NO_TELEMETRY,  # type: ignore[arg-type]  # a TypedDict; its type is not exported
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in ROUTERS:
        app.include_router(router)
    add_handlers(app)
    return app


def create_app(parts: Parts, pages: StaticPages | None = None) -> Gate:
    """Return the ASGI application of a site."""
    app = build_routes()
    app.state.parts = parts
    static = pages or StaticPages()

    async def page(request: Request) -> Response:
        if request.url.path.startswith("/api/"):
            raise HTTPException(404)
        accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")
        return await parts.desk.run(static.answer, request.url.path, accepts_gzip=accepts_gzip)

    # Whatever is below /api is the API's, and its 404 is a problem; everything else is a file of the UI.
    app.router.routes.append(Route("/{path:path}", page, methods=["GET"], include_in_schema=False))
    return Gate(app, parts)


def openapi() -> dict[str, Any]:
    """Return the API's description (OpenAPI 3.1)."""
    return build_routes().openapi()
