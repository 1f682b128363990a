# SPDX-License-Identifier: Apache-2.0
"""When a camera was there at all: its ledger begins when it was first added, and ends when it was removed.

Columns `added_90k` and `removed_90k` of `camera`. A camera that is added again under the same name goes on with its
ledger; the time between is off, cause `paused`.
"""

from __future__ import annotations

from closedcircuit.catalogue._account import put_gap
from closedcircuit.catalogue._names import Names
from closedcircuit.db import Tx
from closedcircuit.model import Cause

NEVER = 1 << 62
AWAY = "it was removed, and added again"


def announce(tx: Tx, camera: str, added_90k: int, now_90k: int) -> None:
    """Write that a camera is there since `added_90k`; what is on file from before is an earlier life of it."""
    number = Names(tx).camera(camera)
    removed = tx.read("select removed_90k from camera where id = ?", (number,))[0][0]
    first = begin(tx, number)
    if removed is not None:
        back_90k = added_90k if added_90k > removed else now_90k  # the same file put back: it says when it was new
        put_gap(tx, number, removed, back_90k, Cause.PAUSED, AWAY)
    elif first < added_90k:  # nobody wrote that it was removed, but it was: it ended with what is on file
        put_gap(tx, number, _last_end(tx, number, added_90k) or first, added_90k, Cause.PAUSED, AWAY)
    tx.execute("update camera set added_90k = ?, removed_90k = null where id = ?", (min(first, added_90k), number))


def dismiss(tx: Tx, camera: str, at_90k: int) -> None:
    """Write that a camera was removed; nothing where the index does not know it."""
    tx.execute("update camera set removed_90k = ? where name = ?", (at_90k, camera))


def begin(tx: Tx, number: int) -> int:
    """When a camera's ledger begins; NEVER while there is nothing of it."""
    added = tx.read("select added_90k from camera where id = ?", (number,))[0][0]
    if added is not None:
        return int(added)
    first = [
        tx.read(f"select min(start_90k) from {table} where camera_id = ?", (number,))[0][0]  # noqa: S608 - own names
        for table in ("stretch", "gap")
    ]
    return min((f for f in first if f is not None), default=NEVER)


def end(tx: Tx, number: int) -> int:
    """When a camera's ledger ends; NEVER while it was not removed.

    A recorder that runs hears of it two seconds later: what it recorded until then is accounted for too.
    """
    removed = tx.read("select removed_90k from camera where id = ?", (number,))[0][0]
    if removed is None:
        return NEVER
    last = tx.one("select end_90k from stretch where camera_id = ? order by start_90k desc limit 1", (number,))
    return max(int(removed), last[0] if last else 0)


def _last_end(tx: Tx, number: int, before_90k: int) -> int | None:
    """Where the last stretch or gap that begins before a moment ends."""
    ends = [
        tx.one(
            f"select end_90k from {table} where camera_id = ? and start_90k < ?"  # noqa: S608 - own names
            " order by start_90k desc limit 1",
            (number, before_90k),
        )
        for table in ("stretch", "gap")
    ]
    return max((row[0] for row in ends if row is not None), default=None)
