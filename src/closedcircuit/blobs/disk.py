# SPDX-License-Identifier: Apache-2.0
"""A folder of a local file system as a store of segments."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from closedcircuit.base.durable import checkpoint, fsync_dir
from closedcircuit.base.errors import WrongDisk
from closedcircuit.base.ids import is_slug
from closedcircuit.blobs._file import DiskReader, DiskSegment, ours
from closedcircuit.blobs._sync import HAS_SYNCFS, sync_data, sync_file_system
from closedcircuit.blobs.names import FOOTAGE, day_of, is_day, name_of, parse_file, path_of
from closedcircuit.blobs.promise import Named, Space, Store
from closedcircuit.model import SegmentName

MARKER = ".closedcircuit-disk"
FEW = 8
"""Up to so many dirty segments are synced one by one; above, one syncfs for all is cheaper (a flush of the drive each
against one), and on a recorder's disk nearly all that is dirty is ours."""


class Marker(msgspec.Struct, frozen=True):
    """Contents of the marker file."""

    v: int
    id: str


def read_marker(folder: Path) -> Marker | None:
    """Return the folder's marker, or None where there is none. Raises WrongDisk for an unreadable one."""
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=Marker)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise WrongDisk(f"{folder / MARKER} cannot be read ({error}).", remedy="Restore it from a backup.") from error


class Disk(Store):
    """See `promise.Store`. `_lock` guards `_open` (segments being written) and `_marker_stat`."""

    def __init__(self, disk_id: str, path: Path, reserve_bytes: int = 0) -> None:
        self.id = disk_id
        self.path = path
        self.reserve_bytes = reserve_bytes
        self._lock = threading.Lock()
        self._open: set[DiskSegment] = set()
        self._marker_stat: tuple[int, int, int] | None = None
        self._folders: set[Path] = set()  # known to exist and to be durable; of the writer threads, a race is harmless

    def check(self) -> None:
        """Raise WrongDisk unless the folder holds this disk's marker: so an empty mount point is not written to."""
        try:
            found = os.stat(self.path / MARKER)  # noqa: PTH116 - a quarter of Path.stat's cost, once a segment
        except OSError as error:
            raise WrongDisk(
                f"{self.path} is not the disk {self.id}: it holds no {MARKER}.",
                remedy="Mount the disk; or, if it is a new one, make it one with `closedcircuit footage adopt`.",
            ) from error
        stat = (found.st_dev, found.st_ino, found.st_mtime_ns)
        if stat == self._marker_stat:
            return
        marker = read_marker(self.path)
        if marker is None or marker.id != self.id:
            other = "another" if marker is None else marker.id
            raise WrongDisk(
                f"{self.path} holds the disk {other}, not {self.id}.", remedy="Mount the right disk, or correct its id."
            )
        with self._lock:
            self._marker_stat = stat
            self._folders.clear()  # what is mounted here may have changed

    def free(self) -> Space:
        """Room now."""
        self.check()
        try:
            found = os.statvfs(self.path)
        except OSError as error:
            raise ours(error, f"asking {self.path} for its space") from error
        return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def create(self, name: Named) -> DiskSegment:
        """Begin a segment.

        crash after the open: an empty file, perhaps without a durable name; start-up removes it.
        """
        self.check()
        own = name_of(name)
        path = self.path / path_of(own)
        try:
            self._make_folder(path.parent)
            checkpoint("blobs.create")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ours(error, f"creating {path}") from error
        try:
            checkpoint("blobs.create-fsync-dir")
            fsync_dir(path.parent)
        except OSError as error:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise ours(error, f"creating {path}") from error
        segment = DiskSegment(own, path, fd, self._forget)
        with self._lock:
            self._open.add(segment)
        return segment

    def sync_dirty(self) -> int:
        """Sync the data of all segments being written."""
        with self._lock:
            dirty = [s for s in self._open if s.dirty]
        if len(dirty) > FEW and HAS_SYNCFS:
            return self._sync_all(dirty)
        done, failed = 0, None
        for segment in dirty:
            try:
                done += segment.sync()
            except OSError as error:
                failed = error
        if failed is not None:
            raise ours(failed, f"syncing segments on {self.path}") from failed
        return done

    def open(self, name: Named) -> DiskReader:
        """Open for reading."""
        path = self.path / path_of(name)
        if not path.exists():
            self.check()  # a missing disk is told as that, not as missing footage
        return DiskReader(path)

    def truncate(self, name: Named, size: int) -> None:
        """Cut a torn tail off."""
        path = self.path / path_of(name)
        checkpoint("blobs.truncate")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                if os.fstat(fd).st_size > size:
                    os.ftruncate(fd, size)
                    sync_data(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise ours(error, f"truncating {path}") from error

    def delete(self, names: Iterable[Named]) -> int:
        """Unlink, then make the folders durable, each once."""
        self.check()
        done = 0
        folders: set[Path] = set()
        for name in names:
            path = self.path / path_of(name)
            checkpoint("blobs.unlink")
            try:
                path.unlink()
                done += 1
            except FileNotFoundError:
                pass
            except OSError as error:
                raise ours(error, f"deleting {path}") from error
            folders.add(path.parent)
        for folder in folders:
            self._sync_or_remove(folder)
        return done

    def writing(self) -> set[bytes]:
        """Kids of segments that this process has open."""
        with self._lock:
            return {s.name.kid for s in self._open}

    def streams(self) -> list[tuple[str, str]]:
        """Folders two levels down."""
        self.check()
        root = self.path / FOOTAGE
        return [
            (camera, stream)
            for camera in _folders(root)
            if is_slug(camera)
            for stream in _folders(root / camera)
            if is_slug(stream)
        ]

    def walk(
        self, camera: str | None = None, stream: str | None = None, *, from_90k: int = 0
    ) -> Iterator[tuple[SegmentName, int]]:
        """Each segment and its size."""
        first_day = day_of(from_90k)
        for of_camera, of_stream in self.streams():
            if (camera is not None and of_camera != camera) or (stream is not None and of_stream != stream):
                continue
            root = self.path / FOOTAGE / of_camera / of_stream
            for day in _folders(root):
                if is_day(day) and day >= first_day:
                    yield from _segments(root / day, of_camera, of_stream)

    # -------------------------------------------------------------------------------------------- inside

    def _make_folder(self, folder: Path) -> None:
        if folder in self._folders and folder.is_dir():
            return
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            fsync_dir(each.parent)
        with self._lock:
            self._folders.update(missing)

    def _sync_all(self, dirty: list[DiskSegment]) -> int:
        for segment in dirty:
            segment.dirty = False  # before the sync: what is appended meanwhile is for the next
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sync_file_system(fd)
            finally:
                os.close(fd)
        except OSError as error:
            for segment in dirty:
                segment.dirty = True
            raise ours(error, f"syncing {self.path}") from error
        return len(dirty)

    def _forget(self, segment: DiskSegment) -> None:
        with self._lock:
            self._open.discard(segment)

    def _sync_or_remove(self, folder: Path) -> None:
        """Drop a day's folder that became empty. A segment being created in it makes the removal fail: good."""
        with self._lock:
            self._folders.discard(folder)
        try:
            folder.rmdir()
            folder = folder.parent
        except FileNotFoundError:
            return
        except OSError:
            pass  # not empty
        try:
            fsync_dir(folder)
        except OSError as error:
            raise ours(error, f"deleting from {folder}") from error


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ours(error, f"listing {path}") from error


def _segments(folder: Path, camera: str, stream: str) -> list[tuple[SegmentName, int]]:
    found: list[tuple[SegmentName, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = parse_file(camera, stream, folder.name, entry.name)
                if name is None:
                    continue
                try:
                    found.append((name, entry.stat(follow_symlinks=False).st_size))
                except FileNotFoundError:
                    continue  # deleted meanwhile
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ours(error, f"listing {folder}") from error
    found.sort(key=lambda item: (item[0].start_90k, item[0].kid))
    return found
