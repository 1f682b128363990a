# SPDX-License-Identifier: Apache-2.0
"""What may be deleted, oldest first, and what may not. Only reads and lists: unlinking is the keeper's."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from closedcircuit.base.clock import TICKS
from closedcircuit.catalogue._names import Stream, find_stream
from closedcircuit.catalogue._segments import DAY_90K, WITHOUT_FRAGMENTS, is_key_used, locate, segment_of
from closedcircuit.catalogue.spans import Stretch, union
from closedcircuit.db import Tx
from closedcircuit.model import Camera, Segment

KEY_LIVES_90K = 2 * 3600 * TICKS
"""A key whose newest segment began less than this ago may still be sealing: its file stays. A key lives an hour."""
_PAGE = 64


class Limits(msgspec.Struct, frozen=True):
    """How much of a camera to keep. None: no limit."""

    keep_90k: int | None = None
    keep_bytes: int | None = None


class Policy(msgspec.Struct, frozen=True):
    """What retention goes by. A camera that is not in `cameras`, one removed say, is kept by `default`."""

    default: Limits = Limits()
    cameras: dict[str, Limits] = {}

    @classmethod
    def of(cls, cameras: Iterable[Camera], keep_days: float | None) -> Policy:
        """Return the policy of cameras as configured, and of a site that keeps `keep_days` where they say nothing."""
        site = Limits(_days(keep_days))
        own = {
            c.id: Limits(
                site.keep_90k if c.recording.keep_days is None else _days(c.recording.keep_days),
                None if c.recording.keep_gb is None else round(c.recording.keep_gb * 1e9),
            )
            for c in cameras
        }
        return cls(site, own)

    def limits(self, camera: str) -> Limits:
        """Limits of one camera."""
        return self.cameras.get(camera, self.default)


def expired(tx: Tx, policy: Policy, now_90k: int, limit: int) -> list[Segment]:
    """Segments past their camera's limits, oldest first over all cameras, none of them held, growing or doomed."""
    found: list[Segment] = []
    for camera, streams in all_streams(tx).items():
        limits = policy.limits(camera)
        oldest = heapq.merge(*(_oldest(tx, camera, *s) for s in streams.items()), key=lambda s: s.start_90k)
        excess = 0 if limits.keep_bytes is None else bytes_of(tx, streams.values()) - limits.keep_bytes
        before = -1 if limits.keep_90k is None else now_90k - limits.keep_90k
        taken = 0
        for segment in oldest:
            too_old = segment.end_90k <= before
            # Segments come by their beginning, so an unusually long one must not end the search by age.
            if not too_old and excess <= 0 and segment.start_90k > before:
                break
            if too_old or excess > 0:
                found.append(segment)
                excess -= segment.size_bytes
                taken += 1
            if taken == limit:
                break
    found.sort(key=lambda s: s.start_90k)
    return found[:limit]


def oldest_on(tx: Tx, disk: str, need_bytes: int, limit: int) -> list[Segment]:
    """Return the oldest segments on a disk, of all cameras, that together free `need_bytes`.

    None of them held, growing or doomed.
    """
    of_streams = [
        _oldest(tx, camera, name, stream, disk)
        for camera, streams in all_streams(tx).items()
        for name, stream in streams.items()
    ]
    found: list[Segment] = []
    for segment in heapq.merge(*of_streams, key=lambda s: s.start_90k):
        if need_bytes <= 0 or len(found) == limit:
            break
        found.append(segment)
        need_bytes -= segment.size_bytes
    return found


def doom(tx: Tx, segments: Iterable[Segment], now_90k: int) -> list[Segment]:
    """List segments for deletion, but those that are held by now; return which were listed."""
    streams = all_streams(tx)
    holds: dict[str, list[Stretch]] = {}
    done: list[Segment] = []
    for segment in segments:
        stream = streams.get(segment.camera, {}).get(segment.stream)
        row = None if stream is None else locate(tx, stream, segment.start_90k, segment.kid)
        if stream is None or row is None:
            continue
        if segment.camera not in holds:
            holds[segment.camera] = _held(tx, segment.camera)
        end_90k = segment.start_90k + row[1]  # as the index has it: what we were given may have grown since
        if any(segment.start_90k < h_end and end_90k > h_start for h_start, h_end in holds[segment.camera]):
            continue
        tx.execute("insert or ignore into doomed values (?, ?, ?, ?)", (stream.id, segment.start_90k, row[0], now_90k))
        done.append(segment)
    return done


def doom_some(
    tx: Tx, where: tuple[str, str], after: tuple[int, int], now_90k: int, limit: int
) -> tuple[int, tuple[int, int] | None]:
    """List the next segments of a stream, behind `after` (start, seq), but those that are held.

    Returns how many were listed, and where to go on; None at the end. By names, because a rebuild may have numbered
    streams anew since the last call.
    """
    stream = find_stream(tx, *where)
    if stream is None:
        return 0, None
    rows = tx.read(
        "select start_90k, seq, start_90k + duration_90k from segment where stream_id = ?"
        " and (start_90k, seq) > (?, ?) order by start_90k, seq limit ?",
        (stream.id, *after, limit),
    )
    holds = _held(tx, where[0])
    free = [(start, seq) for start, seq, end in rows if not any(start < h_end and end > h for h, h_end in holds)]
    count = tx.executemany(
        "insert or ignore into doomed values (?, ?, ?, ?)", [(stream.id, start, seq, now_90k) for start, seq in free]
    )
    return count, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None


def held(tx: Tx, segments: Iterable[Segment]) -> list[Segment]:
    """Return those that a hold covers."""
    holds: dict[str, list[Stretch]] = {}
    found: list[Segment] = []
    for segment in segments:
        if segment.camera not in holds:
            holds[segment.camera] = _held(tx, segment.camera)
        if any(segment.start_90k < end and segment.end_90k > start for start, end in holds[segment.camera]):
            found.append(segment)
    return found


def pardon(tx: Tx, segments: Iterable[Segment]) -> None:
    """Take segments off the list again."""
    streams = all_streams(tx)
    for segment in segments:
        stream = streams.get(segment.camera, {}).get(segment.stream)
        row = None if stream is None else locate(tx, stream, segment.start_90k, segment.kid)
        if stream is not None and row is not None:
            tx.execute(
                "delete from doomed where stream_id = ? and start_90k = ? and seq = ?",
                (stream.id, segment.start_90k, row[0]),
            )


def listed(tx: Tx, table: Literal["doomed", "growing", "unhashed"], limit: int) -> list[Segment]:
    """Segments that a table of segments lists, a stream at a time, without fragments."""
    rows = tx.read(
        f"select c.name, t.name, x.stream_id, x.start_90k, x.seq from {table} x"  # noqa: S608 - one of three names
        " join stream t on t.id = x.stream_id join camera c on c.id = t.camera_id limit ?",
        (limit,),
    )
    found: list[Segment] = []
    for camera, name, *key in rows:
        row = tx.one(WITHOUT_FRAGMENTS + " and s.start_90k = ? and s.seq = ?", key)
        if row is not None:
            found.append(segment_of(camera, name, row))
    return found


def spare_keys(tx: Tx, segments: Iterable[Segment], now_90k: int) -> list[tuple[str, str]]:
    """Return (camera, key id) of the hour keys that only these segments need, and that seal nothing any more."""
    streams = all_streams(tx)
    bodies: dict[tuple[str, int], list[int]] = {}
    names: dict[tuple[str, int], str] = {}
    for segment in segments:
        stream = streams.get(segment.camera, {}).get(segment.stream)
        row = None if stream is None else locate(tx, stream, segment.start_90k, segment.kid)
        if stream is not None and row is not None:
            bodies.setdefault((segment.camera, row[3]), []).append(stream.body_id(row[0]))
            names[segment.camera, row[3]] = segment.kid[:8].hex()
    spare: list[tuple[str, str]] = []
    for (camera, key), but in bodies.items():
        camera_id = next(iter(streams[camera].values())).camera_id
        last = tx.read("select last_90k from hour_key where id = ?", (key,))[0][0]
        if last <= now_90k - KEY_LIVES_90K and not is_key_used(tx, camera_id, key, but):
            spare.append((camera, names[camera, key]))
    return spare


def bytes_of(tx: Tx, streams: Iterable[Stream]) -> int:
    """Bytes of some streams."""
    return sum(
        int(tx.read("select coalesce(sum(size_bytes), 0) from day where stream_id = ?", (s.id,))[0][0]) for s in streams
    )


def all_streams(tx: Tx) -> dict[str, dict[str, Stream]]:
    """Every stream that has rows, by camera and name."""
    found: dict[str, dict[str, Stream]] = {}
    rows = tx.read(
        "select c.name, s.name, s.id, s.camera_id, s.next_seq, s.longest_90k"
        " from stream s join camera c on c.id = s.camera_id order by c.name, s.name"
    )
    for camera, name, *row in rows:
        found.setdefault(camera, {})[name] = Stream((row[0], row[1], row[2], row[3]), is_main=name == "main")
    return found


def _oldest(tx: Tx, camera: str, name: str, stream: Stream, disk: str | None = None) -> Iterator[Segment]:
    """Segments of a stream that may be deleted, oldest first, read a page at a time."""
    held = _held(tx, camera)
    condition = (
        " and s.start_90k > ?"
        " and not exists (select 1 from growing x where x.stream_id = s.stream_id and x.start_90k = s.start_90k"
        " and x.seq = s.seq)"
        " and not exists (select 1 from doomed x where x.stream_id = s.stream_id and x.start_90k = s.start_90k"
        " and x.seq = s.seq)"
    )
    after = -1
    params: tuple[str, ...] = ()
    if disk is not None:
        first = tx.read(
            "select min(day) from day where stream_id = ? and disk_id = (select id from disk where name = ?)",
            (stream.id, disk),
        )[0][0]
        if first is None:
            return
        after = first * DAY_90K - 1
        condition += " and d.name = ?"
        params = (disk,)
    while True:
        sql = WITHOUT_FRAGMENTS + condition + f" order by s.start_90k limit {_PAGE}"
        rows = tx.read(sql, (stream.id, after, *params))
        jumped = False
        for row in rows:
            segment = segment_of(camera, name, row)
            hold = next((h for h in held if segment.start_90k < h[1] and segment.end_90k > h[0]), None)
            if hold is None:
                yield segment
            elif segment.start_90k >= hold[0]:
                after, jumped = hold[1] - 1, True  # all that begins inside a hold is held: not read one by one
                break
        if jumped:
            continue
        if len(rows) < _PAGE:
            return
        # Two segments that begin at once on both sides of a page: the second waits for the next run of the keeper.
        after = rows[-1][0]


def _held(tx: Tx, camera: str) -> list[Stretch]:
    return union((s, e) for s, e in tx.read("select start_90k, end_90k from hold where camera = ?", (camera,)))


def _days(days: float | None) -> int | None:
    return None if days is None else round(days * DAY_90K)
