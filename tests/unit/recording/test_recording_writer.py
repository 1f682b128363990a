# SPDX-License-Identifier: Apache-2.0
"""A disk's threads: order, bounds, faults. And where pieces go when a disk is not well."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest

from closedcircuit.base import TICKS, ManualClock, SystemClock, SystemIds
from closedcircuit.blobs.fakes import MemoryDisk
from closedcircuit.model import Cause, Sample
from closedcircuit.recording import DiskOutlet, DiskWriter, Notes, Outcome, Piece, Plan
from closedcircuit.recording.fakes import VIDEO
from closedcircuit.recording.writer import CAMERA_QUEUE_BYTES
from closedcircuit.vault import HourKey

START = 1_800_000_000 * TICKS


class Told:
    """Collects what a writer says."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.grown: list[Plan] = []
        self.closed: list[Plan] = []
        self.notes = Notes(self.outcomes.append, self.grown.append, self.closed.append)

    def failures(self) -> list[Cause | None]:
        return [outcome.failed for outcome in self.outcomes]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def disk() -> MemoryDisk:
    return MemoryDisk("one")


def plan(camera: str = "door", tracks: tuple = (VIDEO,)) -> Plan:
    ids = SystemIds()
    key = HourKey(camera, START, ids)
    made = Plan(camera, "main", "0" * 16, tracks)
    made.hour_key, made.kid, made.disk = key, key.new_kid(ids), "one"
    made.key = key.segment_key(made.kid)
    made.start_90k = START
    return made


def piece(number: int, size: int = 1000) -> Piece:
    body = b"\x65" + bytes(size - 5)
    sample = Sample(1, number * 2 * TICKS, True, size, [(size - 4).to_bytes(4, "big"), body], START)
    made = Piece([sample], number * 2 * TICKS, (number + 1) * 2 * TICKS, size)
    made.start_90k, made.end_90k = START + number * 2 * TICKS, START + (number + 1) * 2 * TICKS
    return made


def bytes_of(disk: MemoryDisk, of: Plan) -> bytes:
    with disk.open(of) as file:  # type: ignore[arg-type]
        return file.pread(0, file.size())


def test_a_segment_is_written_hashed_and_closed(disk: MemoryDisk, told: Told) -> None:
    writer, segment = DiskWriter(disk, ManualClock(), told.notes), plan()
    for number in range(3):
        assert writer.submit(segment, piece(number))
    writer.close(segment)
    writer.work_off()
    data = bytes_of(disk, segment)
    assert told.failures() == [None] * 3
    assert told.closed == [segment]
    assert segment.sha256 == hashlib.sha256(data).digest()
    assert [f.offset for f in segment.fragments] == [
        segment.init_bytes,
        *(f.offset + f.size for f in segment.fragments[:-1]),
    ]
    assert segment.fragments[-1].offset + segment.fragments[-1].size == len(data) == segment.size_bytes
    assert segment.work is None
    assert writer.queued_bytes == 0


def test_what_was_synced_survives_a_power_cut(disk: MemoryDisk, told: Told) -> None:
    writer, segment = DiskWriter(disk, ManualClock(), told.notes), plan()
    writer.submit(segment, piece(0))
    writer.work_off()
    disk.cut_power()
    assert len(bytes_of(disk, segment)) == segment.size_bytes


def test_the_queue_is_bounded_for_a_disk_and_for_a_camera(disk: MemoryDisk, told: Told) -> None:
    writer = DiskWriter(disk, ManualClock(), told.notes, queue_bytes=2 * CAMERA_QUEUE_BYTES)
    one, other, third = plan("one"), plan("other"), plan("third")
    assert writer.submit(one, piece(0, CAMERA_QUEUE_BYTES))
    assert not writer.submit(one, piece(1))
    assert writer.submit(other, piece(0, CAMERA_QUEUE_BYTES))
    assert not writer.submit(third, piece(0))
    assert writer.refused == 2
    writer.expect(16)  # many cameras: 3 MiB for each
    assert writer.submit(third, piece(0))
    writer.work_off()
    assert writer.submit(one, piece(1))


def test_a_disk_that_fills_up_ends_the_segment_whole(disk: MemoryDisk, told: Told) -> None:
    clock = ManualClock()
    writer, segment = DiskWriter(disk, clock, told.notes), plan()
    writer.submit(segment, piece(0))
    writer.work_off()
    disk.full_after(10)
    for number in range(1, 4):
        writer.submit(segment, piece(number))
    writer.close(segment)
    writer.work_off()
    assert told.failures() == [None, Cause.DISK_FULL, Cause.DISK_FULL, Cause.DISK_FULL]
    assert len(bytes_of(disk, segment)) == segment.size_bytes
    assert told.closed == [segment]
    assert len(segment.fragments) == 1
    assert writer.failure is not None
    clock.advance(4)
    assert writer.failure is None


def test_a_segment_without_a_fragment_leaves_no_file(disk: MemoryDisk, told: Told) -> None:
    writer, segment = DiskWriter(disk, ManualClock(), told.notes), plan()
    disk.full_after(10)
    writer.submit(segment, piece(0))
    writer.work_off()
    assert told.failures() == [Cause.DISK_FULL]
    assert list(disk.walk()) == []
    assert told.closed == []


@pytest.mark.parametrize("fault", ["break_down", "vanish"])
def test_a_disk_that_is_gone(disk: MemoryDisk, told: Told, fault: str) -> None:
    writer, segment = DiskWriter(disk, ManualClock(), told.notes), plan()
    getattr(disk, fault)()
    writer.submit(segment, piece(0))
    writer.work_off()
    assert told.failures() == [Cause.DISK_GONE]
    getattr(disk, fault)(False)
    again = plan()
    writer.submit(again, piece(1))
    writer.work_off()
    assert told.failures() == [Cause.DISK_GONE, None]


def test_samples_that_are_none_harm_only_their_segment(disk: MemoryDisk, told: Told) -> None:
    writer, bad, good = DiskWriter(disk, ManualClock(), told.notes), plan(), plan("other")
    lies = piece(0)
    lies.samples[0].size += 7
    writer.submit(bad, lies)
    writer.submit(good, piece(0))
    writer.work_off()
    assert told.failures() == [Cause.BROKEN, None]
    assert writer.failure is None


class Slow(MemoryDisk):
    """A disk whose sync takes as long as the test likes."""

    def __init__(self) -> None:
        super().__init__("one")
        self.go = threading.Event()
        self.syncs = 0

    def sync_dirty(self) -> int:
        self.syncs += 1
        self.go.wait(5)
        return super().sync_dirty()


@pytest.fixture
def slow() -> Iterator[Slow]:
    made = Slow()
    yield made
    made.go.set()


def test_writing_does_not_wait_for_the_disk_to_sync(slow: Slow, told: Told) -> None:
    writer, segment = DiskWriter(slow, SystemClock(), told.notes), plan()
    writer.start()
    for number in range(20):
        assert writer.submit(segment, piece(number))
    deadline = threading.Event()
    for _ in range(500):
        if len(told.outcomes) == 20:
            break
        deadline.wait(0.01)
    assert told.failures() == [None] * 20
    slow.go.set()
    writer.close(segment)
    writer.stop()
    assert told.closed == [segment]


class FixedReady:
    """Says that every camera's disk is `one`."""

    def __init__(self, place: object = "one") -> None:
        self.places = {"door": place}


def test_another_disk_is_taken_unless_the_owner_chose_one(told: Told) -> None:
    clock = ManualClock()
    disks = MemoryDisk("one"), MemoryDisk("two")
    outlet = DiskOutlet((DiskWriter(disk, clock, told.notes) for disk in disks), FixedReady())  # type: ignore[arg-type]
    first, second, third = plan(), plan(), plan()
    assert outlet.open(first, "") is None
    assert first.disk == "one"
    disks[0].break_down()
    outlet.write(first, piece(0))
    outlet.writers["one"].work_off()
    assert outlet.open(second, "") is None
    assert second.disk == "two"
    found = outlet.open(third, "one")
    assert found is not None
    assert found[0] is Cause.DISK_GONE
    clock.advance(4)
    assert outlet.open(third, "one") is None
    assert outlet.report()["queue_bytes"] == 0


def test_no_disk_is_a_reason(told: Told) -> None:
    outlet = DiskOutlet([], FixedReady((Cause.DISK_FULL, "full")))  # type: ignore[arg-type]
    assert outlet.open(plan(), "") == (Cause.DISK_FULL, "full")
    assert outlet.open(plan("unknown"), "") == (Cause.DISK_GONE, "no disk is ready yet")
