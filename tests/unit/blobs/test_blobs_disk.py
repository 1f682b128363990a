# SPDX-License-Identifier: Apache-2.0
"""Disks that are the ones they were, and what happens when they fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import TICKS, durable
from closedcircuit.base.errors import DiskFull, NotFound, StorageError, WrongDisk
from closedcircuit.blobs import Disk, Disks, DiskState, Space, parse_path, path_of
from closedcircuit.blobs import _file as file_module
from closedcircuit.blobs import disk as disk_module
from closedcircuit.blobs.fakes import MemoryDisk
from closedcircuit.model import Camera, SegmentName, Source

T0 = 1_800_000_000 * TICKS


def name(number: int = 1, at_90k: int = T0) -> SegmentName:
    return SegmentName("door", "main", at_90k, number.to_bytes(16, "big"))


def camera(camera_id: str = "door", disk: str = "") -> Camera:
    return Camera(id=camera_id, name=camera_id, main=Source(address="rtsp://x"), disk=disk)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(Disks.adopt(tmp_path), tmp_path)


# ------------------------------------------------------------------------------------------------ names


def test_the_path_is_the_contracts() -> None:
    which = SegmentName("door", "main", T0 + 90 * 123 + 89, bytes(range(16)))
    assert str(path_of(which)) == (
        "footage/door/main/2027-01-15/20270115T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4"
    )


@given(at=st.integers(0, 4_000_000_000 * TICKS), kid=st.binary(min_size=16, max_size=16))
def test_names_survive_the_file_system(at: int, kid: bytes) -> None:
    which = SegmentName("door", "sub", at, kid)
    assert parse_path(path_of(which)) == SegmentName("door", "sub", at // 90 * 90, kid)


@given(st.text(max_size=80))
def test_foreign_files_are_no_segments(text: str) -> None:
    path = PurePosixPath("footage/door/main/2027-01-15") / (text.replace("/", "") or "x")
    found = parse_path(path)
    assert found is None or path_of(found) == path


@pytest.mark.parametrize(
    "path",
    [
        "footage/door/main/2027-01-16/20270115T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4",  # another day
        "footage/door/main/2027-01-15/20270115T250000.123Z_000102030405060708090a0b0c0d0e0f.mp4",
        "footage/door/main/2027-13-15/20271315T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4",
        "footage/door/main/1969-12-31/19691231T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4",
        "footage/door/main/2027-01-15/20270115T080000.123Z_000102030405060708090A0B0C0D0E0F.mp4",
        "footage/Door/main/2027-01-15/20270115T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4",
        "footage/door/main/2027-01-15/20270115T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4.part",
        "elsewhere/door/main/2027-01-15/20270115T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4",
        "footage/door/2027-01-15/20270115T080000.123Z_000102030405060708090a0b0c0d0e0f.mp4",
    ],
)
def test_nearly_right_names_are_none(path: str) -> None:
    assert parse_path(PurePosixPath(path)) is None


# ------------------------------------------------------------------------------------------------ the marker


def test_adopting_is_once_and_the_id_stays(tmp_path: Path) -> None:
    first = Disks.adopt(tmp_path)
    assert Disks.adopt(tmp_path) == first == Disks.adopt(tmp_path, disk_id=first)
    with pytest.raises(WrongDisk):
        Disks.adopt(tmp_path, disk_id="other")
    with pytest.raises(StorageError):
        Disks.adopt(tmp_path / "missing")


def test_an_empty_mount_point_is_not_written_to(tmp_path: Path) -> None:
    mount = tmp_path / "mnt"
    mount.mkdir()
    disk = Disk(Disks.adopt(mount), mount)
    disk.create(name()).close()
    mount.rename(tmp_path / "unmounted")
    mount.mkdir()
    for act in (disk.check, disk.free, disk.streams, lambda: disk.create(name(2)), lambda: disk.open(name())):
        with pytest.raises(WrongDisk):
            act()
    assert list(mount.iterdir()) == []
    Disks.adopt(mount)  # another disk is mounted there
    with pytest.raises(WrongDisk):
        disk.create(name(2))
    mount_disks = Disks([(disk.id, mount, 0)])
    assert mount_disks.state(mount_disks[disk.id]) is DiskState.WRONG


@pytest.mark.parametrize("content", [b"", b"{", b'{"v":1}', b'{"v":1,"id":5}', b"\xff"])
def test_a_damaged_marker_is_a_wrong_disk(tmp_path: Path, content: bytes) -> None:
    disk = Disk(Disks.adopt(tmp_path), tmp_path)
    (tmp_path / disk_module.MARKER).write_bytes(content)
    with pytest.raises(WrongDisk):
        disk.check()


def test_states(tmp_path: Path) -> None:
    good, small, gone = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    for folder in (good, small):
        folder.mkdir()
        Disks.adopt(folder, disk_id=folder.name)
    disks = Disks([("a", good, 0), ("b", small, 1 << 60), ("c", gone, 0)])
    assert [disks.state(d) for d in disks] == [DiskState.OK, DiskState.FULL, DiskState.MISSING]
    assert len(disks) == 3
    with pytest.raises(NotFound):
        disks["d"]


# ------------------------------------------------------------------------------------------------ choosing


def make_disks(tmp_path: Path, reserves: dict[str, int]) -> Disks:
    for disk_id in reserves:
        (tmp_path / disk_id).mkdir()
        Disks.adopt(tmp_path / disk_id, disk_id=disk_id)
    return Disks([(d, tmp_path / d, reserve) for d, reserve in reserves.items()])


def test_cameras_stay_where_they_are_and_spread(tmp_path: Path) -> None:
    disks = make_disks(tmp_path, {"a": 0, "b": 0, "c": 0})
    before = {f"cam{n}": disks.choose(camera(f"cam{n}")).id for n in range(300)}
    assert all(60 < list(before.values()).count(d) < 140 for d in "abc")
    fewer = Disks([(d.id, d.path, 0) for d in disks if d.id != "b"])
    for camera_id, disk_id in before.items():
        if disk_id != "b":
            assert fewer.choose(camera(camera_id)).id == disk_id


def test_cameras_spread_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks = make_disks(tmp_path, {"big": 0, "little": 0})
    monkeypatch.setattr(Disk, "free", lambda self: Space(4 << 40 if self.id == "big" else 1 << 40, 1 << 39))
    chosen = [disks.choose(camera(f"cam{n}")).id for n in range(500)]
    assert 360 < chosen.count("big") < 440


def test_full_and_missing_disks_are_passed_over(tmp_path: Path) -> None:
    disks = make_disks(tmp_path, {"a": 0, "b": 1 << 60, "c": 0})
    (tmp_path / "c" / disk_module.MARKER).unlink()
    assert {disks.choose(camera(f"cam{n}")).id for n in range(30)} == {"a"}
    with pytest.raises(DiskFull):
        disks.choose(camera(disk="b"))
    with pytest.raises(WrongDisk):
        disks.choose(camera(disk="c"))
    with pytest.raises(NotFound):
        disks.choose(camera(disk="x"))
    with pytest.raises(DiskFull):
        Disks([("b", tmp_path / "b", 1 << 60)]).choose(camera())
    with pytest.raises(StorageError):
        Disks([]).choose(camera())


# ------------------------------------------------------------------------------------------------ failing


def failing_writev(fail_after: int, code: int):
    """A writev that writes `fail_after` bytes in all, then fails."""
    left = fail_after

    def writev(fd: int, buffers) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(code, os.strerror(code))
        data = b"".join(buffers)[:left]
        left -= len(data)
        return os.write(fd, data)

    return writev


@pytest.mark.parametrize(
    ("code", "error"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EIO, StorageError)]
)
@pytest.mark.parametrize("fits", [0, 1, 5, 9])
def test_a_failed_append_leaves_what_was_there(disk, monkeypatch, code, error, fits) -> None:
    segment = disk.create(name())
    segment.append([b"before"])
    with monkeypatch.context() as patch:
        patch.setattr(file_module.os, "writev", failing_writev(fits, code))
        with pytest.raises(error):
            segment.append([b"01234", b"56789"])
    assert segment.size_bytes == 6
    segment.append([b"after"])
    segment.close()
    with disk.open(name()) as file:
        assert file.pread(0, 100) == b"beforeafter"


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_short_writes_are_gone_on_with(disk, monkeypatch, step) -> None:
    real = os.write
    monkeypatch.setattr(file_module.os, "writev", lambda fd, buffers: real(fd, b"".join(buffers)[:step]))
    segment = disk.create(name())
    assert segment.append([b"abc", b"", b"defgh", b"i"]) == 9
    segment.close()
    with disk.open(name()) as file:
        assert file.pread(0, 100) == b"abcdefghi"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_really_full_device_is_told_as_full(tmp_path: Path) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    segment = file_module.DiskSegment(name(), Path("/dev/full"), fd, lambda _: None)
    with pytest.raises(StorageError):  # DiskFull, or the refusal to truncate a device
        segment.append([b"x" * 8192])
    os.close(fd)


def test_a_failing_sync_is_told_and_tried_again(disk, monkeypatch) -> None:
    segments = [disk.create(name(n)) for n in (1, 2)]
    for segment in segments:
        segment.append([b"x"])
    broken = {segments[0]._fd}

    def sync(fd: int) -> None:
        if fd in broken:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(file_module, "sync_data", sync)
    with pytest.raises(StorageError):
        disk.sync_dirty()
    assert not segments[1].dirty
    broken.clear()
    assert disk.sync_dirty() == 1
    for segment in segments:
        segment.close()


@pytest.mark.skipif(not disk_module.HAS_SYNCFS, reason="only Linux has syncfs")
def test_many_dirty_segments_are_synced_by_one_call(disk, monkeypatch) -> None:
    calls: list[int] = []
    real = disk_module.sync_file_system
    monkeypatch.setattr(disk_module, "sync_file_system", lambda fd: (calls.append(fd), real(fd)))
    segments = [disk.create(name(n)) for n in range(1, disk_module.FEW + 2)]
    for segment in segments:
        segment.append([b"x"])
    assert disk.sync_dirty() == disk_module.FEW + 1
    assert len(calls) == 1
    for segment in segments:
        segment.close()


def test_each_durable_step_can_be_died_at(disk, monkeypatch) -> None:
    steps: list[str] = []
    monkeypatch.setattr(durable, "hook", steps.append)
    segment = disk.create(name())
    segment.append([b"x" * 10])
    segment.close()
    disk.truncate(name(), 5)
    disk.delete([name()])
    assert steps == [
        "blobs.create", "blobs.create-fsync-dir", "blobs.append", "blobs.close", "blobs.truncate", "blobs.unlink",
    ]  # fmt: skip


def test_a_removed_day_folder_comes_back(disk) -> None:
    disk.create(name()).close()
    disk.delete([name()])
    assert list((disk.path / "footage/door/main").iterdir()) == []
    disk.create(name()).close()
    assert [n for n, _ in disk.walk()] == [name()]


def test_footage_is_private(disk) -> None:
    disk.create(name()).close()
    file = disk.path / path_of(name())
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


# ------------------------------------------------------------------------------------------------ the fake's faults


def test_the_fake_fails_on_demand() -> None:
    disk = MemoryDisk(total_bytes=1000)
    segment = disk.create(name())
    segment.append([b"x" * 10])
    disk.full_after(5)
    with pytest.raises(DiskFull):
        segment.append([b"x" * 6])
    segment.append([b"x" * 5])
    disk.full_after(None)
    with pytest.raises(DiskFull):
        segment.append([b"x" * 1000])
    disk.break_down()
    with pytest.raises(StorageError):
        segment.append([b"x"])
    disk.break_down(False)
    disk.sync_dirty()
    segment.append([b"lost"])
    disk.vanish()
    with pytest.raises(WrongDisk):
        disk.create(name(2))
    disk.vanish(False)
    disk.cut_power()
    assert [size for _, size in disk.walk()] == [15]
    with pytest.raises(StorageError):
        segment.append([b"dead"])
