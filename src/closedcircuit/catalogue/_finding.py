# SPDX-License-Identifier: Apache-2.0
"""Questions about segments, asked of one moment of the index."""

from __future__ import annotations

from closedcircuit.catalogue._names import find_camera, find_stream
from closedcircuit.catalogue._segments import WITH_FRAGMENTS, WITHOUT_FRAGMENTS, segment_of
from closedcircuit.db import Tx
from closedcircuit.model import Segment

END_OF_TIME = 1 << 62


def overlapping(
    tx: Tx, where: tuple[str, str], from_90k: int, to_90k: int, limit: int, *, fragments: bool
) -> list[Segment]:
    """Segments of a (camera, stream) that overlap [from, to), by their beginning."""
    found = find_stream(tx, *where)
    if found is None:
        return []
    rows = tx.read(
        (WITH_FRAGMENTS if fragments else WITHOUT_FRAGMENTS)
        + " and s.start_90k < ? and s.start_90k > ? and s.start_90k + s.duration_90k > ?"
        " order by s.start_90k, s.seq limit ?",
        (found.id, to_90k, from_90k - found.longest_90k - 1, from_90k, limit),
    )
    return [segment_of(*where, row) for row in rows]


def by_kid(tx: Tx, where: tuple[str, str], kid: bytes) -> Segment | None:
    """Return one segment by its kid: a walk over its key's hour."""
    found = find_stream(tx, *where)
    key = tx.one(
        "select k.id, k.first_90k, k.last_90k from hour_key k join camera c on c.id = k.camera_id"
        " where c.name = ? and k.key_id = ?",
        (where[0], kid[:8]),
    )
    if found is None or key is None:
        return None
    row = tx.one(
        WITH_FRAGMENTS + " and s.start_90k between k.first_90k and k.last_90k and s.kid_tail = ? and s.hour_key_id = ?"
        " and s.start_90k between ? and ?",
        (found.id, kid[8:], *key),
    )
    return None if row is None else segment_of(*where, row)


def covering(tx: Tx, where: tuple[str, str], at_90k: int) -> Segment | None:
    """Return the segment that covers a moment: of several, the one that began last."""
    found = find_stream(tx, *where)
    if found is None:
        return None
    row = tx.one(
        WITH_FRAGMENTS + " and s.start_90k <= ? and s.start_90k > ? and s.start_90k + s.duration_90k > ?"
        " order by s.start_90k desc, s.seq desc limit 1",
        (found.id, at_90k, at_90k - found.longest_90k - 1, at_90k),
    )
    return None if row is None else segment_of(*where, row)


def latest_end(tx: Tx, where: tuple[str, str], at_90k: int = END_OF_TIME) -> int | None:
    """When the footage before a moment ends.

    Looks back over as many segments as can matter: the last to begin, and what is long enough to outlast it.
    """
    found = find_stream(tx, *where)
    if found is None:
        return None
    last = tx.one(
        "select start_90k from segment where stream_id = ? and start_90k + duration_90k <= ?"
        " and start_90k <= ? order by start_90k desc limit 1",
        (found.id, at_90k, at_90k),
    )
    if last is None:
        return None
    ends = tx.read(
        "select max(start_90k + duration_90k) from segment where stream_id = ? and start_90k <= ?"
        " and start_90k > ? and start_90k + duration_90k <= ?",
        (found.id, at_90k, last[0] - found.longest_90k - 1, at_90k),
    )
    return int(ends[0][0])


def earliest_start(tx: Tx, camera: str) -> int | None:
    """When the oldest segment of any stream of a camera begins."""
    streams = tx.read("select id from stream where camera_id = ?", (find_camera(tx, camera),))
    starts = [tx.read("select min(start_90k) from segment where stream_id = ?", row)[0][0] for row in streams]
    return min((start for start in starts if start is not None), default=None)


def newest_finished(tx: Tx, where: tuple[str, str]) -> int | None:
    """When the newest segment that does not grow begins."""
    found = find_stream(tx, *where)
    if found is None:
        return None
    row = tx.one(
        "select s.start_90k from segment s where s.stream_id = ? and not exists (select 1 from growing x"
        " where x.stream_id = s.stream_id and x.start_90k = s.start_90k and x.seq = s.seq)"
        " order by s.start_90k desc limit 1",
        (found.id,),
    )
    return None if row is None else int(row[0])


def sizes(tx: Tx, where: tuple[str, str], from_90k: int) -> dict[bytes, int]:
    """Bytes by kid of the segments that begin at `from_90k` or later."""
    found = find_stream(tx, *where)
    if found is None:
        return {}
    rows = tx.read(
        "select k.key_id, s.kid_tail, s.size_bytes from segment s join hour_key k on k.id = s.hour_key_id"
        " where s.start_90k >= ? and s.stream_id = ?",
        (from_90k, found.id),
    )
    return {key + tail: size for key, tail, size in rows}
