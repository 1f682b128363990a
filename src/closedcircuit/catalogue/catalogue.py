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

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from closedcircuit.base.clock import TICKS, Clock
from closedcircuit.base.errors import NotFound
from closedcircuit.catalogue import _finding, _lives, _retention
from closedcircuit.catalogue._account import put_gap, reasons, stretches
from closedcircuit.catalogue._forecast import Forecast, forecast, rates
from closedcircuit.catalogue._names import Names, find_camera
from closedcircuit.catalogue._retention import Policy
from closedcircuit.catalogue._segments import drop, put, set_hash
from closedcircuit.catalogue.spans import Ledger, add_up, merge_below, partition
from closedcircuit.db import Database, Tx
from closedcircuit.model import Camera, Gap, Hold, Segment, Span, StreamName

UNDECIDED_90K = 15 * TICKS
"""The newest seconds of a camera are on their way: a fragment being filled, a batch of rows being collected. A ledger
ends before them, rather than calling them lost."""
SEGMENTS_MAX = 240
DOOM_BATCH = 2000


class Catalogue:
    """See above. Holds no state but its database and clock."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self._clock = clock

    # -------------------------------------------------------------------------------------------- writing

    def announce(self, camera: Camera) -> None:
        """Say that a camera exists since `camera.added_90k`: its ledger begins there. Idempotent; 0 says nothing.

        One that was there before, and was removed, goes on with its ledger; the time between is off.
        """
        known = self.db.read("select added_90k, removed_90k from camera where name = ?", (camera.id,))
        if camera.added_90k > 0 and known != [(camera.added_90k, None)]:
            now = self._clock.now_90k()
            self.db.write(lambda tx: _lives.announce(tx, camera.id, camera.added_90k, now))

    def dismiss(self, camera: str, at_90k: int) -> None:
        """Say that a camera was removed: its ledger ends there, or with the last footage that was under way.

        Durable before this returns, for nothing else says it. Call it before the camera is forgotten: a crash between
        the two leaves one that is still there, and is announced again.
        """
        self.db.write(lambda tx: _lives.dismiss(tx, camera, at_90k), durable=True)

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
        where = camera, stream
        return self.db.view(lambda tx: _finding.overlapping(tx, where, from_90k, to_90k, limit, fragments=fragments))

    def segment(self, camera: str, stream: str, kid: bytes) -> Segment:
        """Return one segment by its kid. Raises NotFound."""
        segment = self.db.view(lambda tx: _finding.by_kid(tx, (camera, stream), kid))
        if segment is None:
            raise NotFound(f"The index knows no segment {kid.hex()} of {camera}/{stream}.")
        return segment

    def at(self, camera: str, stream: str, at_90k: int) -> Segment | None:
        """Return the segment that covers a moment: of several, the one that began last."""
        return self.db.view(lambda tx: _finding.covering(tx, (camera, stream), at_90k))

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
        return self.db.view(lambda tx: _finding.latest_end(tx, (camera, stream), at_90k))

    def oldest(self, camera: str) -> int | None:
        """When the oldest segment of any stream of a camera begins."""
        return self.db.view(lambda tx: _finding.earliest_start(tx, camera))

    def newest_end(self, camera: str, stream: str) -> int | None:
        """When the newest footage of a stream ends."""
        return self.db.view(lambda tx: _finding.latest_end(tx, (camera, stream)))

    def growing(self, limit: int = 1 << 20) -> list[Segment]:
        """Segments that were not finished, without fragments: while no recorder runs, what a crash left."""
        return self.db.view(lambda tx: _retention.listed(tx, "growing", limit))

    def newest_finished(self, camera: str, stream: str) -> int | None:
        """When the newest segment that does not grow begins."""
        return self.db.view(lambda tx: _finding.newest_finished(tx, (camera, stream)))

    def sizes(self, camera: str, stream: str, from_90k: int) -> dict[bytes, int]:
        """Bytes by kid of the segments that begin at `from_90k` or later."""
        return self.db.view(lambda tx: _finding.sizes(tx, (camera, stream), from_90k))

    def unhashed(self, limit: int = 64) -> list[Segment]:
        """Finished segments whose hash nobody knows yet, without fragments: what a repair or a rebuild found."""
        return self.db.view(lambda tx: _retention.listed(tx, "unhashed", limit))

    def hashed(self, segment: Segment, sha256: bytes | None) -> None:
        """Write the hash of an `unhashed` one, unless it has one by now, or another size; None: it will have none."""
        self.db.write(lambda tx: set_hash(tx, segment, sha256))

    # -------------------------------------------------------------------------------------------- the account

    def ledger(self, camera: str, from_90k: int, to_90k: int) -> Ledger:
        """Return the exact account of [from, to), not before the camera was added and not after what is decided.

        It ends where a camera was removed. One that nobody announced is accounted for from its first segment or gap on.
        """
        return add_up(camera, *self.db.view(lambda tx: self._spans(tx, camera, from_90k, to_90k)))

    def coverage(self, cameras: Iterable[str], from_90k: int, to_90k: int, px: int) -> dict[str, list[Span]]:
        """Return the ledgers' spans merged for drawing on `px` pixels: at most about two a pixel (`merge_below`)."""
        pixel_90k = max(1, (to_90k - from_90k) // max(1, px))

        def read(tx: Tx) -> dict[str, list[Span]]:
            return {c: merge_below(self._spans(tx, c, from_90k, to_90k)[2], pixel_90k) for c in cameras}

        return self.db.view(read)

    def _spans(self, tx: Tx, camera: str, from_90k: int, to_90k: int) -> tuple[int, int, list[Span]]:
        """Return spans, and the part of [from, to) that they cover."""
        number = find_camera(tx, camera)
        if number is None:
            return from_90k, from_90k, []
        from_90k = max(from_90k, _lives.begin(tx, number))
        to_90k = min(to_90k, self._decided(tx, number), _lives.end(tx, number))
        if to_90k <= from_90k:
            return from_90k, from_90k, []
        recorded = stretches(tx, number, from_90k, to_90k)
        on_file = reasons(tx, number, from_90k, to_90k)
        return from_90k, to_90k, partition(recorded, on_file, from_90k, to_90k)

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

    def doom_camera(self, camera: str) -> int:
        """List all footage of a camera for deletion but what is held, segments that grow included; return how many.

        In transactions of `DOOM_BATCH`, each durable, so that recording goes on meanwhile, and a hold that is made
        meanwhile counts. Call it when nothing of the camera grows any more (`is_growing`): what is written
        afterwards is left to retention.
        crash inside: the keeper deletes what is listed; the same call again lists the others.
        """
        now, listed = self._clock.now_90k(), 0
        for stream in StreamName:
            place: tuple[int, int] | None = (-1, -1)
            while place is not None:
                some = functools.partial(
                    _retention.doom_some, where=(camera, stream.value), after=place, now_90k=now, limit=DOOM_BATCH
                )
                count, place = self.db.write(some, durable=True)
                listed += count
        return listed

    def is_growing(self, camera: str) -> bool:
        """Whether a segment of a camera is not finished."""
        return bool(
            self.db.read(
                "select 1 from growing x join stream s on s.id = x.stream_id join camera c on c.id = s.camera_id"
                " where c.name = ? limit 1",
                (camera,),
            )
        )

    def held(self, segments: Iterable[Segment]) -> list[Segment]:
        """Return those of `segments` that a hold covers by now."""
        return self.db.view(lambda tx: _retention.held(tx, segments))

    def pardon(self, segments: Iterable[Segment]) -> None:
        """Take segments off the list of those to be deleted. Only for the keeper, who knows that their files are there.

        Durable before this returns.
        """
        self.db.write(lambda tx: _retention.pardon(tx, segments), durable=True)

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
        """Keep footage from deletion, durably before this returns.

        The keeper looks at holds right before it unlinks, so what is listed for deletion is saved too, but for the
        files of one batch (milliseconds) that it is unlinking at this moment.
        """
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


def _maybe(value: Any) -> int | None:
    return None if value is None else int(value)
