# SPDX-License-Identifier: Apache-2.0
"""The keeper's role: retention, disk checks and forecast, once every few seconds; its status, every second."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

import msgspec

from closedcircuit.app.config import DEFAULT_KEEP_DAYS, Settings, load_settings
from closedcircuit.app.folder import DataFolder
from closedcircuit.app.vitals import Vitals
from closedcircuit.base import Clock, Ids
from closedcircuit.base.errors import CatalogueError, CircuitError
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue, Policy
from closedcircuit.db import Database
from closedcircuit.recording import Keeper

ROUND_S = 5.0
STATUS_S = 1.0
BUSY_S = 10.0
KEEP_DAYS_SETTING = "keep_days"
"""Name of what the Storage page writes: a JSON number."""


def run_keeper(data_dir: Path, clock: Clock, ids: Ids, stop: threading.Event) -> int:
    """Keep until `stop` is set. Returns the exit code."""
    del ids
    role = KeeperRole(DataFolder(data_dir), clock, stop)
    while not stop.is_set():
        role.beat()
        stop.wait(STATUS_S)
    role.write_status()
    return 0


class KeeperRole:
    """One thread. The database is opened when it can be, and waited for."""

    def __init__(self, folder: DataFolder, clock: Clock, stop: threading.Event) -> None:
        self._folder, self._clock, self._stop = folder, clock, stop
        self._settings: Settings = load_settings(folder.root)
        disks = self._settings.disks(folder.root)
        self._disks = Disks((disk.id, Path(disk.path), round(disk.reserve_gb * 1e9)) for disk in disks)
        self._registry = Registry(folder.root)
        self._vitals = Vitals("keeper", clock)
        self._keeper: Keeper | None = None
        self._catalogue: Catalogue | None = None
        self._round_due_s = 0.0
        self._waits_for = ""  # a sentence while the database does not answer
        self._facts: dict[str, Any] = {}

    def beat(self) -> None:
        """A round where one is due, then the status."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._round_due_s:
            self._round_due_s = now_s + ROUND_S
            try:
                self._round()
                self._waits_for = ""
            except CircuitError as error:
                self._waits_for = str(error)
        self.write_status()

    def _round(self) -> None:
        if self._catalogue is None or self._keeper is None:
            self._catalogue = Catalogue(Database(self._folder.facts, busy_s=BUSY_S), self._clock)
            self._keeper = Keeper(self._catalogue, self._disks, self._folder.keys, self._clock)
        policy = self._policy(self._catalogue)
        self._keeper.round(policy, self._go_on)
        self._facts = self._keeper.facts(policy)

    def _policy(self, catalogue: Catalogue) -> Policy:
        """Limits of every camera as configured now. A camera whose file is damaged, or gone, has the site's."""
        cameras, _ = self._registry.list_usable()
        return Policy.of(cameras, self._keep_days(catalogue))

    def _keep_days(self, catalogue: Catalogue) -> float:
        configured = self._settings.footage.keep_days
        if configured is not None:
            return configured
        rows = catalogue.db.read("select value from setting where name = ?", (KEEP_DAYS_SETTING,))
        try:
            return msgspec.json.decode(rows[0][0], type=float) if rows else DEFAULT_KEEP_DAYS
        except msgspec.DecodeError as error:
            raise CatalogueError(
                f"The setting {KEEP_DAYS_SETTING} is no number, so nothing is deleted.",
                remedy="Set it again on the Storage page.",
            ) from error

    def _go_on(self) -> bool:
        self.write_status()
        return not self._stop.is_set()

    def write_status(self) -> None:
        """Say how things are."""
        status = {
            **self._vitals.now(),
            **self._facts,
        }
        if self._waits_for:
            status |= {"state": "trouble", "sentence": self._waits_for}
        with contextlib.suppress(OSError):  # a full disk must not stop the keeper, who is there to make room
            self._folder.write_status("keeper", status)
