# SPDX-License-Identifier: Apache-2.0
"""The index of footage, and the account of every second of it.

The promise:

* The index says nothing that the footage does not say better: lost, it is rebuilt (`rebuild`). So its writes survive
  kill -9 but may be taken back by a power cut; start-up (`repair`) finds what is missing. Listing segments for
  deletion and holds are the exceptions: durable before the call returns.
* Every method may be called from any thread and from several processes; each is one transaction or one consistent
  reading. A write raises Busy when the database stays locked, and then nothing has happened: call again.
* Times are [start, end). Segments of a stream may overlap (a clock set back): each is found, and counts once.
* A stretch of a camera's main stream is *recorded* where any segment covers it; else it has the reason that was
  **written last** among those that cover it; else it is lost, cause `unknown`. So a reason that comes later corrects
  an earlier one, footage wins over every reason, and deleting footage leaves `deleted` in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from closedcircuit.base.clock import TICKS, Clock
from closedcircuit.base.errors import NotFound
from closedcircuit.catalogue import _retention
from closedcircuit.catalogue._account import put_gap, reasons, stretches
from closedcircuit.catalogue._forecast import Forecast, forecast, rates
from closedcircuit.catalogue._names import Names, Stream, find_camera, find_stream
from closedcircuit.catalogue._retention import Policy
from closedcircuit.catalogue._segments import WITH_FRAGMENTS, WITHOUT_FRAGMENTS, drop, put, segment_of
from closedcircuit.catalogue.spans import Ledger, add_up, merge_below, partition
from closedcircuit.db import Database, Tx
from closedcircuit.model import Camera, Gap, Hold, Segment, Span

UNDECIDED_90K = 15 * TICKS
"""The newest seconds of a camera are on their way: a fragment being filled, a batch of rows being collected. A ledger
ends before them, rather than calling them lost."""
SEGMENTS_MAX = 240


class Catalogue:
    """See above. Holds no state but its database and clock."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self._clock = clock

    # -------------------------------------------------------------------------------------------- writing

    def announce(self, camera: Camera) -> None:
        """Say that a camera exists since `camera.added_90k`: its ledger begins there. Idempotent; 0 says nothing."""

        def write(tx: Tx) -> None:
            number = Names(tx).camera(camera.id)
            tx.execute("update camera set added_90k = ? where id = ?", (camera.added_90k, number))

        known = self.db.read("select added_90k from camera where name = ?", (camera.id,))
        if camera.added_90k > 0 and known != [(camera.added_90k,)]:
            self.db.write(write)

    def upsert(self, segments: Sequence[Segment], *, finished: bool = False) -> None:
        """Insert segments, or update those that are there (by camera, stream, start and kid), all or none.

        One without `sha256` grows, unless `finished` says that only its hash is not known. A finished one is not
        changed back by a late row of when it grew.
        """
        self.db.write(lambda tx: put(tx, segments, finished=finished))

    def add_gaps(self, gaps: Iterable[Gap]) -> None:
        """Write reasons, in this order, over those on file. The same again changes nothing; empty ones are ignored."""

        def write(tx: Tx) -> None:
            names = Names(tx)
            for gap in gaps:
                put_gap(tx, names.camera(gap.camera), gap.start_90k, gap.end_90k, gap.cause, gap.detail)

        self.db.write(write)

    # -------------------------------------------------------------------------------------------- footage

    def segments(
        self,
        camera: str,
        stream: str,
        from_90k: int,
        to_90k: int,
        limit: int = SEGMENTS_MAX,
        *,
        fragments: bool = True,
    ) -> list[Segment]:
        """Segments that overlap [from, to), by their beginning; at most `limit`.

        Without `fragments`, several times quicker.
        """
        sql = WITH_FRAGMENTS if fragments else WITHOUT_FRAGMENTS
        sql += " and s.start_90k < ? and s.start_90k > ? and s.start_90k + s.duration_90k > ?"

        def read(tx: Tx) -> list[Segment]:
            found = find_stream(tx, camera, stream)
            if found is None:
                return []
            params = (found.id, to_90k, from_90k - found.longest_90k - 1, from_90k, limit)
            return [
                segment_of(camera, stream, r) for r in tx.read(sql + " order by s.start_90k, s.seq limit ?", params)
            ]

        return self.db.view(read)

    def segment(self, camera: str, stream: str, kid: bytes) -> Segment:
        """Return one segment by its kid. Raises NotFound."""
        sql = WITH_FRAGMENTS + (
            " and s.start_90k between k.first_90k and k.last_90k and s.kid_tail = ? and s.hour_key_id = ?"
            " and s.start_90k between ? and ?"
        )

        def read(tx: Tx) -> Segment | None:
            found = find_stream(tx, camera, stream)
            key = tx.one(
                "select k.id, k.first_90k, k.last_90k from hour_key k join camera c on c.id = k.camera_id"
                " where c.name = ? and k.key_id = ?",
                (camera, kid[:8]),
            )
            if found is None or key is None:
                return None
            row = tx.one(sql, (found.id, kid[8:], *key))
            return None if row is None else segment_of(camera, stream, row)

        segment = self.db.view(read)
        if segment is None:
            raise NotFound(f"The index knows no segment {kid.hex()} of {camera}/{stream}.")
        return segment

    def at(self, camera: str, stream: str, at_90k: int) -> Segment | None:
        """Return the segment that covers a moment: of several, the one that began last."""

        def read(tx: Tx) -> Segment | None:
            found = find_stream(tx, camera, stream)
            if found is None:
                return None
            row = tx.one(
                WITH_FRAGMENTS + " and s.start_90k <= ? and s.start_90k > ? and s.start_90k + s.duration_90k > ?"
                " order by s.start_90k desc, s.seq desc limit 1",
                (found.id, at_90k, at_90k - found.longest_90k - 1, at_90k),
            )
            return None if row is None else segment_of(camera, stream, row)

        return self.db.view(read)

    def next_start(self, camera: str, stream: str, at_90k: int) -> int | None:
        """When the first segment after a moment begins."""
        rows = self.db.read(
            "select min(g.start_90k) from segment g where g.start_90k > ? and g.stream_id ="
            " (select s.id from stream s join camera c on c.id = s.camera_id where c.name = ? and s.name = ?)",
            (at_90k, camera, stream),
        )
        return _maybe(rows[0][0])

    def prev_end(self, camera: str, stream: str, at_90k: int) -> int | None:
        """When the footage before a moment ends: the latest end, not after the moment, of a segment."""

        def read(tx: Tx) -> int | None:
            found = find_stream(tx, camera, stream)
            return None if found is None else _latest_end(tx, found, at_90k)

        return self.db.view(read)

    def oldest(self, camera: str) -> int | None:
        """When the oldest segment of any stream of a camera begins."""

        def read(tx: Tx) -> int | None:
            number = find_camera(tx, camera)
            streams = tx.read("select id from stream where camera_id = ?", (number,))
            starts = [tx.read("select min(start_90k) from segment where stream_id = ?", row)[0][0] for row in streams]
            return min((s for s in starts if s is not None), default=None)

        return self.db.view(read)

    def newest_end(self, camera: str, stream: str) -> int | None:
        """When the newest footage of a stream ends."""

        def read(tx: Tx) -> int | None:
            found = find_stream(tx, camera, stream)
            return None if found is None else _latest_end(tx, found, 1 << 62)

        return self.db.view(read)

    def growing(self, limit: int = 1 << 20) -> list[Segment]:
        """Segments that were not finished, without fragments: while no recorder runs, what a crash left."""
        return self.db.view(lambda tx: _retention.listed(tx, "growing", limit))

    def newest_finished(self, camera: str, stream: str) -> int | None:
        """When the newest segment that does not grow begins."""

        def read(tx: Tx) -> int | None:
            found = find_stream(tx, camera, stream)
            if found is None:
                return None
            row = tx.one(
                "select s.start_90k from segment s where s.stream_id = ? and not exists (select 1 from growing x"
                " where x.stream_id = s.stream_id and x.start_90k = s.start_90k and x.seq = s.seq)"
                " order by s.start_90k desc limit 1",
                (found.id,),
            )
            return None if row is None else int(row[0])

        return self.db.view(read)

    def sizes(self, camera: str, stream: str, from_90k: int) -> dict[bytes, int]:
        """Bytes by kid of the segments that begin at `from_90k` or later."""
        rows = self.db.read(
            "select k.key_id, s.kid_tail, s.size_bytes from segment s join hour_key k on k.id = s.hour_key_id"
            " where s.start_90k >= ? and s.stream_id ="
            " (select t.id from stream t join camera c on c.id = t.camera_id where c.name = ? and t.name = ?)",
            (from_90k, camera, stream),
        )
        return {key + tail: size for key, tail, size in rows}

    # -------------------------------------------------------------------------------------------- the account

    def ledger(self, camera: str, from_90k: int, to_90k: int) -> Ledger:
        """Return the exact account of [from, to), not before the camera was announced and not after what is decided.

        A camera that nobody announced is accounted for from its first segment or gap on.
        """
        return self.db.view(lambda tx: self._ledger(tx, camera, from_90k, to_90k))

    def coverage(self, cameras: Iterable[str], from_90k: int, to_90k: int, px: int) -> dict[str, list[Span]]:
        """Return the ledgers' spans merged for drawing on `px` pixels: at most about two a pixel (`merge_below`)."""
        pixel_90k = max(1, (to_90k - from_90k) // max(1, px))

        def read(tx: Tx) -> dict[str, list[Span]]:
            return {c: merge_below(self._ledger(tx, c, from_90k, to_90k).spans, pixel_90k) for c in cameras}

        return self.db.view(read)

    def _ledger(self, tx: Tx, camera: str, from_90k: int, to_90k: int) -> Ledger:
        number = find_camera(tx, camera)
        if number is None:
            return add_up(camera, from_90k, from_90k, ())
        from_90k = max(from_90k, _begin(tx, number))
        to_90k = min(to_90k, self._decided(tx, number))
        if to_90k <= from_90k:
            return add_up(camera, from_90k, from_90k, ())
        recorded = stretches(tx, number, from_90k, to_90k)
        on_file = reasons(tx, number, from_90k, to_90k)
        return add_up(camera, from_90k, to_90k, partition(recorded, on_file, from_90k, to_90k))

    def _decided(self, tx: Tx, number: int) -> int:
        now = self._clock.now_90k()
        last = [
            tx.one(f"select end_90k from {t} where camera_id = ? order by start_90k desc limit 1", (number,))  # noqa: S608 - own names
            for t in ("stretch", "gap")
        ]
        newest = max((row[0] for row in last if row is not None), default=0)
        return int(newest) if now - UNDECIDED_90K < newest < now else now

    # -------------------------------------------------------------------------------------------- retention

    def bytes_by_camera(self) -> dict[str, int]:
        """Bytes of footage by camera, all streams, growing ones included."""
        return dict(
            self.db.read(
                "select c.name, sum(y.size_bytes) from day y join stream s on s.id = y.stream_id"
                " join camera c on c.id = s.camera_id group by c.id"
            )
        )

    def bytes_by_disk(self) -> dict[str, int]:
        """Bytes of footage by disk."""
        return dict(
            self.db.read("select d.name, sum(y.size_bytes) from day y join disk d on d.id = y.disk_id group by d.id")
        )

    def bytes_per_day(self) -> dict[str, int]:
        """Bytes a day by camera, as written in the last week."""
        return self.db.view(lambda tx: rates(tx, self._clock.now_90k()))

    def forecast(self, policy: Policy, free_bytes: int) -> Forecast:
        """Say when it will be full; `free_bytes` of all disks together, above their reserves."""
        return self.db.view(lambda tx: forecast(tx, policy, self._clock.now_90k(), free_bytes))

    def expired(self, policy: Policy, limit: int = 256) -> list[Segment]:
        """Segments past their limits, oldest first, without fragments; never one that is held, growing or doomed."""
        return self.db.view(lambda tx: _retention.expired(tx, policy, self._clock.now_90k(), limit))

    def oldest_on(self, disk: str, need_bytes: int, limit: int = 256) -> list[Segment]:
        """Return what to delete for room on a full disk, likewise; empty when all that is left is held."""
        return self.db.view(lambda tx: _retention.oldest_on(tx, disk, need_bytes, limit))

    def doom(self, segments: Sequence[Segment]) -> list[Segment]:
        """List segments for deletion, durably; return those listed. What a hold covers by now is left out.

        crash after: the keeper finds them in `doomed` and goes on.
        """
        now = self._clock.now_90k()
        return self.db.write(lambda tx: _retention.doom(tx, segments, now), durable=True)

    def doomed(self, limit: int = 256) -> list[Segment]:
        """Segments whose deletion has begun, without fragments."""
        return self.db.view(lambda tx: _retention.listed(tx, "doomed", limit))

    def spare_keys(self, segments: Iterable[Segment]) -> list[tuple[str, str]]:
        """Return (camera, key id) of the hour keys that only these segments need.

        To be deleted with them, after the files and before `deleted`: a crash between the two leaves rows that say so.
        """
        return self.db.view(lambda tx: _retention.spare_keys(tx, segments, self._clock.now_90k()))

    def deleted(self, segments: Iterable[Segment], detail: str = "") -> None:
        """Their files are gone: drop the rows, and account for the time as `deleted`, in one transaction."""
        self.db.write(lambda tx: drop(tx, segments, detail))

    def forget(self, segments: Iterable[Segment]) -> None:
        """Drop rows whose files are gone without anybody having deleted them: their time is lost, cause unknown."""
        self.db.write(lambda tx: drop(tx, segments, None))

    def keys_in_use(self, camera: str) -> set[str]:
        """Ids (16 hex digits) of the hour keys that segments in the index are sealed under."""
        rows = self.db.read(
            "select k.key_id from hour_key k join camera c on c.id = k.camera_id where c.name = ?", (camera,)
        )
        return {row[0].hex() for row in rows}

    # -------------------------------------------------------------------------------------------- holds

    def add_hold(self, hold: Hold) -> None:
        """Keep footage from deletion, durably before this returns. What is doomed already is not saved by it."""
        values = (hold.id, hold.camera, hold.start_90k, hold.end_90k, hold.reason, hold.made_90k)
        self.db.write(
            lambda tx: tx.execute("insert or replace into hold values (?, ?, ?, ?, ?, ?)", values), durable=True
        )

    def remove_hold(self, hold_id: str) -> None:
        """Let go of it. Raises NotFound."""
        if not self.db.write(lambda tx: tx.execute("delete from hold where id = ?", (hold_id,))):
            raise NotFound(f"There is no hold {hold_id}.")

    def holds(self, camera: str | None = None, from_90k: int = 0, to_90k: int = 1 << 62) -> list[Hold]:
        """Holds that overlap [from, to), by camera and beginning."""
        rows = self.db.read(
            "select id, camera, start_90k, end_90k, reason, made_90k from hold"
            " where (?1 is null or camera = ?1) and start_90k < ?2 and end_90k > ?3 order by camera, start_90k",
            (camera, to_90k, from_90k),
        )
        return [Hold(id=i, camera=c, start_90k=s, end_90k=e, reason=r, made_90k=m) for i, c, s, e, r, m in rows]


def _begin(tx: Tx, number: int) -> int:
    added = tx.read("select added_90k from camera where id = ?", (number,))[0][0]
    if added is not None:
        return int(added)
    first = [
        tx.read(f"select min(start_90k) from {table} where camera_id = ?", (number,))[0][0]  # noqa: S608 - own names
        for table in ("stretch", "gap")
    ]
    return min((f for f in first if f is not None), default=1 << 62)


def _latest_end(tx: Tx, stream: Stream, at_90k: int) -> int | None:
    """Look back over as many segments as can matter: the last to begin, and what is long enough to outlast it."""
    last = tx.one(
        "select start_90k, start_90k + duration_90k from segment where stream_id = ? and start_90k + duration_90k <= ?"
        " and start_90k <= ? order by start_90k desc limit 1",
        (stream.id, at_90k, at_90k),
    )
    if last is None:
        return None
    return _maybe(
        tx.read(
            "select max(start_90k + duration_90k) from segment where stream_id = ? and start_90k <= ?"
            " and start_90k > ? and start_90k + duration_90k <= ?",
            (stream.id, at_90k, last[0] - stream.longest_90k - 1, at_90k),
        )[0][0]
    )


def _maybe(value: Any) -> int | None:
    return None if value is None else int(value)
