# SPDX-License-Identifier: Apache-2.0
"""What every `blobs.Store` promises. A module that tests an implementation subclasses `BlobContract` and gives a store.

Nothing here knows how a store keeps its bytes, so that one behind S3 can be held to it too.
"""

from __future__ import annotations

import threading

import pytest

from closedcircuit.base import TICKS
from closedcircuit.base.errors import NotFound, StorageError
from closedcircuit.blobs import Store
from closedcircuit.model import SegmentName

T0 = 1_800_000_000 * TICKS
DAY = 86_400 * TICKS


def name(at_90k: int = T0, camera: str = "door", stream: str = "main", number: int = 1) -> SegmentName:
    return SegmentName(camera, stream, at_90k, number.to_bytes(16, "big"))


def write(store: Store, which: SegmentName, *chunks: bytes) -> None:
    segment = store.create(which)
    for chunk in chunks:
        segment.append([chunk])
    segment.close()


class BlobContract:
    """Subclass, and define the fixture `store`: an empty one for each test."""

    def test_what_is_appended_is_read_back(self, store: Store) -> None:
        segment = store.create(name())
        assert segment.append([b"abc", bytearray(b"de"), memoryview(b"xfgx")[1:3]]) == 7
        assert segment.append([b"", b"h"]) == 1
        assert segment.size_bytes == 8
        segment.close()
        with store.open(name()) as file:
            assert file.size() == 8
            assert file.pread(0, 100) == b"abcdefgh"
            assert file.pread(2, 3) == b"cde"
            assert file.pread(8, 1) == b""

    def test_an_append_of_many_buffers_is_one_run_of_bytes(self, store: Store) -> None:
        buffers = [bytes([n % 256]) * 3 for n in range(5000)]
        segment = store.create(name())
        assert segment.append(buffers) == 15_000
        segment.close()
        with store.open(name()) as file:
            assert file.pread(0, 20_000) == b"".join(buffers)

    def test_a_reader_sees_a_segment_grow(self, store: Store) -> None:
        segment = store.create(name())
        segment.append([b"one"])
        with store.open(name()) as file:
            segment.append([b"two"])
            assert file.pread(0, 10) == b"onetwo"
            assert file.size() == 6
        segment.close()

    def test_a_name_is_written_once(self, store: Store) -> None:
        write(store, name(), b"first")
        with pytest.raises(StorageError):
            store.create(name())
        with store.open(name()) as file:
            assert file.pread(0, 10) == b"first"

    def test_a_closed_segment_cannot_be_appended_to_and_closes_twice(self, store: Store) -> None:
        segment = store.create(name())
        segment.append([b"x"])
        segment.close()
        segment.close()
        with pytest.raises(StorageError):
            segment.append([b"y"])

    def test_sync_counts_what_was_dirty(self, store: Store) -> None:
        segments = [store.create(name(number=n)) for n in range(1, 13)]
        assert store.sync_dirty() == 0
        for segment in segments:
            segment.append([b"data"])
        assert store.sync_dirty() == 12
        assert store.sync_dirty() == 0
        segments[0].append([b"more"])
        assert store.sync_dirty() == 1
        for segment in segments:
            segment.close()
        assert store.sync_dirty() == 0

    def test_what_is_being_written_is_known(self, store: Store) -> None:
        assert store.writing() == set()
        segment = store.create(name())
        assert store.writing() == {name().kid}
        segment.close()
        assert store.writing() == set()

    def test_nothing_is_there_to_open(self, store: Store) -> None:
        with pytest.raises(NotFound):
            store.open(name())

    def test_truncating_cuts_and_never_grows(self, store: Store) -> None:
        write(store, name(), b"0123456789")
        store.truncate(name(), 4)
        store.truncate(name(), 8)
        with store.open(name()) as file:
            assert file.pread(0, 100) == b"0123"
        with pytest.raises(NotFound):
            store.truncate(name(number=9), 1)

    def test_deleting_twice_is_no_error(self, store: Store) -> None:
        write(store, name(number=1), b"x")
        write(store, name(number=2), b"x")
        assert store.delete([name(number=1), name(number=2), name(number=3)]) == 2
        assert store.delete([name(number=1)]) == 0
        assert list(store.walk()) == []
        write(store, name(number=1), b"again")
        assert [size for _, size in store.walk()] == [5]

    def test_a_walk_is_in_order_and_names_are_to_the_millisecond(self, store: Store) -> None:
        for at, camera, stream, number in (
            (T0 + DAY, "door", "main", 1),
            (T0 + 89, "door", "main", 2),
            (T0 + 45 * TICKS, "door", "main", 3),
            (T0, "door", "sub", 4),
            (T0, "attic", "main", 5),
        ):
            write(store, name(at, camera, stream, number), b"x" * number)
        assert list(store.walk()) == [
            (name(T0, "attic", "main", 5), 5),
            (name(T0, "door", "main", 2), 2),
            (name(T0 + 45 * TICKS, "door", "main", 3), 3),
            (name(T0 + DAY, "door", "main", 1), 1),
            (name(T0, "door", "sub", 4), 4),
        ]
        assert [n.kid[-1] for n, _ in store.walk("door", "main")] == [2, 3, 1]
        assert [n.kid[-1] for n, _ in store.walk("door", "main", from_90k=T0 + DAY)] == [1]
        assert store.streams() == [("attic", "main"), ("door", "main"), ("door", "sub")]
        with store.open(next(iter(store.walk("door", "main")))[0]) as file:  # the rounded name opens it
            assert file.size() == 2

    @pytest.mark.parametrize("camera", ["", "..", "a/b", "Door", "-x", "a" * 41])
    def test_names_lead_nowhere_else(self, store: Store, camera: str) -> None:
        for bad in (name(camera=camera), name(stream=camera), name(-1), SegmentName("door", "main", T0, b"short")):
            with pytest.raises(StorageError):
                store.create(bad)

    def test_free_space_is_plausible(self, store: Store) -> None:
        space = store.free()
        assert 0 <= space.free_bytes <= space.total_bytes

    def test_segments_are_written_from_several_threads_while_one_syncs(self, store: Store) -> None:
        stop = threading.Event()
        failures: list[Exception] = []

        def sync() -> None:
            while not stop.is_set():
                try:
                    store.sync_dirty()
                except Exception as error:
                    failures.append(error)

        def record(number: int) -> None:
            try:
                for n in range(5):
                    which = name(T0 + n * TICKS, number=number)
                    write(store, which, *[bytes([number]) * 1000] * 10)
            except Exception as error:
                failures.append(error)

        syncing = threading.Thread(target=sync)
        syncing.start()
        writers = [threading.Thread(target=record, args=(n,)) for n in range(1, 5)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        stop.set()
        syncing.join()
        assert failures == []
        found = list(store.walk())
        assert len(found) == 20
        for which, size in found:
            assert size == 10_000
            with store.open(which) as file:
                assert file.pread(0, 20_000) == bytes([which.kid[-1]]) * 10_000
