# SPDX-License-Identifier: Apache-2.0
"""Disks, what cameras take, how long footage stays (`blobs`, `catalogue`)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from closedcircuit.api import bodies, shapes
from closedcircuit.api.answers import json, said
from closedcircuit.api.parts import Parts, PartsOf
from closedcircuit.app.config import DEFAULT_KEEP_DAYS
from closedcircuit.base.errors import RequestError, StorageError
from closedcircuit.blobs import Disks

router = APIRouter(prefix="/api", tags=["storage"])

KEEP_DAYS = "keep_days"
"""Name of the setting that the Storage page writes and the keeper reads: a JSON number."""


@router.get("/storage", responses=said(shapes.Storage))
async def storage(parts: PartsOf) -> Response:
    """Say how full the disks are, what each camera takes, and when it will be too much."""
    return json(await parts.desk.run(_facts, parts))


@router.patch("/storage", responses=said(shapes.Storage))
async def change(body: bodies.StorageChange, parts: PartsOf) -> Response:
    """Say how long footage stays, for cameras that say nothing themselves. The keeper acts on it within a minute."""
    if body.keep_days is not None:
        if parts.settings.footage.keep_days is not None:
            raise RequestError(
                "config.toml says how long footage stays (footage.keep_days), and it wins.",
                remedy="Remove that line to set it here.",
            )
        text = msgspec.json.encode(body.keep_days).decode()
        sql = "insert into setting values (?, ?) on conflict (name) do update set value = excluded.value"
        await parts.desk.run(parts.catalogue.db.write, lambda tx: tx.execute(sql, (KEEP_DAYS, text)), durable=True)
    return json(await parts.desk.run(_facts, parts))


def _facts(parts: Parts) -> dict[str, Any]:
    by_camera = parts.catalogue.bytes_by_camera()
    rates = parts.catalogue.bytes_per_day()
    known = {camera.id: camera.recording for camera in parts.registry.list_usable()[0]}
    disks = _disks(parts)
    keeper = parts.folder.read_status("keeper") or {}
    cameras = [
        {
            "id": camera,
            "bytes": by_camera.get(camera, 0),
            "oldest_90k": parts.catalogue.oldest(camera),
            "bytes_per_day": rates.get(camera, 0),
            "keep_days": known[camera].keep_days if camera in known else None,
            "keep_gb": known[camera].keep_gb if camera in known else None,
        }
        for camera in sorted(known.keys() | by_camera.keys())
    ]
    return {
        "disks": disks,
        "cameras": cameras,
        "forecast_days": keeper.get("forecast_days"),
        "keep_days": keep_days(parts),
        "reserve_bytes": sum(disk.reserve_bytes for disk in parts.disks),
        "holds": parts.catalogue.holds(),
    }


def keep_days(parts: Parts) -> float:
    """Return how many days footage stays where a camera says nothing: config.toml, else the Storage page, else 14."""
    configured = parts.settings.footage.keep_days
    if configured is not None:
        return configured
    rows = parts.catalogue.db.read("select value from setting where name = ?", (KEEP_DAYS,))
    try:
        return msgspec.json.decode(rows[0][0], type=float) if rows else DEFAULT_KEEP_DAYS
    except msgspec.DecodeError:
        return DEFAULT_KEEP_DAYS


def _disks(parts: Parts) -> list[dict[str, Any]]:
    footage = parts.catalogue.bytes_by_disk()
    return [_disk(parts.disks, disk.id, footage.get(disk.id, 0)) for disk in parts.disks]


def _disk(disks: Disks, disk_id: str, footage_bytes: int) -> dict[str, Any]:
    disk = disks[disk_id]
    facts: dict[str, Any] = {"id": disk.id, "path": str(disk.path), "state": disks.state(disk)}
    try:
        space = disk.free()
    except StorageError:
        return {**facts, "total_bytes": 0, "free_bytes": 0, "footage_bytes": footage_bytes}
    return {
        **facts,
        "total_bytes": space.total_bytes,
        "free_bytes": space.free_bytes,
        "footage_bytes": footage_bytes,
    }
