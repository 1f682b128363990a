# SPDX-License-Identifier: Apache-2.0
"""A disk in memory that can be made to fail, for the tests of whoever writes or reads footage."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Self

from closedcircuit.base.errors import DiskFull, NotFound, StorageError, WrongDisk
from closedcircuit.blobs.names import DAY_90K, name_of, path_of
from closedcircuit.blobs.promise import Buffer, Named, OpenSegment, SegmentFile, Space, Store
from closedcircuit.model import SegmentName


class MemoryDisk(Store):
    """See `promise.Store`, which it keeps, and the faults below. All state under one lock; any thread."""

    def __init__(self, disk_id: str = "memory", *, total_bytes: int = 1 << 40, reserve_bytes: int = 0) -> None:
        self.id = disk_id
        self.reserve_bytes = reserve_bytes
        self._total_bytes = total_bytes
        self._lock = threading.RLock()
        self._files: dict[str, _Bytes] = {}
        self._left_bytes: int | None = None
        self._broken = False
        self._gone = False

    # -------------------------------------------------------------------------------------------- faults

    def full_after(self, size: int | None) -> None:
        """Let `size` more bytes be written, then raise DiskFull; None: no limit but the disk's size."""
        with self._lock:
            self._left_bytes = size

    def break_down(self, broken: bool = True) -> None:
        """Fail every access to data as a dying disk does (EIO), or stop failing."""
        self._broken = broken

    def vanish(self, gone: bool = True) -> None:
        """Be unmounted: WrongDisk from everything, or come back as it was."""
        self._gone = gone

    def cut_power(self) -> None:
        """Lose all that no sync and no close made durable; writers are dead afterwards."""
        with self._lock:
            for file in self._files.values():
                del file.data[file.durable_bytes :]
                file.writer = None

    # -------------------------------------------------------------------------------------------- the promise

    def check(self) -> None:
        """Raise WrongDisk while vanished."""
        if self._gone:
            raise WrongDisk(f"{self.id} holds no marker.", remedy="Mount the disk.")

    def free(self) -> Space:
        """Room now, the limit of `full_after` included."""
        self.check()
        with self._lock:
            left = self._total_bytes - sum(len(f.data) for f in self._files.values())
            return Space(self._total_bytes, left if self._left_bytes is None else min(left, self._left_bytes))

    def create(self, name: Named) -> MemorySegment:
        """Begin a segment."""
        self.check()
        self._data()
        with self._lock:
            key = str(path_of(name))
            if key in self._files:
                raise StorageError(f"The disk failed: creating {key} (File exists).")
            self._files[key] = file = _Bytes(name_of(name))
            file.writer = MemorySegment(self, file)
            return file.writer

    def sync_dirty(self) -> int:
        """Count what is written now as durable."""
        self.check()
        self._data()
        with self._lock:
            dirty = [f for f in self._files.values() if f.durable_bytes < len(f.data)]
            for file in dirty:
                file.durable_bytes = len(file.data)
            return len(dirty)

    def open(self, name: Named) -> MemoryReader:
        """Open for reading."""
        self.check()
        return MemoryReader(self, self._file(name))

    def truncate(self, name: Named, size: int) -> None:
        """Cut a torn tail off."""
        self._data()
        with self._lock:
            file = self._file(name)
            del file.data[size:]
            file.durable_bytes = len(file.data)

    def delete(self, names: Iterable[Named]) -> int:
        """Remove segments."""
        self.check()
        self._data()
        with self._lock:
            return sum(self._files.pop(str(path_of(name)), None) is not None for name in names)

    def writing(self) -> set[bytes]:
        """Kids of segments that have a writer."""
        with self._lock:
            return {f.name.kid for f in self._files.values() if f.writer is not None}

    def streams(self) -> list[tuple[str, str]]:
        """Every stream with a segment."""
        self.check()
        with self._lock:
            return sorted({(f.name.camera, f.name.stream) for f in self._files.values()})

    def walk(
        self, camera: str | None = None, stream: str | None = None, *, from_90k: int = 0
    ) -> Iterator[tuple[SegmentName, int]]:
        """Each segment and its size."""
        self.check()
        with self._lock:
            files = sorted(
                self._files.values(), key=lambda f: (f.name.camera, f.name.stream, f.name.start_90k, f.name.kid)
            )
            found = [
                (SegmentName(f.name.camera, f.name.stream, f.name.start_90k // 90 * 90, f.name.kid), len(f.data))
                for f in files
                if camera in {None, f.name.camera}
                and stream in {None, f.name.stream}
                and f.name.start_90k // DAY_90K >= from_90k // DAY_90K
            ]
        yield from found

    # -------------------------------------------------------------------------------------------- inside

    def _file(self, name: Named) -> _Bytes:
        with self._lock:
            try:
                return self._files[str(path_of(name))]
            except KeyError:
                raise NotFound(f"It is not there: opening {path_of(name)}.") from None

    def _data(self) -> None:
        if self._broken:
            raise StorageError("The disk failed: Input/output error.", remedy="Look at the disk's health.")

    def _append(self, file: _Bytes, buffers: Sequence[Buffer]) -> int:
        self._data()
        self.check()
        total = sum(map(len, buffers))
        with self._lock:
            if self.free().free_bytes < total:
                raise DiskFull("The disk is full.", remedy="Add a disk.")
            if self._left_bytes is not None:
                self._left_bytes -= total
            for buffer in buffers:
                file.data += buffer
        return total

    def _finish(self, file: _Bytes) -> None:
        with self._lock:
            file.writer = None
            self._data()
            file.durable_bytes = len(file.data)

    def _read(self, file: _Bytes, offset: int, size: int) -> bytes:
        self._data()
        with self._lock:
            return bytes(file.data[offset : offset + size])


class _Bytes:
    """One file; guarded by its disk's lock."""

    def __init__(self, name: SegmentName) -> None:
        self.name = name
        self.data = bytearray()
        self.durable_bytes = 0
        self.writer: MemorySegment | None = None


class MemorySegment(SegmentFile):
    """A segment being written to memory."""

    def __init__(self, disk: MemoryDisk, file: _Bytes) -> None:
        self.name = file.name
        self.size_bytes = 0
        self._disk = disk
        self._file = file

    def append(self, buffers: Sequence[Buffer]) -> int:
        """Write at the end, whole or not at all."""
        if self._file.writer is not self:
            raise StorageError("This segment is closed.")
        total = self._disk._append(self._file, buffers)  # noqa: SLF001 - one class in three parts
        self.size_bytes += total
        return total

    def close(self) -> None:
        """Make it durable."""
        if self._file.writer is self:
            self._disk._finish(self._file)  # noqa: SLF001 - one class in three parts


class MemoryReader(OpenSegment):
    """A segment open for reading."""

    def __init__(self, disk: MemoryDisk, file: _Bytes) -> None:
        self._disk = disk
        self._file = file

    def pread(self, offset: int, size: int) -> bytes:
        """Read up to `size` bytes."""
        return self._disk._read(self._file, offset, size)  # noqa: SLF001 - one class in three parts

    def size(self) -> int:
        """Bytes now."""
        return len(self._file.data)

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()
