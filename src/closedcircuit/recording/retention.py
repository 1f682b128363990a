# SPDX-License-Identifier: Apache-2.0
"""What becomes of old footage: deleted in an order that a crash cannot break, and never what is held.

`Keeper.round` is one pass: go on with what was begun, delete what is past its camera's limits, make room on disks that
run low. Oldest first, over all cameras. Where a disk runs low and everything on it is held, nothing is deleted, and the
keeper says so for as long as it lasts: recording stops before evidence goes.

One thread. Nobody else deletes footage or key files, so there is nothing to lock but the database, which is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from closedcircuit.base import TICKS, Clock, fsync_dir
from closedcircuit.base.durable import checkpoint
from closedcircuit.base.errors import NotFound, StorageError
from closedcircuit.blobs import Disk, Disks, DiskState
from closedcircuit.catalogue import Catalogue, Policy, fill_hashes
from closedcircuit.model import Segment

BATCH = 128
ROUND_MAX = 64
"""Batches a round: the status is written between rounds."""
MARGIN_BYTES = 512 << 20
MARGIN_PART = 50
"""Room is made before a disk reaches its reserve, where recording stops: this much, at most 1/50 of the disk."""
DOOMED_COUNTED = 1000
HASHED_BYTES = 32 << 20
"""Read again a round to learn hashes that a repair or a rebuild left open: some 0.4 GB a minute."""
STRAY_AGE_S = 86_400
STRAYS_EVERY_S = 86_400
KEY_SPAN_90K = 2 * 3600 * TICKS
"""All segments under a key begin within this of each other."""


class DiskReport(msgspec.Struct, frozen=True, kw_only=True):
    """A disk as the status file tells it."""

    id: str
    path: str
    state: str  # blobs.DiskState
    total_bytes: int
    free_bytes: int
    reserve_bytes: int
    footage_bytes: int


class Keeper:
    """See above. `full` is a sentence while a disk is full of what may not be deleted; else empty."""

    def __init__(self, catalogue: Catalogue, disks: Disks, keys_dir: Path, clock: Clock) -> None:
        self.full = ""
        self.trouble = ""
        self.deleted_bytes = 0
        self.deleted_segments = 0
        self.strays_removed = 0
        self._catalogue, self._disks, self._keys_dir, self._clock = catalogue, disks, keys_dir, clock
        self._strays_due_s = 0.0

    def round(self, policy: Policy, beat: Callable[[], bool] = lambda: True) -> None:
        """One pass. `beat` is called between batches; False ends the pass early. Raises Busy and the like."""
        self.trouble = ""
        self._resume(beat)
        for _ in range(ROUND_MAX):
            old = self._catalogue.expired(policy, BATCH)
            if not old or not self._delete(old, "past its time") or not beat():
                break
        full = [self._make_room(disk.id, beat) for disk in self._disks]
        self.full = " ".join(sentence for sentence in full if sentence)
        fill_hashes(self._disks, self._catalogue, HASHED_BYTES)
        now_s = self._clock.monotonic_s()
        if now_s >= self._strays_due_s:
            self._strays_due_s = now_s + STRAYS_EVERY_S
            self.remove_strays()

    def report(self) -> list[DiskReport]:
        """Every disk as it is now."""
        footage = self._catalogue.bytes_by_disk()
        found = []
        for disk in self._disks:
            state = self._disks.state(disk)
            total = free = 0
            if state in {DiskState.OK, DiskState.FULL}:
                try:
                    space = disk.free()
                    total, free = space.total_bytes, space.free_bytes
                except StorageError:
                    state = DiskState.MISSING
            found.append(
                DiskReport(
                    id=disk.id,
                    path=str(disk.path),
                    state=str(state),
                    total_bytes=total,
                    free_bytes=free,
                    reserve_bytes=disk.reserve_bytes,
                    footage_bytes=footage.get(disk.id, 0),
                )
            )
        return found

    def facts(self, policy: Policy) -> dict[str, Any]:
        """What the keeper says in its status file, beside what every role says."""
        disks = self.report()
        forecast = self._catalogue.forecast(policy, sum(max(0, d.free_bytes - d.reserve_bytes) for d in disks))
        return {
            "state": "full" if self.full else "trouble" if self.trouble else "ok",
            "sentence": self.full or self.trouble,
            "disks": disks,
            "forecast": forecast,
            "forecast_days": forecast.days_until_full,
            "doomed": len(self._catalogue.doomed(DOOMED_COUNTED)),
            "deleted_segments": self.deleted_segments,
            "deleted_bytes": self.deleted_bytes,
        }

    # ------------------------------------------------------------------------------------------------ deleting

    def _resume(self, beat: Callable[[], bool]) -> None:
        """Go on with deletions that a crash interrupted."""
        while begun := self._catalogue.doomed(BATCH):
            if not self._carry_out(begun, "its deletion had begun") or not beat():
                return

    def _make_room(self, disk_id: str, beat: Callable[[], bool]) -> str:
        """Delete the oldest footage of a disk that runs low; a sentence where that is not allowed."""
        disk = self._disks[disk_id]
        for _ in range(ROUND_MAX):
            try:
                space = disk.free()
            except StorageError as error:
                self.trouble = str(error)
                return ""
            margin = min(MARGIN_BYTES, space.total_bytes // MARGIN_PART)
            need = disk.reserve_bytes + margin - space.free_bytes
            if need <= 0:
                return ""
            oldest = self._catalogue.oldest_on(disk_id, need, BATCH)
            if not oldest or not self._delete(oldest, "the disk was full"):
                if space.free_bytes > disk.reserve_bytes:
                    return ""
                return (
                    f"The disk {disk_id} is full, and nothing on it may be deleted: all footage there is held or still"
                    " being written. Nothing more is recorded on it. Release a hold, add a disk, or free space."
                )
            if not beat():
                return ""
        return ""

    def _delete(self, segments: Sequence[Segment], why: str) -> bool:
        checkpoint("recording.doom")
        # crash before: nothing changed. crash after: they are listed, and `_resume` goes on.
        listed = self._catalogue.doom(segments)
        return bool(listed) and self._carry_out(listed, why)

    def _carry_out(self, segments: Sequence[Segment], why: str) -> bool:
        """Files, then keys that nothing needs any more, then rows. False where nothing could be done."""
        gone: list[Segment] = []
        saved = 0
        by_disk: dict[str, list[Segment]] = {}
        for segment in segments:
            by_disk.setdefault(segment.disk, []).append(segment)
        known = {disk.id: disk for disk in self._disks}
        for disk_id, theirs in by_disk.items():
            disk = known.get(disk_id)
            if disk is None:
                self.trouble = f"Footage that should be deleted lies on the disk {disk_id}, which is not configured."
                continue
            checkpoint("recording.unlink")
            # crash inside: some files are gone; they are still listed, and the same call removes the others
            try:
                theirs, pardoned = self._without_held(disk, theirs)
                saved += pardoned
                disk.delete(theirs)
            except StorageError as error:
                self.trouble = str(error)
                continue
            gone += theirs
        if not gone:
            return saved > 0
        for camera, key_id in self._catalogue.spare_keys(gone):
            starts = [s.start_90k for s in gone if s.camera == camera and s.kid[:8].hex() == key_id]
            self._remove_key(camera, key_id, min(starts) - KEY_SPAN_90K, max(starts) + KEY_SPAN_90K)
        checkpoint("recording.deleted")
        # crash before: rows without files, still listed
        self._catalogue.deleted(gone, why)
        self.deleted_segments += len(gone)
        self.deleted_bytes += sum(segment.size_bytes for segment in gone)
        return True

    def _without_held(self, disk: Disk, segments: list[Segment]) -> tuple[list[Segment], int]:
        """Take off the list what is held by now, and still there; return the rest, and how many that were.

        crash after: they are kept, as they should be.
        """
        saved = [segment for segment in self._catalogue.held(segments) if _is_there(disk, segment)]
        if not saved:
            return segments, 0
        checkpoint("recording.pardon")
        self._catalogue.pardon(saved)
        kept = {segment.kid for segment in saved}
        return [segment for segment in segments if segment.kid not in kept], len(saved)

    # ------------------------------------------------------------------------------------------------ keys

    def _remove_key(self, camera: str, key_id: str, from_90k: int, to_90k: int) -> None:
        """Forget an hour: without this file, whatever copies of the footage exist open for nobody.

        crash before: a key file that opens nothing; `remove_strays` finds it.
        """
        if self._is_needed(camera, {key_id}, from_90k, to_90k):
            self.trouble = f"A key of {camera} is needed by footage that the index does not know; it is kept."
            return
        checkpoint("recording.key-removed")
        path = self._keys_dir / camera / f"{key_id}.age"
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            fsync_dir(path.parent)

    def remove_strays(self) -> int:
        """Remove key files, a day old, that no footage on any disk needs; only while every disk is there."""
        removed = 0
        oldest_s = self._clock.now_90k() / TICKS - STRAY_AGE_S
        for folder in sorted(self._keys_dir.iterdir()) if self._keys_dir.is_dir() else []:
            if not folder.is_dir():
                continue
            old = {path.stem: path for path in folder.glob("*.age") if path.stat().st_mtime < oldest_s}
            spare = set(old) - self._catalogue.keys_in_use(folder.name)
            if spare:
                spare -= self._is_needed(folder.name, spare)
            for key_id in sorted(spare):
                checkpoint("recording.stray-removed")
                old[key_id].unlink(missing_ok=True)
                removed += 1
            if spare:
                fsync_dir(folder)
            if not any(folder.iterdir()):
                folder.rmdir()
        self.strays_removed += removed
        return removed

    def _is_needed(self, camera: str, key_ids: set[str], from_90k: int = 0, to_90k: int = 1 << 62) -> set[str]:
        """Which of these keys some file on a disk names; all of them while a disk cannot be looked at.

        The index is asked first and the disks have the last word: a key deleted wrongly is an hour lost for ever.
        """
        needed: set[str] = set()
        for disk in self._disks:
            try:
                for of_camera, stream in disk.streams():
                    if of_camera != camera:
                        continue
                    for name, _ in disk.walk(camera, stream, from_90k=from_90k):
                        if name.start_90k > to_90k:
                            break
                        if name.key_id in key_ids:
                            needed.add(name.key_id)
            except StorageError:
                return set(key_ids)
        return needed


def _is_there(disk: Disk, segment: Segment) -> bool:
    try:
        disk.open(segment).close()
    except NotFound:
        return False
    return True
