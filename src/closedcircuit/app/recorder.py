# SPDX-License-Identifier: Apache-2.0
"""The recorder's role: puts its parts together, sweeps, notices changed files, says how it is.

Two threads matter here. The main one sweeps: it touches no file and no database, so nothing slow can reach it. The
*office* does everything else that is not a disk's or the index's: reads settings and camera files, repairs what a crash
left, works out where each camera's account begins, writes the status file.

The recorder needs nobody: without the database it records and tells the index later; without the web process it
records.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from closedcircuit.app.config import load_settings
from closedcircuit.app.folder import DataFolder
from closedcircuit.app.footprint import give_back, installed_version
from closedcircuit.app.vitals import Vitals
from closedcircuit.base import TICKS, Clock, Ids, Secret
from closedcircuit.base.errors import CircuitError, ConfigError
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Receiver, Registry, probe
from closedcircuit.catalogue import Catalogue, repair
from closedcircuit.db import Database
from closedcircuit.model import Camera, Cause, Gap, Segment
from closedcircuit.net import live_socket_path
from closedcircuit.recording import (
    DiskOutlet,
    DiskWriter,
    Indexer,
    Link,
    Notes,
    Outcome,
    Parts,
    Ready,
    Recorder,
    TakenUp,
    Terms,
    accounted_until,
    check_hours,
)
from closedcircuit.vault import KeyRing, read_recipients

LOOK_S = 1.0
GC_AFTER = 10_000
"""New objects until the collector looks for circles, of which this process makes few."""
TRIM_EVERY = 10
"""Looks between two times that unused memory is given back."""
BUSY_S = 5.0
FRESH_90K = 3 * TICKS
"""A camera whose account ends less than this ago was not waiting for a recorder."""


def run_recorder(data_dir: Path, clock: Clock, ids: Ids, stop: threading.Event) -> int:
    """Record until `stop` is set; then finish every fragment and close every segment. Returns the exit code."""
    office = Office(DataFolder(data_dir), clock, ids)
    office.open()
    recorder = office.recorder
    # What is there now stays: the collector need not look at it again and again. Samples are freed by their counts.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_AFTER)
    office.start()
    try:
        while not stop.is_set() and office.is_whole:
            recorder.sweep()
            recorder.wait()
    finally:
        office.close()
    # A thread that died of a fault of ours has said so on stderr; the supervisor starts all of us anew.
    return 0 if stop.is_set() else 1


class LateIndex:
    """The index, opened when it can be. Any thread; `_lock` guards the opening."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

    def get(self) -> Catalogue:
        """The catalogue. Raises Busy, CatalogueError, StorageError while it cannot be opened."""
        with self._lock:
            if self._catalogue is None:
                self._catalogue = Catalogue(Database(self._path, busy_s=BUSY_S), self._clock)
            return self._catalogue

    def upsert(self, segments: Sequence[Segment]) -> None:
        """See `Catalogue.upsert`."""
        self.get().upsert(segments)

    def add_gaps(self, gaps: Sequence[Gap]) -> None:
        """See `Catalogue.add_gaps`."""
        self.get().add_gaps(gaps)


class Office:
    """Everything of the role but the sweep. Its fields belong to the office's thread once `start` was called."""

    def __init__(self, folder: DataFolder, clock: Clock, ids: Ids) -> None:
        self._folder, self._clock, self._ids = folder, clock, ids
        self._vitals = Vitals("recorder", clock)
        self._version = installed_version()
        self._beats = 0
        self._settings = load_settings(folder.root)
        self._registry = Registry(folder.root)
        self._ring = KeyRing(folder.keys, clock, ids)
        self._index = LateIndex(folder.facts, clock)
        self._priority = _ask_priority(self._settings.recorder.nice)
        self._disks = _disks(folder, self._settings.disks(folder.root), is_default=not self._settings.disk)
        self._stamp = ""
        self._taken: dict[str, TakenUp] = {}
        self._unexplained: set[str] = set()  # cameras whose time before the start is not accounted for yet
        self._to_repair = {disk.id for disk in self._disks}
        self._notes: list[str] = []  # what start-up repaired, for the status
        self._troubles: dict[str, str] = {}  # sentences by what they are about
        self.is_whole = True  # every thread lives, as of the last look; read by the sweep's thread
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="office", daemon=True)

    def open(self) -> None:
        """Make the parts, repair, take up the cameras. No thread of ours runs before this."""
        outcomes: deque[Outcome] = deque()
        receiver = Receiver(self._clock, self._ids)
        self._ready = Ready(self._ring, self._disks, self._clock)
        self._indexer = Indexer(self._index, self._clock, self._repair_all)
        notes = Notes(outcomes.append, self._indexer.changed, self._indexer.changed)
        queue_bytes = self._settings.recorder.queue_mb_per_disk << 20
        self._outlet = DiskOutlet(
            (DiskWriter(disk, self._clock, notes, queue_bytes) for disk in self._disks), self._ready
        )
        footage = self._settings.footage
        self.recorder = Recorder(
            Parts(
                sources=receiver,
                outlet=self._outlet,
                ready=self._ready,
                indexer=self._indexer,
                probe=self._probe,
                terms=Terms(fragment_s=footage.fragment_s, segment_s=footage.segment_s),
                version=self._version,
            ),
            outcomes,
            self._clock,
            self._ids,
        )
        self.recorder.link = Link(live_socket_path(self._folder.root), self.recorder, self._clock)
        self._repair_all()
        self._look()

    def start(self) -> None:
        """Start every thread but the sweep's."""
        for writer in self._outlet.writers.values():
            writer.start()
        self._ready.start()
        self._indexer.start()
        self._thread.start()

    def close(self) -> None:
        """Finish what is open, in order: samples, files, rows, keys."""
        self._stop.set()
        self.recorder.stop()
        for writer in self._outlet.writers.values():
            writer.stop()
        self.recorder.settle()
        self._indexer.stop()
        self._ready.stop()
        self._thread.join(2.0)
        self._write_status()

    # ------------------------------------------------------------------------------------------------ the office

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._catch_up()
            self._write_status()
            parts: list[DiskWriter | Ready | Indexer] = [*self._outlet.writers.values(), self._ready, self._indexer]
            self.is_whole = all(part.is_whole() for part in parts)
            self._beats += 1
            if self._beats % TRIM_EVERY == 0:
                give_back()
            if self.recorder.reload_asked.wait(LOOK_S):
                self.recorder.reload_asked.clear()
                self._stamp = ""

    def _look(self) -> None:
        """Take up what changed in the camera files, passwords and recipients."""
        stamp = self._registry.stamp() + _stamp_of(self._folder.recipients)
        if stamp == self._stamp:
            return
        try:
            self._ring.set_recipients(read_recipients(self._folder.recipients))
        except CircuitError as error:
            # The recipients before stay: a slip in the file must not lock its owner out.
            self._troubles["recipients"] = str(error)
        else:
            self._troubles.pop("recipients", None)
        usable, wrong = self._registry.list_usable()
        taken: dict[str, TakenUp] = {}
        for camera in usable:
            try:
                check_hours(camera.recording.schedule)  # here, so that the sweep never meets an hour that is none
                taken[camera.id] = self._take(camera)
            except ConfigError as error:
                wrong.append(error)
        self._troubles["cameras"] = " ".join(str(error) for error in wrong)
        for name, known in self._taken.items():
            if name not in taken and (self._folder.cameras / f"{name}.toml").exists():
                taken[name] = known  # its file is damaged: go on as before, and say so
        self._taken, self._stamp = taken, stamp
        self._ready.set_cameras({name: each.camera for name, each in taken.items()})
        self._ready.look_keys()
        self._ready.look_places()
        self.recorder.take_up(taken)

    def _take(self, camera: Camera) -> TakenUp:
        password = self._registry.password(camera.id)
        known = self._taken.get(camera.id)
        if known is not None and known.camera.added_90k == camera.added_90k:  # else: removed and added again at once
            return msgspec.structs.replace(known, camera=camera, password=password)
        now_90k = self._clock.now_90k()
        accounted = max(camera.added_90k, now_90k - FRESH_90K)
        try:
            catalogue = self._index.get()
            catalogue.announce(camera)
            accounted = accounted_until(catalogue, camera, now_90k)
        except CircuitError:
            self._unexplained.add(camera.id)
        new = accounted <= camera.added_90k and now_90k - accounted <= FRESH_90K
        return TakenUp(camera, password, accounted, not new)

    def _catch_up(self) -> None:
        """What start-up could not do because the database or a disk was not there."""
        if self._to_repair:
            self._repair_all()
        for camera in list(self._unexplained):
            taken = self._taken.get(camera)
            self._unexplained.discard(camera)
            if taken is None:
                continue
            try:
                catalogue = self._index.get()
                catalogue.announce(taken.camera)
                since = accounted_until(catalogue, taken.camera, taken.accounted_90k)
            except CircuitError:
                self._unexplained.add(camera)
                return
            gap = Gap(camera, since, taken.accounted_90k, Cause.PROCESS_DOWN, "the recorder was not running")
            self._indexer.gaps([gap] if gap.end_90k > gap.start_90k else [])

    def _repair_all(self) -> None:
        """Make whole what a crash left; disks and databases that are not there yet are tried again later."""
        for disk in self._disks:
            try:
                report = repair(disk, self._index.get())
            except CircuitError as error:
                self._to_repair.add(disk.id)
                self._troubles[f"disk {disk.id}"] = str(error)
            else:
                self._to_repair.discard(disk.id)
                self._troubles.pop(f"disk {disk.id}", None)
                self._notes = [*self._notes, *report.sentences][-20:]

    def _probe(self, camera: Camera, password: str) -> dict[str, Any]:
        """Try a camera that is not configured yet. In a thread of its own, some seconds."""
        return probe(camera, Secret(password), self._clock, self._ids)

    def _write_status(self) -> None:
        state = self.recorder.last_state
        status = {
            **self._vitals.now(),
            "priority": self._priority,
            "trouble": " ".join(filter(None, (*self._troubles.values(), self._ready.key_trouble))),
            "repaired": self._notes,
            "cameras": state.get("cameras", {}),
            "writer": self._outlet.report(),
            "index": self._indexer.report(),
            "disks": [{"id": disk.id, "state": str(self._disks.state(disk))} for disk in self._disks],
        }
        with contextlib.suppress(OSError):  # a full disk must not stop the office; the status is then old, and shows it
            self._folder.write_status("recorder", status)


def _stamp_of(path: Path) -> str:
    try:
        found = path.stat()
    except FileNotFoundError:
        return "none"
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def _ask_priority(nice: int) -> str:
    """Ask for more CPU than others get, so that a busy machine starves them first; say how that went."""
    try:
        os.nice(nice - os.nice(0))
    except PermissionError:
        return f"ordinary: this account may not ask for nice {nice} (docs/guide/install.md says how to allow it)"
    return f"nice {os.nice(0)}"


def _disks(folder: DataFolder, settings: Sequence[Any], *, is_default: bool) -> Disks:
    if is_default:
        # The data folder is there, or nothing of this would run: it cannot be an empty mount point.
        Disks.adopt(folder.root, disk_id=settings[0].id)
    return Disks((disk.id, Path(disk.path), round(disk.reserve_gb * 1e9)) for disk in settings)
