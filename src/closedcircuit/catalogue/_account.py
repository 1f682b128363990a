# SPDX-License-Identifier: Apache-2.0
"""Tables `stretch` and `gap`: kept disjoint when written, so that reading a range is a short walk."""

from __future__ import annotations

from typing import Any, Literal

from closedcircuit.catalogue._names import Stream
from closedcircuit.catalogue.spans import Reason, Stretch, clip, paint, union, without
from closedcircuit.db import Tx
from closedcircuit.model import Cause

DETAIL_MAX = 1000
_COLUMNS = {"stretch": "start_90k, end_90k", "gap": "start_90k, end_90k, cause, detail"}


def review(tx: Tx, stream: Stream, from_90k: int, to_90k: int) -> list[Stretch]:
    """Work out anew where [from, to) of a camera is recorded, after segments of its main stream changed there.

    Returns what was recorded there and is no more.
    """
    segments = tx.read(
        "select start_90k, start_90k + duration_90k from segment"
        " where stream_id = ? and start_90k < ? and start_90k > ? and start_90k + duration_90k > ?",
        (stream.id, to_90k, from_90k - stream.longest_90k - 1, from_90k),
    )
    inside = clip(union((s, e) for s, e in segments), from_90k, to_90k)
    before = stretches(tx, stream.camera_id, from_90k, to_90k)
    outside = [(s, min(e, from_90k)) for s, e in before] + [(max(s, to_90k), e) for s, e in before]
    after = union([*inside, *outside])
    if after != before:
        tx.executemany(
            "delete from stretch where camera_id = ? and start_90k = ?", [(stream.camera_id, s) for s, _ in before]
        )
        tx.executemany("insert into stretch values (?, ?, ?)", [(stream.camera_id, s, e) for s, e in after])
    return without(clip(before, from_90k, to_90k), after)


def extend(tx: Tx, camera_id: int, end_90k: int, new_end_90k: int) -> bool:
    """Do `review`'s work for the usual case, where the stretch that ends at `end_90k` grows into empty time.

    False: this is not that case, and nothing was done.
    """
    changed = tx.execute(
        "update stretch set end_90k = ?1 where camera_id = ?2 and end_90k = ?3 and start_90k ="
        " (select max(start_90k) from stretch where camera_id = ?2 and start_90k <= ?1)",
        (new_end_90k, camera_id, end_90k),
    )
    return changed == 1


def put_gap(tx: Tx, camera_id: int, start_90k: int, end_90k: int, cause: Cause, detail: str = "") -> None:
    """Write a reason over whatever reasons were there. Cause.UNKNOWN takes reasons away."""
    if end_90k <= start_90k:
        return
    before = reasons(tx, camera_id, start_90k, end_90k)
    after = paint(before, (start_90k, end_90k, cause.value, detail[:DETAIL_MAX]))
    after = [r for r in after if r[2] != Cause.UNKNOWN]
    if after == before:
        return
    tx.executemany("delete from gap where camera_id = ? and start_90k = ?", [(camera_id, r[0]) for r in before])
    tx.executemany("insert into gap values (?, ?, ?, ?, ?)", [(camera_id, *r) for r in after])


def stretches(tx: Tx, camera_id: int, from_90k: int, to_90k: int) -> list[Stretch]:
    """Where a camera is recorded: stretches that overlap or touch [from, to]."""
    return [(s, e) for s, e in _touching(tx, "stretch", camera_id, from_90k, to_90k)]


def reasons(tx: Tx, camera_id: int, from_90k: int, to_90k: int) -> list[Reason]:
    """Reasons on file that overlap or touch [from, to]."""
    return [(s, e, c, d) for s, e, c, d in _touching(tx, "gap", camera_id, from_90k, to_90k)]


def _touching(
    tx: Tx, table: Literal["stretch", "gap"], camera_id: int, from_90k: int, to_90k: int
) -> list[tuple[Any, ...]]:
    # Rows are disjoint, so of those that begin before `from` only the last one can reach it.
    columns = _COLUMNS[table]
    first = tx.read(
        f"select {columns} from {table} where camera_id = ? and start_90k < ?"  # noqa: S608 - names of our own
        " order by start_90k desc limit 1",
        (camera_id, from_90k),
    )
    return [row for row in first if row[1] >= from_90k] + tx.read(
        f"select {columns} from {table} where camera_id = ? and start_90k between ? and ?"  # noqa: S608 - our own
        " order by start_90k",
        (camera_id, from_90k, to_90k),
    )
