# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit status`: is everything well, in ten lines or one JSON document."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from closedcircuit.app import ROLES, DataFolder
from closedcircuit.base import TICKS, SystemClock, iso
from closedcircuit.base.errors import CatalogueError
from closedcircuit.cli.place import DataOption, JsonOption, data_folder, print_json, print_table

NOT_WELL = 10
DAY_90K = 86_400 * TICKS


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """Say what runs, how each camera is, how full the disks are, and what was lost in the last day.

    Exit code 0 when all is well, 10 when something needs a look.

    Example: closedcircuit status --json
    """
    folder = data_folder(data)
    facts = gather(folder)
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    raise typer.Exit(0 if facts["well"] else NOT_WELL)


def gather(folder: DataFolder) -> dict[str, Any]:
    """Collect the facts from status files and the index; works while the site is stopped, too."""
    from closedcircuit.cameras import Registry

    now_90k = SystemClock().now_90k()
    supervisor = folder.read_status("supervisor") or {}
    running = bool(supervisor.get("alive"))
    roles = supervisor.get("roles", {}) if running else {}
    processes = []
    for role in ROLES:
        said = folder.read_status(role)
        if said or role in roles:
            alive = bool(running and said and said["alive"] and said.get("pid") == roles.get(role, {}).get("pid"))
            processes.append(
                {"role": role, "alive": alive, "restarts": roles.get(role, {}).get("restarts", 0), "status": said}
            )
    recorder = folder.read_status("recorder") or {}
    states = recorder.get("cameras", {}) if running and recorder.get("alive") else {}
    ledgers = _ledgers(folder, now_90k)
    cameras = [
        {
            "id": camera.id,
            "name": camera.name,
            "pretend": camera.pretend,
            "mode": camera.recording.mode.value,
            "streams": states.get(camera.id, {}),
            "last_day": ledgers.get(camera.id),
        }
        for camera in Registry(folder.root).list()
    ]
    keeper = folder.read_status("keeper") or {}
    problems = _problems(processes, cameras, keeper, running)
    return {
        "version": version("closedcircuit"),
        "data": str(folder.root),
        "running": running,
        "well": not problems,
        "problems": problems,
        "owner_key": folder.recipients.is_file(),
        "processes": processes,
        "cameras": cameras,
        "disks": keeper.get("disks", []),
        "forecast_days": keeper.get("forecast_days"),
        "at": iso(now_90k),
    }


def _ledgers(folder: DataFolder, now_90k: int) -> dict[str, Any]:
    from closedcircuit.cameras import Registry
    from closedcircuit.catalogue import Catalogue
    from closedcircuit.db import Database

    if not folder.facts.is_file():
        return {}
    try:
        catalogue = Catalogue(Database(folder.facts), SystemClock())
        answer = {}
        for camera in Registry(folder.root).list():
            since = max(camera.added_90k, now_90k - DAY_90K)
            ledger = catalogue.ledger(camera.id, since, now_90k)
            answer[camera.id] = {
                "recorded_s": ledger.recorded_90k / TICKS,
                "off_s": ledger.off_90k / TICKS,
                "lost_s": ledger.lost_90k / TICKS,
                "total_s": (now_90k - since) / TICKS,
                "by_cause_s": {str(cause): ticks / TICKS for cause, ticks in ledger.by_cause.items()},
            }
    except CatalogueError:
        return {}
    return answer


def _problems(
    processes: list[dict[str, Any]], cameras: list[dict[str, Any]], keeper: dict[str, Any], running: bool
) -> list[str]:
    if not running:
        return ["The site is not running: closedcircuit run"]
    problems = [
        f"The {p['role']} process is not running; it is being started again." for p in processes if not p["alive"]
    ]
    for camera in cameras:
        main = camera["streams"].get("main", {})
        if main.get("state") in {"gone", "frozen", "late"}:
            problems.append(f"{camera['name']}: {main['state']}, {main.get('why') or 'no reason given'}")
    problems += [
        f"Disk {d['id']} ({d['path']}): {d['state']}" for d in keeper.get("disks", []) if d.get("state") != "ok"
    ]
    return problems


def _print(facts: dict[str, Any]) -> None:
    print(f"Closed Circuit {facts['version']}, {Path(facts['data'])}: {'well' if facts['well'] else 'needs a look'}")
    for problem in facts["problems"]:
        print(f"  ! {problem}")
    if not facts["owner_key"]:
        print(
            "  ! There is no owner's key yet, so nothing is recorded. Open the link that `closedcircuit run` printed."
        )
    if facts["running"]:
        print()
        rows = [
            [p["role"], "runs" if p["alive"] else "down", str(p["restarts"]), _memory(p["status"])]
            for p in facts["processes"]
        ]
        print_table(["PROCESS", "STATE", "RESTARTS", "MEMORY"], rows)
    if facts["cameras"]:
        print()
        rows = [_camera_row(camera) for camera in facts["cameras"]]
        print_table(["CAMERA", "STATE", "SINCE YESTERDAY: RECORDED", "OFF", "LOST"], rows)


def _memory(said: dict[str, Any] | None) -> str:
    return f"{said['rss_bytes'] / 1e6:.0f} MB" if said and said.get("rss_bytes") else ""


def _camera_row(camera: dict[str, Any]) -> list[str]:
    day = camera["last_day"]
    seconds = [_span(day[key]) if day else "" for key in ("recorded_s", "off_s", "lost_s")]
    return [camera["name"], camera["streams"].get("main", {}).get("state", "unknown"), *seconds]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
