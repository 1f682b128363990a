# SPDX-License-Identifier: Apache-2.0
"""All disks as one outlet for pieces. Used from the sweep thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from closedcircuit.model import Cause
from closedcircuit.recording.account import Reason
from closedcircuit.recording.pieces import Piece, Plan
from closedcircuit.recording.ready import Ready
from closedcircuit.recording.writer import DiskWriter


class DiskOutlet:
    """Picks a disk for each new segment: the one that is ready for the camera, or another one that is well.

    A camera whose owner chose a disk never goes to another.
    """

    def __init__(self, writers: Iterable[DiskWriter], ready: Ready) -> None:
        self.writers: Mapping[str, DiskWriter] = {writer.disk.id: writer for writer in writers}
        self._ready = ready

    def open(self, plan: Plan, wished: str) -> Reason | None:
        """See `Outlet.open`."""
        place = self._ready.places.get(plan.camera)
        if place is None:
            return Cause.DISK_GONE, "no disk is ready yet"
        if not isinstance(place, str):
            return place
        failure = self.writers[place].failure
        if failure is not None:
            other = None if wished else next((w.disk.id for w in self.writers.values() if w.failure is None), None)
            if other is None:
                return failure
            place = other
        plan.disk = place
        return None

    def write(self, plan: Plan, piece: Piece) -> bool:
        """See `Outlet.write`."""
        return self.writers[plan.disk].submit(plan, piece)

    def close(self, plan: Plan) -> None:
        """See `Outlet.close`."""
        self.writers[plan.disk].close(plan)

    def expect(self, cameras: int) -> None:
        """So many cameras are recorded; any disk may have to take all of them."""
        for writer in self.writers.values():
            writer.expect(cameras)

    def report(self) -> dict[str, Any]:
        """`writer` of the status file."""
        writers = self.writers.values()
        return {
            "queue_bytes": sum(writer.queued_bytes for writer in writers),
            "dropped_fragments": sum(writer.refused for writer in writers),
            "written_bytes": sum(writer.written_bytes for writer in writers),
            "synced_90k": min((writer.synced_90k for writer in writers), default=0),
        }
