# SPDX-License-Identifier: Apache-2.0
"""All disks of a site, and which of them a camera writes to."""

from __future__ import annotations

import enum
import hashlib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from closedcircuit.base.durable import write_durably
from closedcircuit.base.errors import DiskFull, NotFound, StorageError, WrongDisk
from closedcircuit.base.ids import Ids, SystemIds
from closedcircuit.blobs.disk import MARKER, Disk, Marker, read_marker
from closedcircuit.model import Camera


class DiskConfig(NamedTuple):
    """One disk as configured: a plain tuple will do."""

    id: str
    path: Path
    reserve_bytes: int = 0  # kept free: recording stops, or retention deletes, before it is touched


class DiskState(enum.StrEnum):
    """What the Storage page says of a disk."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    FULL = "full"


class Disks:
    """The disks by id, in the order of the configuration. Nothing changes after construction; any thread."""

    def __init__(self, configs: Iterable[tuple[str, Path, int]]) -> None:
        self._disks = {disk_id: Disk(disk_id, path, reserve) for disk_id, path, reserve in configs}

    @staticmethod
    def adopt(path: Path, *, disk_id: str = "", ids: Ids | None = None) -> str:
        """Make a folder a disk of ours by writing its marker; return its id (random unless told).

        A folder that is one already keeps its id. Raises WrongDisk if that is not `disk_id`, StorageError if the
        folder is not there or cannot be written. Never call this at start-up for a disk that is configured: an empty
        mount point would become a disk.
        """
        if not path.is_dir():
            raise StorageError(f"{path} is not a folder.", remedy="Create it, or mount the disk that it is on.")
        present = read_marker(path)
        if present is not None:
            if disk_id and present.id != disk_id:
                raise WrongDisk(f"{path} is already the disk {present.id}.", remedy=f"Configure it as {present.id}.")
            return present.id
        chosen = disk_id or (ids or SystemIds()).random(8).hex()
        try:
            write_durably(path / MARKER, msgspec.json.encode(Marker(v=1, id=chosen)) + b"\n")
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error.strerror}).") from error
        return chosen

    def __iter__(self) -> Iterator[Disk]:
        return iter(self._disks.values())

    def __len__(self) -> int:
        return len(self._disks)

    def __getitem__(self, disk_id: str) -> Disk:
        """Return a disk by its id; raises NotFound."""
        try:
            return self._disks[disk_id]
        except KeyError:
            raise NotFound(f"There is no disk {disk_id} in the configuration.", remedy="Add it again.") from None

    def choose(self, camera: Camera) -> Disk:
        """Return the disk for a new segment of a camera.

        The one that its owner chose, and no other; else a stable one, so that a camera stays on a disk and the
        cameras spread in proportion to the disks' sizes (weighted rendezvous hashing: taking a disk away moves only
        its own cameras). Disks that are missing, wrong or down to their reserve are passed over.

        Raises DiskFull if all that are there are down to their reserve, WrongDisk or StorageError if none is there.
        """
        if camera.disk:
            disk = self[camera.disk]
            if disk.free().free_bytes <= disk.reserve_bytes:
                raise _full(f"The disk {disk.id} of {camera.name} is full.")
            return disk
        best: Disk | None = None
        best_weight = -1.0
        trouble: StorageError | None = None
        for disk in self:
            try:
                space = disk.free()
            except StorageError as error:
                trouble = error if trouble is None else trouble
                continue
            if space.free_bytes <= disk.reserve_bytes:
                trouble = _full(f"The disk {disk.id} is full.")
                continue
            weight = _weight(camera.id, disk.id, space.total_bytes)
            if weight > best_weight:
                best, best_weight = disk, weight
        if best is not None:
            return best
        raise trouble or StorageError("No disk is configured.", remedy="Add one under [[disk]] in config.toml.")

    def state(self, disk: Disk) -> DiskState:
        """Say how a disk is now."""
        try:
            space = disk.free()
        except WrongDisk:
            try:
                missing = read_marker(disk.path) is None
            except WrongDisk:
                missing = False
            return DiskState.MISSING if missing else DiskState.WRONG
        except StorageError:
            return DiskState.MISSING
        return DiskState.FULL if space.free_bytes <= disk.reserve_bytes else DiskState.OK


def _full(message: str) -> DiskFull:
    return DiskFull(message, remedy="Shorten retention, release holds, or add a disk (Storage page).")


def _weight(camera: str, disk: str, total_bytes: int) -> float:
    """Size over an exponentially distributed variate of the pair: the largest wins in proportion to size."""
    digest = hashlib.sha256(f"{camera}\0{disk}".encode()).digest()
    uniform = (int.from_bytes(digest[:7]) + 1) / (1 << 56)
    return total_bytes / -math.log(uniform) if uniform < 1 else math.inf
