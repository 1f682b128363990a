# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit run`: start the site, say where it is in six lines, stop it cleanly."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from closedcircuit.app import DataFolder, Settings
from closedcircuit.cli.place import DataOption, data_folder

READY_WITHIN_S = 40.0


def run(
    data: DataOption = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help="The web page's port.")] = None,
) -> None:
    """Run the site in this folder; without cameras and configuration there, a pretend site that the program draws.

    Example: closedcircuit run --data /srv/cctv --port 8470
    """
    from closedcircuit.app import load_settings
    from closedcircuit.app.pretending import prepare_pretend_site
    from closedcircuit.app.supervisor import Supervisor
    from closedcircuit.base import SystemClock, SystemIds
    from closedcircuit.identity import make_setup_token

    folder = data_folder(data, must_exist=False)
    folder.create()
    settings = load_settings(folder.root)
    if port:
        (folder.run / "port").write_text(str(port))
    else:
        (folder.run / "port").unlink(missing_ok=True)
        port = settings.web.port
    clock, ids = SystemClock(), SystemIds()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    roles = prepare_pretend_site(folder)
    supervisor = Supervisor(folder, clock, roles)
    token = make_setup_token(folder.root, ids)
    with _progress("Starting"):
        supervisor.start()
        deadline_s = clock.monotonic_s() + READY_WITHIN_S
        while not supervisor.ready("web") and clock.monotonic_s() < deadline_s and not stop.wait(0.05):
            pass
    _greet(folder, settings, port, token)
    supervisor.run(stop, lambda text: print(text, file=sys.stderr, flush=True))


def _greet(folder: DataFolder, settings: Settings, port: int, token: str | None) -> None:
    from closedcircuit.cameras import Registry

    scheme = "https" if settings.web.tls_cert_file else "http"
    address = f"{scheme}://localhost:{port}/"
    pretend = [camera.name for camera in Registry(folder.root).list() if camera.pretend]
    print(f"Closed Circuit runs at  {address}")
    if token:
        print(f"Create your key here    {address}#setup={token}   (works once)")
    print(f"The data is in          {folder.root}   (delete it and it is gone)")
    if pretend:
        print(f"Pretend                 {len(pretend)} cameras, drawn by this program: {', '.join(pretend)}")
    print("To stop                 Ctrl-C")
    if pretend:
        print(
            "Next                    closedcircuit camera add 'Front door' rtsp://...   or + on the Cameras page",
            flush=True,
        )
    else:
        print(f"Next                    closedcircuit status --data {folder.root}", flush=True)


@contextmanager
def _progress(what: str) -> Iterator[None]:
    """Show that something is going on, on a terminal only, and leave no trace of it."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{what} ..."):
        yield
