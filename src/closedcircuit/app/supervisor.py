# SPDX-License-Identifier: Apache-2.0
"""Starts the roles, restarts one that dies, stops all.

Ownership: everything here belongs to the one thread that calls `Supervisor.run`. A role is restarted after 1 s, then
2, 4 ... 30 s; a minute of good running forgives. A role that dies takes no other with it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from closedcircuit.app.folder import DataFolder
from closedcircuit.app.roles import ROLES
from closedcircuit.base import Clock
from closedcircuit.base.errors import ConfigError

BACK_OFF_S = (1.0, 30.0)
FORGIVEN_AFTER_S = 60.0
STOP_WITHIN_S = 12.0
LOOK_EVERY_S = 0.1


def role_command(name: str, folder: DataFolder) -> list[str]:
    """Return what starts a role."""
    return [sys.executable, "-m", "closedcircuit.app.role", name, "--data", str(folder.root)]


class Child:
    """One role's process and its history."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        self.restarts = 0
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._again_s = 0.0
        self._wait_s = BACK_OFF_S[0]

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self, now_s: float) -> None:
        """Start the role. Its standard error is ours: what it cannot log it says there."""
        self._started_s = now_s
        env = dict(os.environ, CLOSEDCIRCUIT_SUPERVISED="1")
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, env=env, start_new_session=True)

    def tend(self, now_s: float, say: Callable[[str], None]) -> None:
        """Restart the role when it is dead and its waiting time is over."""
        if self._process is None or self._process.poll() is None:
            return
        if self._again_s == 0.0:
            if now_s - self._started_s > FORGIVEN_AFTER_S:
                self._wait_s = BACK_OFF_S[0]
            self._again_s = now_s + self._wait_s
            say(f"{self.name} ended with code {self._process.returncode}; starting it again in {self._wait_s:.0f} s")
            self._wait_s = min(self._wait_s * 2, BACK_OFF_S[1])
        elif now_s >= self._again_s:
            self._again_s = 0.0
            self.restarts += 1
            self.start(now_s)

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for its end; kill it when it takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Supervisor:
    """The parent of all roles of one data folder. One a folder: a lock file refuses the second."""

    def __init__(
        self,
        folder: DataFolder,
        clock: Clock,
        roles: Sequence[str] = tuple(ROLES),
        command: Callable[[str, DataFolder], list[str]] = role_command,
    ) -> None:
        self._folder, self._clock = folder, clock
        self.children = [Child(name, command(name, folder)) for name in roles]
        self._lock = _lock(folder.run / "supervisor.pid")

    def start(self) -> None:
        """Start every role."""
        for child in self.children:
            child.start(self._clock.monotonic_s())
        self._write_status()

    def ready(self, role: str) -> bool:
        """Say whether a role's present process has written its first status."""
        pid = next((child.pid for child in self.children if child.name == role), None)
        status = self._folder.read_status(role)
        return bool(pid and status and status.get("pid") == pid)

    def run(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Tend the roles until `stop` is set, then stop them, the recorder's viewers first."""
        beat = 0
        try:
            while not stop.wait(LOOK_EVERY_S):
                for child in self.children:
                    child.tend(self._clock.monotonic_s(), say)
                beat += 1
                if beat % 10 == 0:
                    self._write_status()
        finally:
            self.stop()

    def stop(self) -> None:
        """End all roles: web and keeper first, then the recorder, which closes its segments, then the cameras."""
        deadline_s = self._clock.monotonic_s() + STOP_WITHIN_S
        for child in reversed(self.children):
            child.terminate()
            if child.name in {"recorder", "web"}:
                child.wait(deadline_s - self._clock.monotonic_s())
        for child in self.children:
            child.wait(deadline_s - self._clock.monotonic_s())
        self._write_status()
        os.close(self._lock)

    def _write_status(self) -> None:
        roles = {child.name: {"pid": child.pid, "restarts": child.restarts} for child in self.children}
        status = {"role": "supervisor", "pid": os.getpid(), "at_90k": self._clock.now_90k(), "roles": roles}
        self._folder.write_status("supervisor", status)


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.read(fd, 20).decode(errors="replace").strip()
        os.close(fd)
        raise ConfigError(
            f"Closed Circuit already runs on {path.parent.parent} (process {other}).",
            remedy="Stop that one first, or choose another folder with --data.",
        ) from None
    os.ftruncate(fd, 0)
    os.write(fd, str(os.getpid()).encode())
    return fd
