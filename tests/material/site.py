# SPDX-License-Identifier: Apache-2.0
"""A site started by its command, for tests that look at the whole."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path


class Site:
    """A running `closedcircuit run`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.lines: list[str] = []

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "closedcircuit.cli", "run", "--data", self.data, "--port", str(free_port())],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines = [self.process.stdout.readline().rstrip() for _ in range(5)]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.process.stdout.close()
        return code

    def command(self, *words: object, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "closedcircuit.cli", "--data", self.data, *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def status(self) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "closedcircuit.cli", "status", "--json", "--data", self.data],
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout)

    def wait_recorded(self, seconds: float) -> dict:
        """Wait until every camera has that much footage."""
        for _ in range(120):
            facts = self.status()
            days = [camera["last_day"] for camera in facts["cameras"]]
            if days and all(day and day["recorded_s"] >= seconds for day in days):
                return facts
            time.sleep(0.5)
        raise AssertionError(facts)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
