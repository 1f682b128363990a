# SPDX-License-Identifier: Apache-2.0
"""What the routes work with, put together once when the process starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from closedcircuit.api.desk import Desk
from closedcircuit.app import DataFolder, Settings
from closedcircuit.base import Clock, Ids
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue
from closedcircuit.identity import Owner, Session, Sessions
from closedcircuit.live import LiveHub
from closedcircuit.playback import Archive
from closedcircuit.vault import Site


@dataclass(frozen=True)
class Parts:
    """One site, as the web process sees it. Every part says itself from which thread it may be used."""

    folder: DataFolder
    settings: Settings
    clock: Clock
    ids: Ids
    owner: Owner
    sessions: Sessions
    registry: Registry
    catalogue: Catalogue
    disks: Disks
    archive: Archive
    hub: LiveHub
    desk: Desk
    listening: tuple[str, ...] = ()
    hosts: frozenset[str] = frozenset()  # host names that browsers may use, beside this machine's own


def _parts(connection: HTTPConnection) -> Parts:
    parts: Parts = connection.app.state.parts
    return parts


def _session(connection: HTTPConnection) -> Session:
    session: Session = connection.scope["state"]["session"]  # the gate put it there, or let nobody in
    return session


def _site(connection: HTTPConnection) -> Site:
    host = connection.headers.get("host", "localhost")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return Site(host=name, origin=connection.headers.get("origin") or f"{connection.scope['scheme']}://{host}")


def _address(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


PartsOf = Annotated[Parts, Depends(_parts)]
SessionOf = Annotated[Session, Depends(_session)]
SiteOf = Annotated[Site, Depends(_site)]
AddressOf = Annotated[str, Depends(_address)]
