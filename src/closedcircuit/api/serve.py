# SPDX-License-Identifier: Apache-2.0
"""The web process: puts a site's parts together, serves until told to stop, says how it is in `run/web.json`.

What it holds: no private key and no hour key. What it opens: the web port (loopback unless configured), the Unix socket
that recorders connect to, and the facts and sealed files of the data folder. It reaches no camera.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from closedcircuit.api.application import create_app
from closedcircuit.api.desk import Desk
from closedcircuit.api.parts import Parts
from closedcircuit.api.sockets import PatientProtocol, RelayProtocol
from closedcircuit.app import DataFolder, Settings, load_settings
from closedcircuit.app.vitals import Vitals
from closedcircuit.base import Clock, Ids
from closedcircuit.base.errors import CircuitError, NetError
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue
from closedcircuit.db import Database
from closedcircuit.identity import Owner, Sessions
from closedcircuit.live import LiveHub
from closedcircuit.net import Listener, listen_tcp, live_socket_path
from closedcircuit.playback import Archive

CONNECTIONS_MAX = 1000
MESSAGE_BYTES_MAX = 64 << 10
"""Largest WebSocket message that we take: 256 streams to watch are 12 kB."""

STOP_WITHIN_S = 5
GB = 1_000_000_000

log = structlog.get_logger("web")


def run_web(data_dir: Path, clock: Clock, ids: Ids, stop: threading.Event) -> int:
    """Serve one site until `stop` is set; return the exit code. Raises CircuitError where it cannot even begin."""
    _log_to_stderr()
    folder = DataFolder(data_dir)
    folder.create()
    settings = load_settings(folder.root)
    listeners = _listen(folder, settings)
    db = Database(folder.facts)
    desk = Desk()
    try:
        parts = open_parts(folder, settings, (db, desk), (clock, ids), listeners)
        parts.owner.repair()
        asyncio.run(_serve(parts, listeners, stop))
    finally:
        for listener in listeners:
            listener.close()
        desk.close()
        db.close()
    return 0


def open_parts(
    folder: DataFolder,
    settings: Settings,
    work: tuple[Database, Desk],
    chance: tuple[Clock, Ids],
    listeners: tuple[Listener, ...] = (),
) -> Parts:
    """Put a site's parts together; opens nothing that is not given."""
    db, desk = work
    clock, ids = chance
    catalogue = Catalogue(db, clock)
    disks = Disks([(d.id, Path(d.path), round(d.reserve_gb * GB)) for d in settings.disks(folder.root)])
    return Parts(
        folder=folder,
        settings=settings,
        clock=clock,
        ids=ids,
        owner=Owner(folder.root, db, clock, ids),
        sessions=Sessions(db, clock, ids),
        registry=Registry(folder.root),
        catalogue=catalogue,
        disks=disks,
        archive=Archive(catalogue, disks, folder.keys, clock),
        hub=LiveHub(clock, ids),
        desk=desk,
        listening=tuple(f"{_bracketed(one.host)}:{one.port}" for one in listeners),
        hosts=frozenset(name.lower().rstrip(".") for name in settings.web.names),
    )


class WebServer(uvicorn.Server):
    """uvicorn, stopped by an event instead of by signals, which belong to the role."""

    def __init__(self, config: uvicorn.Config, hub: LiveHub, stop: threading.Event) -> None:
        super().__init__(config)
        self._hub, self._stop = hub, stop

    async def on_tick(self, counter: int) -> bool:
        """Look whether to stop, ten times a second."""
        return self._stop.is_set() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Tell the viewers first, and cut those that take nothing: nobody shall hold up the end."""
        await self._hub.close()
        await asyncio.sleep(0.05)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to who has them."""
        yield


async def _serve(parts: Parts, listeners: tuple[Listener, ...], stop: threading.Event) -> None:
    await parts.hub.open(live_socket_path(parts.folder.root))
    settings = parts.settings.web
    config = uvicorn.Config(
        create_app(parts),
        http=PatientProtocol,
        ws=RelayProtocol,
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,  # sealed bytes do not shrink
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,  # who looked at what is the log's to say (a later room), not a text file's
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        ssl_certfile=settings.tls_cert_file or None,
        ssl_keyfile=settings.tls_key_file or None,
    )
    server = WebServer(config, parts.hub, stop)
    status = asyncio.create_task(_say_status(parts))
    try:
        await server.serve(sockets=[listener.socket for listener in listeners])
    finally:
        status.cancel()
        await parts.hub.close()


async def _say_status(parts: Parts) -> None:
    """Rewrite `run/web.json` once a second."""
    vitals = Vitals("web", parts.clock)
    while True:
        status: dict[str, Any] = {
            **vitals.now(),
            "listening": parts.listening,
            "live": parts.hub.counts(),
        }
        try:
            await parts.desk.run(parts.folder.write_status, "web", status)
        except (OSError, CircuitError) as error:
            log.warning("status_not_written", why=str(error))
        await asyncio.sleep(1.0)


def _listen(folder: DataFolder, settings: Settings) -> tuple[Listener, ...]:
    """Listen where configured; on both loopback addresses where it is loopback, for `localhost` may mean either."""
    port = _port(folder, settings)
    first = listen_tcp(settings.web.host, port)
    if settings.web.host not in {"127.0.0.1", "localhost"}:
        return (first,)
    try:
        return first, listen_tcp("::1", first.port)
    except NetError:
        return (first,)  # a machine without IPv6


def _port(folder: DataFolder, settings: Settings) -> int:
    """Return the port that `closedcircuit run --port` asked for, else the configured one."""
    try:
        return int((folder.run / "port").read_text("ascii"))
    except (OSError, ValueError):
        return settings.web.port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _log_to_stderr() -> None:
    """Send our log and our libraries' warnings to standard error; standard output is nobody's."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
