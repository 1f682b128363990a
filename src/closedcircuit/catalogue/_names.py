# SPDX-License-Identifier: Apache-2.0
"""The small tables: what a name's number is. Of one transaction, never kept longer: a rebuilt file numbers anew."""

from __future__ import annotations

from closedcircuit.db import Tx
from closedcircuit.model import Segment, StreamName

MAIN = StreamName.MAIN.value


class Stream:
    """A row of `stream`; `next_seq` and `longest_90k` are written back by `Names.save`."""

    __slots__ = ("_was", "camera_id", "id", "is_main", "longest_90k", "next_seq")

    def __init__(self, row: tuple[int, int, int, int], *, is_main: bool) -> None:
        self.id, self.camera_id, self.next_seq, self.longest_90k = row
        self.is_main = is_main
        self._was = self.next_seq, self.longest_90k

    @property
    def has_changed(self) -> bool:
        """Whether the row has to be written back."""
        return self._was != (self.next_seq, self.longest_90k)

    def body_id(self, seq: int) -> int:
        """Return the key of a segment's row in `segment_body`."""
        return self.id << 32 | seq


class Names:
    """Finds or makes the rows that a segment refers to."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._cameras: dict[str, int] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._disks: dict[str, int] = {}
        self._codings: dict[bytes, int] = {}

    def camera(self, name: str) -> int:
        """Number of a camera."""
        found = self._cameras.get(name)
        if found is None:
            self._tx.execute("insert or ignore into camera (name) values (?)", (name,))
            found = self._cameras[name] = self._id("select id from camera where name = ?", name)
        return found

    def stream(self, camera: str, name: str) -> Stream:
        """Return the row of a stream."""
        found = self._streams.get((camera, name))
        if found is None:
            found = find_stream(self._tx, camera, name)
            if found is None:
                camera_id = self.camera(camera)
                number = self._tx.insert("insert into stream (camera_id, name) values (?, ?)", (camera_id, name))
                found = Stream((number, camera_id, 0, 0), is_main=name == MAIN)
            self._streams[camera, name] = found
        return found

    def disk(self, name: str) -> int:
        """Number of a disk."""
        found = self._disks.get(name)
        if found is None:
            self._tx.execute("insert or ignore into disk (name) values (?)", (name,))
            found = self._disks[name] = self._id("select id from disk where name = ?", name)
        return found

    def coding(self, tracks: bytes) -> int:
        """Number of a way of coding."""
        found = self._codings.get(tracks)
        if found is None:
            self._tx.execute("insert or ignore into coding (tracks) values (?)", (tracks,))
            found = self._codings[tracks] = self._id("select id from coding where tracks = ?", tracks)
        return found

    def hour_key(self, stream: Stream, segment: Segment) -> int:
        """Number of the hour key that a segment is sealed under; its time range then includes the segment."""
        key_id, start = segment.kid[:8], segment.start_90k
        row = self._tx.one(
            "select id, first_90k, last_90k from hour_key where camera_id = ? and key_id = ?",
            (stream.camera_id, key_id),
        )
        if row is None:
            return self._tx.insert(
                "insert into hour_key (camera_id, key_id, first_90k, last_90k) values (?, ?, ?, ?)",
                (stream.camera_id, key_id, start, start),
            )
        if not row[1] <= start <= row[2]:
            self._tx.execute(
                "update hour_key set first_90k = ?, last_90k = ? where id = ?",
                (min(row[1], start), max(row[2], start), row[0]),
            )
        return int(row[0])

    def save(self) -> None:
        """Write back what streams counted."""
        self._tx.executemany(
            "update stream set next_seq = ?, longest_90k = ? where id = ?",
            [(s.next_seq, s.longest_90k, s.id) for s in self._streams.values() if s.has_changed],
        )

    def _id(self, sql: str, value: str | bytes) -> int:
        return int(self._tx.read(sql, (value,))[0][0])


def find_stream(tx: Tx, camera: str, name: str) -> Stream | None:
    """Return the row of a stream, or None where nothing was ever stored of it."""
    row = tx.one(
        "select s.id, s.camera_id, s.next_seq, s.longest_90k"
        " from stream s join camera c on c.id = s.camera_id where c.name = ? and s.name = ?",
        (camera, name),
    )
    return None if row is None else Stream((row[0], row[1], row[2], row[3]), is_main=name == MAIN)


def find_camera(tx: Tx, camera: str) -> int | None:
    """Return a camera's number, or None where nothing was ever stored of it."""
    row = tx.one("select id from camera where name = ?", (camera,))
    return None if row is None else int(row[0])
