# SPDX-License-Identifier: Apache-2.0
"""A visitor's browser window on a pretend site that was started by its command."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit


@contextlib.contextmanager
def pretend_site(data: Path) -> Iterator[str]:
    """Start `closedcircuit run`; yield the one-time link that it prints; stop it, and see that it ends well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "closedcircuit.cli", "run", "--data", data, "--port", str(port)]
    site = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    lines = [site.stdout.readline() for _ in range(4)]
    try:
        yield re.search(r"http://\S+#setup=\w+", "".join(lines))[0]
    finally:
        site.send_signal(signal.SIGTERM)
        code = site.wait(30)
        site.stdout.close()
    assert code == 0


class Visit:
    """One browser window, with what it asked for and complained of."""

    def __init__(self, browser, link: str, **options) -> None:
        self.home = f"http://{urlsplit(link).netloc}"
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.strayed: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", self._note)
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(m.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, request) -> None:
        if not request.url.startswith((self.home, "blob:", "data:", self.home.replace("http", "ws", 1))):
            self.strayed.append(request.url)

    def pictures(self, count: int) -> None:
        """Wait until that many canvases show something that is not one colour."""
        self.page.wait_for_function(
            """count => [...document.querySelectorAll('canvas')].filter(canvas => {
                 const small = new OffscreenCanvas(16, 9), ctx = small.getContext('2d');
                 if (!canvas.width) return false;
                 ctx.drawImage(canvas, 0, 0, 16, 9);
                 return new Set(new Uint32Array(ctx.getImageData(0, 0, 16, 9).data.buffer)).size > 24;
               }).length >= count""",
            arg=count,
            timeout=45_000,
        )
