# SPDX-License-Identifier: Apache-2.0
"""How the processes are, and numbers for Prometheus."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from closedcircuit.api import shapes
from closedcircuit.api.answers import json, raw, said
from closedcircuit.api.metrics import metrics_text
from closedcircuit.api.parts import Parts, PartsOf
from closedcircuit.app import ROLES

router = APIRouter(prefix="/api", tags=["system"])


@router.get("/system", responses=said(shapes.System))
async def system(parts: PartsOf) -> Response:
    """Say which processes run, since when, and what they take."""
    return json(await parts.desk.run(_facts, parts))


@router.get("/metrics", responses=raw("text/plain", "Prometheus text format 0.0.4."))
async def metrics(parts: PartsOf) -> Response:
    """Return numbers for Prometheus. It needs a session, as all else: give the scraper a cookie."""
    text = await parts.desk.run(metrics_text, parts, processes(parts))
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def processes(parts: Parts) -> list[dict[str, Any]]:
    """Return the status files of all roles, with whether each runs and how often it was started again."""
    supervisor = parts.folder.read_status("supervisor") or {}
    roles = supervisor.get("roles", {}) if supervisor.get("alive") else {}
    found = []
    for role in ROLES:
        status = parts.folder.read_status(role)
        if status is not None or role in roles:
            restarts = roles.get(role, {}).get("restarts", 0)
            found.append({"role": role, "pid": 0, "alive": False, **(status or {}), "restarts": restarts})
    return found


def _facts(parts: Parts) -> dict[str, Any]:
    return {
        "version": version("closedcircuit"),
        "processes": processes(parts),
        "data": str(parts.folder.root),
        "listening": parts.listening,
        "pretend": any(camera.pretend for camera in parts.registry.list_usable()[0]),
    }
