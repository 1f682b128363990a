# SPDX-License-Identifier: Apache-2.0
"""The threads of one disk: one seals and writes, one makes durable.

Promises. `submit` and `close` never wait and are called from one thread (the sweep's). The queue is bounded by bytes, a
disk's and a camera's; overflow rule: the new piece is refused, and its stream starts again at a key frame. Pieces of a
segment are written in order, each by one `writev`, plaintext only ever in memory. After every round of writes the data
is synced at once, so that a power cut takes at most the fragments of the round. A piece that cannot be written breaks
its segment: the segment ends with what it has, and every later piece of it fails the same way. Nobody retries here.

Ownership: `_lock` guards the counts of queued bytes and the failure; `_jobs` and `_closing` are deques with one thread
at each end; the lower half of a `Plan` belongs to the writing thread.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from closedcircuit.base import Clock
from closedcircuit.base.durable import checkpoint
from closedcircuit.base.errors import DiskFull, MediaError, StorageError
from closedcircuit.blobs import SegmentFile, Store
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.model import Cause, Fragment, SegmentName
from closedcircuit.recording.account import Reason
from closedcircuit.recording.pieces import Outcome, Piece, Plan

DISK_QUEUE_BYTES = 64 << 20
CAMERA_QUEUE_BYTES = 12 << 20
CAMERA_SHARE_BYTES = 3 << 20
"""A disk's queue holds at least so much for every camera: where all began at once, their fragments end at once, too."""
RETRY_S = 3.0
"""How long a disk that failed is left alone."""
JOIN_S = 8.0


class Notes(NamedTuple):
    """Who is told. All are called from the disk's threads and must not block."""

    outcome: Callable[[Outcome], None]
    grown: Callable[[Plan], None]  # a segment has another fragment
    closed: Callable[[Plan], None]  # a segment is finished and durable; `sha256` is set


class Work:
    """The open file of a segment. Of the writing thread; then of the syncing one, which closes it."""

    __slots__ = ("digest", "file", "head", "packer")

    def __init__(self, file: SegmentFile, packer: FragmentWriter, head: bytes) -> None:
        self.file, self.packer = file, packer
        self.head = head  # ftyp, moov and our header, until the first fragment takes them along
        self.digest = hashlib.sha256()


class DiskWriter:
    """A disk's queue and threads."""

    def __init__(self, disk: Store, clock: Clock, notes: Notes, queue_bytes: int = DISK_QUEUE_BYTES) -> None:
        self.disk = disk
        self.written_bytes = 0
        self.synced_90k = 0
        self.refused = 0
        self._clock, self._notes = clock, notes
        self._limit = self._least = queue_bytes
        self._lock = threading.Lock()
        self._queued: dict[str, int] = {}  # bytes by camera
        self._total = 0
        self._failure: Reason | None = None
        self._failed_s = 0.0
        self._jobs: deque[tuple[Plan, Piece | None] | None] = deque()
        self._wake = threading.Semaphore(0)
        self._closing: deque[Plan] = deque()
        self._unsynced = threading.Event()
        self._stopped = threading.Event()
        self._threads = (
            threading.Thread(target=self._write_all, name=f"write {disk.id}", daemon=True),
            threading.Thread(target=self._sync_all, name=f"sync {disk.id}", daemon=True),
        )

    def start(self) -> None:
        """Start both threads."""
        for thread in self._threads:
            thread.start()

    def is_whole(self) -> bool:
        """Whether both threads live."""
        return all(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Write and sync what is queued, then end. Call once, after the last `close`."""
        self._jobs.append(None)
        self._wake.release()
        for thread in self._threads:
            thread.join(JOIN_S)

    # ------------------------------------------------------------------------------------------------ the sweep's side

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait."""
        return self._total

    @property
    def failure(self) -> Reason | None:
        """Why this disk is left alone just now; None: it may be tried."""
        with self._lock:
            if self._failure and self._clock.monotonic_s() - self._failed_s >= RETRY_S:
                self._failure = None
            return self._failure

    def expect(self, cameras: int) -> None:
        """So many cameras may write here."""
        self._limit = max(self._least, cameras * CAMERA_SHARE_BYTES)

    def submit(self, plan: Plan, piece: Piece) -> bool:
        """Queue a piece. False: no room."""
        with self._lock:
            queued = self._queued.get(plan.camera, 0)
            if self._total + piece.size > self._limit or queued + piece.size > CAMERA_QUEUE_BYTES:
                self.refused += 1
                return False
            self._queued[plan.camera] = queued + piece.size
            self._total += piece.size
        self._jobs.append((plan, piece))
        self._wake.release()
        return True

    def close(self, plan: Plan) -> None:
        """Queue the end of a segment."""
        self._jobs.append((plan, None))
        self._wake.release()

    # ------------------------------------------------------------------------------------------------ writing

    def work_off(self) -> None:
        """Write, sync and close all that is queued, in the calling thread. For who did not start the threads."""
        while self._jobs:
            self._wake.acquire()
            self._next()
        self._sync_once()

    def _write_all(self) -> None:
        while True:
            self._wake.acquire()
            if not self._next():
                break
            if not self._jobs:
                self._unsynced.set()
        self._stopped.set()
        self._unsynced.set()

    def _next(self) -> bool:
        """Do the next job; False if it is the last. A function of its own: at its end, a piece's megabyte is freed."""
        job = self._jobs.popleft()
        if job is None:
            return False
        plan, piece = job
        if piece is None:
            self._end(plan)
        else:
            self._write(plan, piece)
            self._release(plan.camera, piece.size)
        return True

    def _release(self, camera: str, size: int) -> None:
        with self._lock:
            self._total -= size
            left = self._queued[camera] - size
            if left:
                self._queued[camera] = left
            else:
                del self._queued[camera]

    def _write(self, plan: Plan, piece: Piece) -> None:
        failed: Reason | None = None
        try:
            if plan.is_broken:
                failed = self._failure or (Cause.DISK_GONE, "the segment before it failed")
            else:
                self._append(plan, piece)
        except (MediaError, ValueError) as error:  # samples that are none: one camera's fault, not the disk's
            failed = Cause.BROKEN, str(error)
        except DiskFull as error:
            failed = Cause.DISK_FULL, str(error)
        except StorageError as error:
            failed = Cause.DISK_GONE, str(error)
        if failed is not None and not plan.is_broken:
            self._break(plan, failed)
        elif failed is None:
            self._notes.grown(plan)
        self._notes.outcome(
            Outcome(plan, piece.start_90k, piece.end_90k, failed[0] if failed else None, failed[1] if failed else "")
        )

    def _append(self, plan: Plan, piece: Piece) -> None:
        """Seal one piece and write it.

        crash before: nothing of it. crash inside: a torn last fragment, or a file without a whole one; start-up
        truncates or removes it.
        """
        work = plan.work
        if not isinstance(work, Work):
            work = plan.work = self._begin(plan)
        buffers, info = work.packer.write(piece.samples, piece.start_90k, piece.next_pts)
        if work.head:
            buffers = [work.head, *buffers]
        for buffer in buffers:
            work.digest.update(buffer)
        checkpoint("recording.fragment")
        size = work.file.append(buffers)
        work.head = b""
        offset = plan.size_bytes or plan.init_bytes
        plan.size_bytes += size
        self.written_bytes += size
        plan.fragments.append(
            Fragment(
                piece.start_90k,
                piece.end_90k - piece.start_90k,
                offset,
                plan.size_bytes - offset,
                piece.key,
                info.key_bytes if piece.key else 0,
            )
        )

    def _begin(self, plan: Plan) -> Work:
        """Create the file of a segment.

        crash after: an empty file, which start-up removes.
        """
        if plan.key is None:
            raise StorageError("a segment without a key")
        header = {
            "v": 1,
            "camera": plan.camera,
            "stream": plan.stream,
            "run": plan.run,
            "start_90k": plan.start_90k,
            "before": plan.before,
        }
        head = init_segment(plan.tracks, plan.kid, msgspec.json.encode(header))
        packer = FragmentWriter(plan.tracks, tuple(plan.key.cipher() for _ in plan.tracks))
        plan.init_bytes = len(head)
        plan.tracks_packed = msgspec.msgpack.encode(plan.tracks)
        checkpoint("recording.segment")
        file = self.disk.create(SegmentName(plan.camera, plan.stream, plan.start_90k, plan.kid))
        return Work(file, packer, head)

    def _break(self, plan: Plan, failed: Reason) -> None:
        plan.is_broken = True
        if failed[0] is not Cause.BROKEN:
            self._fail(failed)
        self._finish(plan)

    def _fail(self, reason: Reason) -> None:
        with self._lock:
            self._failure, self._failed_s = reason, self._clock.monotonic_s()

    def _end(self, plan: Plan) -> None:
        if not plan.is_broken:
            self._finish(plan)

    def _finish(self, plan: Plan) -> None:
        """Let the other thread close the file: an fsync takes as long as the disk likes."""
        if isinstance(plan.work, Work):
            plan.work.head = b""
            self._closing.append(plan)
            self._unsynced.set()

    # ------------------------------------------------------------------------------------------------ making durable

    def _sync_all(self) -> None:
        last = False
        while not last:
            self._unsynced.wait()
            self._unsynced.clear()
            last = self._stopped.is_set()
            self._sync_once()

    def _sync_once(self) -> None:
        """Make durable what was written, and close what is finished.

        crash before: what this round wrote may be gone if the power went too.
        """
        at_90k = self._clock.now_90k()
        try:
            checkpoint("recording.sync")
            self.disk.sync_dirty()
            self.synced_90k = at_90k
        except StorageError as error:
            self._fail((Cause.DISK_GONE, str(error)))
        while self._closing:
            self._close(self._closing.popleft())

    def _close(self, plan: Plan) -> None:
        """Close a finished segment.

        crash before: a whole file that the index calls growing, or does not know; start-up indexes it.
        """
        work = plan.work
        if not isinstance(work, Work):
            return
        plan.work = None
        try:
            checkpoint("recording.close")
            work.file.close()
            if not plan.fragments:
                self.disk.delete([work.file.name])
                return
        except StorageError as error:
            self._fail((Cause.DISK_GONE, str(error)))
        if plan.fragments:
            plan.sha256 = work.digest.digest()
            self._notes.closed(plan)
