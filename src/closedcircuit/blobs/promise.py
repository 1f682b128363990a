# SPDX-License-Identifier: Apache-2.0
"""What any store of segments promises; `tests/contract/blob_contract.py` holds every implementation to it.

* **Names.** A segment is named by camera, stream, beginning (to the millisecond) and kid. A name is written once and
  never again: creating it a second time raises StorageError.
* **Durability.** What was appended survives kill -9 at once, and a power cut after the next `sync_dirty` or `close`
  that began later. The name itself survives a power cut from `create` on.
* **Order.** A segment is a prefix of what was appended to it, always: after a crash it may lack its end, or end in
  zeros where a length reached the disk before its data, but never the middle of an append with the append before it
  missing.
* **Wholeness.** An `append` is written whole, or raises with the segment truncated to what it was before; only a crash
  leaves a part of one.
* **Threads.** Different segments may be used from different threads. One segment has one writer; `sync_dirty` and
  readers may run beside it. A reader that opened a growing segment sees it grow.
* **Who retries.** The caller. DiskFull and StorageError are `retry`; WrongDisk stays until somebody mounts the right
  one. Nothing here retries, sleeps or logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self

import msgspec

from closedcircuit.model import SegmentName

Buffer = bytes | bytearray | memoryview
"""A memoryview is one of bytes: its `len` is its size."""


class Named(Protocol):
    """What names a segment's file: a SegmentName, or a whole Segment."""

    @property
    def camera(self) -> str:
        """Slug."""

    @property
    def stream(self) -> str:
        """Slug: `main` or `sub`."""

    @property
    def start_90k(self) -> int:
        """Wall time of the first sample; names carry it to the millisecond."""

    @property
    def kid(self) -> bytes:
        """16 bytes."""


class Space(msgspec.Struct, frozen=True):
    """Room on a disk, in bytes."""

    total_bytes: int
    free_bytes: int  # to us, an ordinary user


class SegmentFile(Protocol):
    """A segment being written. Of one thread, but for the sync that `Store.sync_dirty` does beside it."""

    name: SegmentName
    size_bytes: int  # what was appended whole

    def append(self, buffers: Sequence[Buffer]) -> int:
        """Write the buffers as one run of bytes at the end; return how many bytes that was.

        Raises DiskFull or StorageError; the segment then ends where it ended before, and may be appended to again.
        """

    def close(self) -> None:
        """Make all of it durable and let go of it; a second call does nothing. Raises StorageError if it cannot be."""


class OpenSegment(Protocol):
    """A segment being read, from any number of threads. Also a context manager."""

    def pread(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises StorageError when the disk fails."""

    def size(self) -> int:
        """Bytes now."""

    def close(self) -> None:
        """Let go of it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


class Store(Protocol):
    """One disk, or whatever holds segments like one."""

    id: str

    def check(self) -> None:
        """Raise WrongDisk unless this is the disk that it was when it was adopted. Cheap: called for every segment."""

    def free(self) -> Space:
        """Room now. Raises WrongDisk or StorageError."""

    def create(self, name: Named) -> SegmentFile:
        """Begin a new segment. Raises WrongDisk, DiskFull, or StorageError (also when the name is taken)."""

    def sync_dirty(self) -> int:
        """Make durable what was appended to open segments before this call; return to how many.

        For one thread a disk, again and again. Raises StorageError after having tried all of them.
        """

    def open(self, name: Named) -> OpenSegment:
        """Open for reading. Raises NotFound, WrongDisk or StorageError."""

    def truncate(self, name: Named, size: int) -> None:
        """Cut a segment that nobody writes to down to `size` bytes, durably: the repair of a torn tail."""

    def delete(self, names: Iterable[Named]) -> int:
        """Remove segments, durably; return how many were there. Those that are not there are no error.

        crash inside: some are gone; the same call again removes the others.
        """

    def writing(self) -> set[bytes]:
        """Kids of the segments that are being written through this object: no repair may touch them."""

    def streams(self) -> list[tuple[str, str]]:
        """Every (camera, stream) that has or had segments here, sorted."""

    def walk(
        self, camera: str | None = None, stream: str | None = None, *, from_90k: int = 0
    ) -> Iterator[tuple[SegmentName, int]]:
        """Each segment and its size, a stream at a time, oldest first.

        `start_90k` is rounded down to the millisecond, as names are.
        `from_90k` leaves out what began on an earlier UTC day.
        Files that are not segments are passed over.
        """
