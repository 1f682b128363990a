# SPDX-License-Identifier: Apache-2.0
"""The pretend site: when there is one, and its role."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from closedcircuit.app.folder import DataFolder
from closedcircuit.app.roles import ROLES
from closedcircuit.app.vitals import Vitals
from closedcircuit.base import Clock, Ids, Secret
from closedcircuit.base.errors import NetError
from closedcircuit.cameras import Registry
from closedcircuit.model import Camera

MARK = "pretend"


def prepare_pretend_site(folder: DataFolder) -> tuple[str, ...]:
    """Decide which roles a folder needs: without configuration and cameras it becomes a pretend site, and stays one
    until its pretend cameras are removed.
    """
    cameras = Registry(folder.root).list()
    mark = folder.run / MARK
    if not cameras and not folder.config.is_file() and not folder.recipients.is_file():
        mark.touch()
    if any(camera.pretend for camera in cameras) or (mark.exists() and not cameras):
        return tuple(ROLES)
    mark.unlink(missing_ok=True)
    return tuple(role for role in ROLES if role != "pretend")


def run_pretend(data_dir: Path, clock: Clock, ids: Ids, stop: threading.Event) -> int:
    """Serve the drawn cameras, on the port they had last time where that is free."""
    from closedcircuit.pretend import PretendServer, pretend_passwords  # numpy and FFmpeg: loaded in this role only

    registry = Registry(data_dir)
    ports = [urlsplit(camera.main.address).port for camera in registry.list() if camera.pretend]
    try:
        site = PretendServer(clock, ids, port=ports[0] or 0 if ports else 0)
    except NetError:
        site = PretendServer(clock, ids)
    with site:
        _register(registry, site.cameras(), pretend_passwords(), clock.now_90k())
        folder, vitals = DataFolder(data_dir), Vitals("pretend", clock)
        while site.is_whole:
            folder.write_status("pretend", {**vitals.now(), "port": site.port})
            if stop.wait(1.0):
                return 0
    return 1  # a camera's painter died: the supervisor starts the site again


def _register(registry: Registry, drawn: Sequence[Camera], passwords: Mapping[str, str], now_90k: int) -> None:
    """Put the drawn cameras into the registry the first time; later only mend their addresses, so that one that the
    owner removed stays removed, and what the owner changed stays changed.
    """
    known = {camera.id: camera for camera in registry.list() if camera.pretend}
    for camera in drawn:
        if not known:
            registry.save(msgspec.structs.replace(camera, added_90k=now_90k), Secret(passwords.get(camera.id, "")))
        elif mine := known.get(camera.id):
            mended = msgspec.structs.replace(mine, main=camera.main, sub=camera.sub, username=camera.username)
            if mended != mine:
                registry.save(mended, Secret(passwords.get(camera.id, "")))
