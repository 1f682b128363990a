# SPDX-License-Identifier: Apache-2.0
"""What a segment needs before it can begin, got ready ahead of time, so that the sweep thread never waits for a disk.

Two threads: one keeps this hour's key of each camera (and, before the hour turns, the next), one the disk on which
each camera's next segment goes. The sweep thread reads the results from plain dicts, which these threads replace
entry by entry or whole; `_cameras` is under `_lock`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from closedcircuit.base import TICKS, Clock
from closedcircuit.base.errors import CircuitError, DiskFull, NoRecipients, NotFound, StorageError
from closedcircuit.blobs import Disks
from closedcircuit.model import Camera, Cause
from closedcircuit.recording.account import Reason
from closedcircuit.vault import HourKey, KeyRing

HOUR_90K = 3600 * TICKS
AHEAD_90K = 300 * TICKS
"""The next hour's keys are made from this long before it on."""
LOOK_S = 1.0
DISKS_EVERY_S = 3.0


class Ready:
    """Keys and places for the cameras of one recorder."""

    def __init__(self, ring: KeyRing, disks: Disks, clock: Clock) -> None:
        self.keys: dict[str, HourKey] = {}
        self.places: Mapping[str, str | Reason] = {}  # id of a disk, or why there is none
        self.key_trouble = ""  # a sentence while keys cannot be written for another reason than that nobody owns them
        self._ring, self._disks, self._clock = ring, disks, clock
        self._lock = threading.Lock()
        self._looking = threading.Lock()  # held for a round over the keys: of two at once, one would know less
        self._cameras: dict[str, Camera] = {}
        self._stopped = threading.Event()
        self._wake_keys, self._wake_places = threading.Event(), threading.Event()
        self._threads = (
            threading.Thread(target=self._run, args=(self.look_keys, self._wake_keys), name="keys", daemon=True),
            threading.Thread(target=self._run, args=(self.look_places, self._wake_places), name="places", daemon=True),
        )

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def is_whole(self) -> bool:
        """Whether both threads live."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """End both threads and forget every key."""
        self._stopped.set()
        self._wake_keys.set()
        self._wake_places.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(5.0)
        self._ring.forget_all()

    def set_cameras(self, cameras: Mapping[str, Camera]) -> None:
        """These are to be kept ready. Returns at once."""
        with self._lock:
            self._cameras = dict(cameras)
        self.look_soon()

    def look_soon(self) -> None:
        """Recipients, cameras or disks changed: look now."""
        self._wake_keys.set()
        self._wake_places.set()

    def look_keys(self) -> float:
        """One round over the keys; return seconds until the next. Any thread."""
        with self._looking:
            return self._look_keys()

    def _look_keys(self) -> float:
        with self._lock:
            cameras = list(self._cameras)
        trouble = ""
        for camera in [*cameras, *(set(self.keys) - set(cameras))]:
            key: HourKey | None = None
            try:
                key = self._ring.hour_key(camera) if camera in cameras else None
            except NoRecipients:
                pass  # said by every camera, as its reason
            except (CircuitError, OSError) as error:
                trouble = str(error)
            if key is not None:
                self.keys[camera] = key  # at once: the ring has forgotten the old one
            else:
                self.keys.pop(camera, None)
        self.key_trouble = trouble
        self._ring.forget_expired()
        return self._look_ahead(cameras)

    def _look_ahead(self, cameras: list[str]) -> float:
        """Make next hour's keys, one a look, so that the work spreads over minutes; wake up when the hour turns."""
        left_90k = HOUR_90K - self._clock.now_90k() % HOUR_90K
        if left_90k < AHEAD_90K and self.keys:
            for camera in cameras:
                if self._stopped.is_set():
                    break
                try:
                    self._ring.prepare(camera)
                except (CircuitError, OSError) as error:
                    self.key_trouble = str(error)
        left_90k = HOUR_90K - self._clock.now_90k() % HOUR_90K
        return min(LOOK_S, left_90k / TICKS + 0.001)

    def look_places(self) -> float:
        """One round over the disks; return seconds until the next."""
        with self._lock:
            cameras = list(self._cameras.values())
        found: dict[str, str | Reason] = {}
        for camera in cameras:
            try:
                found[camera.id] = self._disks.choose(camera).id
            except DiskFull as error:
                found[camera.id] = Cause.DISK_FULL, str(error)
            except (StorageError, NotFound) as error:
                found[camera.id] = Cause.DISK_GONE, str(error)
        self.places = found
        return DISKS_EVERY_S

    def _run(self, look: Callable[[], float], wake: threading.Event) -> None:
        while not self._stopped.is_set():
            wait_s = look()
            wake.wait(wait_s)
            wake.clear()
