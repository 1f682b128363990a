# SPDX-License-Identifier: Apache-2.0
"""The pretend site: when there is one, and its role."""

from __future__ import annotations

import threading
from pathlib import Path
from urllib.parse import urlsplit

from closedcircuit.app.folder import DataFolder
from closedcircuit.app.roles import ROLES
from closedcircuit.base import Clock, Ids
from closedcircuit.cameras import Registry

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
    from closedcircuit.pretend import serve  # draws with numpy and FFmpeg: loaded in this role only

    registry = Registry(data_dir)
    ports = [urlsplit(camera.main.address).port for camera in registry.list() if camera.pretend]
    serve(data_dir, clock, ids, ports[0] or 0 if ports else 0, stop)
    return 0
