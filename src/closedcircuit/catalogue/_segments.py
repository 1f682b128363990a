# SPDX-License-Identifier: Apache-2.0
"""Tables `segment`, `segment_body`, `growing`, `day`: writing rows and reading them back as Segments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from closedcircuit.base.clock import TICKS
from closedcircuit.catalogue._account import extend, put_gap, review
from closedcircuit.catalogue._fragments import pack, unpack
from closedcircuit.catalogue._names import Names, Stream, find_stream
from closedcircuit.db import Tx
from closedcircuit.model import Cause, Segment

DAY_90K = 86_400 * TICKS

_SELECT = """
select s.start_90k, s.duration_90k, s.size_bytes, k.key_id, s.kid_tail, d.name, b.run, c.tracks, b.init_bytes,
       b.sha256, {fragments}
from segment s
    join hour_key k on k.id = s.hour_key_id
    join segment_body b on b.id = (s.stream_id << 32 | s.seq)
    join coding c on c.id = b.coding_id
    join disk d on d.id = s.disk_id
where s.stream_id = ?
"""
WITH_FRAGMENTS = _SELECT.format(fragments="b.fragments")
WITHOUT_FRAGMENTS = _SELECT.format(fragments="null")


def put(tx: Tx, segments: Iterable[Segment], *, finished: bool) -> None:
    """Insert or update. `finished`: they do not grow, though their hash may be unknown."""
    names = Names(tx)
    for segment in segments:
        _put_one(tx, names, segment, finished=finished)
    names.save()


def _put_one(tx: Tx, names: Names, segment: Segment, *, finished: bool) -> None:
    stream = names.stream(segment.camera, segment.stream)
    key = names.hour_key(stream, segment)
    disk = names.disk(segment.disk)
    start, duration = segment.start_90k, max(0, segment.end_90k - segment.start_90k)
    grows = segment.sha256 is None and not finished
    row = tx.one(
        "select s.seq, s.duration_90k, s.size_bytes, s.disk_id, g.seq is not null"
        " from segment s left join growing g using (stream_id, start_90k, seq)"
        " where s.stream_id = ? and s.start_90k = ? and s.hour_key_id = ? and s.kid_tail = ?",
        (stream.id, start, key, segment.kid[8:]),
    )
    if row is not None and grows and not row[4]:
        return  # it is finished already: a late row of when it grew says nothing new
    body = (
        segment.run,
        names.coding(segment.tracks),
        segment.init_bytes,
        segment.sha256,
        pack(segment.fragments, start, segment.init_bytes),
    )
    stream.longest_90k = max(stream.longest_90k, duration)
    if row is None:
        seq, old_duration = stream.next_seq, 0
        stream.next_seq += 1
        tx.execute(
            "insert into segment values (?, ?, ?, ?, ?, ?, ?, ?)",
            (stream.id, start, seq, duration, segment.size_bytes, key, segment.kid[8:], disk),
        )
        tx.execute("insert into segment_body values (?, ?, ?, ?, ?, ?)", (stream.body_id(seq), *body))
        if grows:
            tx.execute("insert into growing values (?, ?, ?)", (stream.id, start, seq))
    else:
        seq, old_duration, old_size, old_disk, grew = row
        tx.execute(
            "update segment set duration_90k = ?, size_bytes = ?, disk_id = ?"
            " where stream_id = ? and start_90k = ? and seq = ?",
            (duration, segment.size_bytes, disk, stream.id, start, seq),
        )
        tx.execute(
            "update segment_body set run = ?, coding_id = ?, init_bytes = ?, sha256 = ?, fragments = ? where id = ?",
            (*body, stream.body_id(seq)),
        )
        if grew and not grows:
            tx.execute("delete from growing where stream_id = ? and start_90k = ? and seq = ?", (stream.id, start, seq))
        if segment.sha256 is not None:
            _take_off_unhashed(tx, (stream.id, start, seq))
        if old_disk == disk:
            _grow_day(tx, (stream.id, start // DAY_90K, disk), segment.size_bytes - old_size)
        else:
            _count(tx, stream.id, start, old_disk, -old_size, -1)
    if segment.sha256 is None and not grows:
        tx.execute("insert or ignore into unhashed values (?, ?, ?)", (stream.id, start, seq))
    if row is None or row[3] != disk:
        _count(tx, stream.id, start, disk, segment.size_bytes, 1)
    if stream.is_main and duration != old_duration:
        if 0 < old_duration < duration and extend(tx, stream.camera_id, start + old_duration, start + duration):
            return
        review(tx, stream, start + min(old_duration, duration), start + max(old_duration, duration))


def set_hash(tx: Tx, segment: Segment, sha256: bytes | None) -> None:
    """Write a hash that was not known, if the file is as long as it was; it is not looked for again either way."""
    stream = find_stream(tx, segment.camera, segment.stream)
    row = None if stream is None else locate(tx, stream, segment.start_90k, segment.kid)
    if stream is None or row is None:
        return
    if row[2] == segment.size_bytes:
        tx.execute(
            "update segment_body set sha256 = ? where id = ? and sha256 is null", (sha256, stream.body_id(row[0]))
        )
    _take_off_unhashed(tx, (stream.id, segment.start_90k, row[0]))


def _take_off_unhashed(tx: Tx, key: tuple[int, int, int]) -> None:
    tx.execute("delete from unhashed where stream_id = ? and start_90k = ? and seq = ?", key)


def drop(tx: Tx, segments: Iterable[Segment], detail: str | None) -> None:
    """Remove rows; what is no longer recorded on a main stream becomes a `deleted` gap, unless `detail` is None."""
    streams: dict[tuple[str, str], Stream | None] = {}
    keys: dict[int, int] = {}
    for segment in segments:
        where = (segment.camera, segment.stream)
        if where not in streams:
            streams[where] = find_stream(tx, *where)
        stream = streams[where]
        row = None if stream is None else locate(tx, stream, segment.start_90k, segment.kid)
        if stream is None or row is None:
            continue
        seq, duration, size, key, disk = row
        keys[key] = stream.camera_id
        tx.execute(  # and its rows in doomed and growing with it
            "delete from segment where stream_id = ? and start_90k = ? and seq = ?",
            (stream.id, segment.start_90k, seq),
        )
        tx.execute("delete from segment_body where id = ?", (stream.body_id(seq),))
        _count(tx, stream.id, segment.start_90k, disk, -size, -1)
        if stream.is_main and duration:
            for start, end in review(tx, stream, segment.start_90k, segment.start_90k + duration):
                if detail is not None:
                    put_gap(tx, stream.camera_id, start, end, Cause.DELETED, detail)
    for key, camera_id in keys.items():
        if not is_key_used(tx, camera_id, key):
            tx.execute("delete from hour_key where id = ?", (key,))


def locate(tx: Tx, stream: Stream, start_90k: int, kid: bytes) -> tuple[int, int, int, int, int] | None:
    """Return (seq, duration, size, hour_key_id, disk_id) of one segment."""
    row = tx.one(
        "select s.seq, s.duration_90k, s.size_bytes, s.hour_key_id, s.disk_id"
        " from segment s join hour_key k on k.id = s.hour_key_id"
        " where s.stream_id = ? and s.start_90k = ? and s.kid_tail = ? and k.key_id = ?",
        (stream.id, start_90k, kid[8:], kid[:8]),
    )
    return None if row is None else (row[0], row[1], row[2], row[3], row[4])


def is_key_used(tx: Tx, camera_id: int, key: int, but: Sequence[int] = ()) -> bool:
    """Say whether any segment, other than those whose body ids are `but`, is sealed under an hour key."""
    rows = tx.read(
        "select s.stream_id << 32 | s.seq from segment s, hour_key k"
        " where k.id = ? and s.stream_id in (select id from stream where camera_id = ?)"
        " and s.start_90k between k.first_90k and k.last_90k and s.hour_key_id = k.id limit ?",
        (key, camera_id, len(but) + 1),
    )
    return any(row[0] not in but for row in rows)


def segment_of(camera: str, stream: str, row: tuple[Any, ...]) -> Segment:
    """Return a row of `_SELECT` as what it is."""
    start, duration, size, key_id, kid_tail, disk, run, tracks, init_bytes, sha256, fragments = row
    return Segment(
        camera=camera,
        stream=stream,
        start_90k=start,
        end_90k=start + duration,
        run=run,
        kid=key_id + kid_tail,
        disk=disk,
        size_bytes=size,
        init_bytes=init_bytes,
        sha256=sha256,
        tracks=tracks,
        fragments=() if fragments is None else unpack(fragments, start, init_bytes),
    )


def _count(tx: Tx, stream_id: int, start_90k: int, disk_id: int, size_bytes: int, segments: int) -> None:
    day = start_90k // DAY_90K
    if segments > 0:
        tx.execute(
            "insert into day values (?, ?, ?, ?, ?) on conflict do update"
            " set size_bytes = size_bytes + excluded.size_bytes, segments = segments + excluded.segments",
            (stream_id, day, disk_id, size_bytes, segments),
        )
        return
    where = (stream_id, day, disk_id)
    if not tx.execute(
        "delete from day where stream_id = ? and day = ? and disk_id = ? and segments = ?", (*where, -segments)
    ):
        _grow_day(tx, where, size_bytes, segments)


def _grow_day(tx: Tx, where: tuple[int, int, int], size_bytes: int, segments: int = 0) -> None:
    tx.execute(
        "update day set size_bytes = max(0, size_bytes + ?), segments = segments + ?"
        " where stream_id = ? and day = ? and disk_id = ?",
        (size_bytes, segments, *where),
    )
