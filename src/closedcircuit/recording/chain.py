# SPDX-License-Identifier: Apache-2.0
"""The segments of one stream, one after another, and the reasons for the time between them.

Decides whether time is recorded at all: no owner's key, paused, outside its hours, no event; no usable disk; no
connection. That is also the order in which reasons win: what is on purpose is never reported as a loss.

Owned by the sweep thread.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import tzinfo

import msgspec

from closedcircuit.base import TICKS, Ids
from closedcircuit.base.errors import KeyError_
from closedcircuit.model import Camera, Cause, Mode, StreamName, Track
from closedcircuit.recording.account import Account, Reason
from closedcircuit.recording.hours import is_within
from closedcircuit.recording.pieces import Outcome, Outlet, Piece, Plan
from closedcircuit.recording.ring import PreRoll
from closedcircuit.vault import HourKey

SEGMENT_HARD_S = 600
"""Without a key frame for this long, the segment ends, and there is a gap until one comes."""
OVERLAP_MAX_90K = 3 * TICKS // 2
"""A run that seems to begin less than this before the end of footage that we have is moved behind it, and bends back
to the true time; with more, the two overlap, and the ledger counts that time once."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How footage is cut."""

    fragment_s: float = 2.0
    segment_s: float = 60.0
    zone: tzinfo | None = None  # of the schedules; None: the machine's


class Chain:
    """Where one stream's pieces go, and why they do not."""

    def __init__(
        self, camera: Camera, stream: str, outlet: Outlet, key: Callable[[], HourKey | None], ids: Ids, terms: Terms
    ) -> None:
        self.stream = stream
        self.account: Account | None = None  # the streams `main` have one
        self.dropped_pieces = 0
        self.written_90k = 0  # on disk up to here
        self._outlet, self._key, self._ids, self._terms = outlet, key, ids, terms
        self._run = ""
        self._tracks: tuple[Track, ...] = ()
        self._plan: Plan | None = None
        self._edge_90k = 0  # end of what was last handed over
        self._off: Reason | None = None
        self._down: Reason | None = None
        self._event_until_90k = 0
        self._ring = PreRoll(0)
        # The first segment of each stream has another length, so that the files of many cameras do not roll at once.
        phase = zlib.crc32(f"{camera.id}/{stream}".encode()) % 50
        self._target_90k = round(terms.segment_s * TICKS) * (50 + phase) // 100
        self.configure(camera)

    def configure(self, camera: Camera) -> None:
        """Take new settings of the same camera."""
        self.camera = camera
        if camera.recording.mode is not Mode.EVENT:
            self._ring.clear()
        else:
            self._ring = PreRoll(camera.recording.pre_roll_s)

    # ------------------------------------------------------------------------------------------------ reasons

    @property
    def is_wanted(self) -> bool:
        """Whether pieces are of any use now (also those that only wait in memory for an event)."""
        return self._off is None or self._off[0] is Cause.NO_EVENT

    @property
    def can_go_on(self) -> bool:
        """Whether a piece that begins with no key frame is of use."""
        return self._plan is not None or (self._off is not None and self._off[0] is Cause.NO_EVENT)

    @property
    def hour_key(self) -> HourKey | None:
        """The key of this hour; None without an owner."""
        return self._key()

    @property
    def not_before_90k(self) -> int:
        """Where a new run's footage may begin at the earliest."""
        return max(self._edge_90k, self.account.upto_90k if self.account else 0)

    def review(self, now_90k: int, finish: Callable[[], None]) -> None:
        """Look again whether to record. Where that has just become wrong, `finish` hands over what is open first."""
        intent = self._intent(now_90k)
        if self._off is None and intent is not None:
            finish()
            self.close()
        self._off = intent
        self._tell(now_90k)

    def trigger(self, at_90k: int, until_90k: int) -> None:
        """Something happened from `at_90k` to `until_90k`: keep that, what came before it and what comes after."""
        recording = self.camera.recording
        if recording.mode is not Mode.EVENT:
            return
        self._event_until_90k = max(self._event_until_90k, until_90k + round(recording.post_roll_s * TICKS))
        if self._off is not None and self._off[0] is Cause.NO_EVENT:
            self._off = None
            for piece in self._ring.take(at_90k - round(recording.pre_roll_s * TICKS)):
                self._submit(piece)

    def _intent(self, now_90k: int) -> Reason | None:
        recording = self.camera.recording
        if self.stream == StreamName.SUB and not recording.record_sub:
            return Cause.PAUSED, "its substream is only watched"
        if self._key() is None:
            return Cause.NO_KEY, "there is no owner's key yet"
        if recording.mode is Mode.PAUSED:
            return Cause.PAUSED, ""
        if recording.mode is Mode.SCHEDULE and not is_within(recording.schedule, now_90k, self._terms.zone):
            return Cause.SCHEDULE, ""
        if recording.mode is Mode.EVENT and now_90k >= self._event_until_90k:
            return Cause.NO_EVENT, ""
        return None

    def _tell(self, at_90k: int) -> None:
        reason = self._off or self._down
        if self.account and reason and self._plan is None:
            self.account.because(at_90k, *reason)

    # ------------------------------------------------------------------------------------------------ runs

    def begin_run(self, run: str, tracks: tuple[Track, ...]) -> None:
        """A source connected."""
        self._run, self._tracks, self._down = run, tracks, None

    def change(self, tracks: tuple[Track, ...]) -> None:
        """The coding is another from the next piece on; the caller has cut, and a new segment begins."""
        self.close()
        self._tracks = tracks

    def end_run(self, at_90k: int, cause: Cause, detail: str) -> None:
        """The source is gone, or could not be reached. What was open has been handed over."""
        self.close()
        self._ring.clear()
        self._down = cause, detail
        self._tell(at_90k)

    def hole(self, cause: Cause, detail: str) -> None:
        """Time is missing after what was handed over last, up to what comes next."""
        self.close()
        self._ring.clear()
        if self.account and self._off is None:
            self.account.because(self._edge_90k, cause, detail)

    # ------------------------------------------------------------------------------------------------ pieces

    def is_last(self, piece: Piece, *, next_is_key: bool) -> bool:
        """Whether the growing segment ends with this piece."""
        plan = self._plan
        length_90k = piece.end_90k - (plan.start_90k if plan else piece.start_90k)
        is_due = length_90k >= self._target_90k or (plan is not None and self._key() is not plan.hour_key)
        return (next_is_key and is_due) or length_90k >= SEGMENT_HARD_S * TICKS

    def take(self, piece: Piece, *, is_last: bool) -> None:
        """Hand over the next piece. Pieces come in order of time; their samples are ours from here on."""
        if self._off is not None:
            if self._off[0] is Cause.NO_EVENT:
                self._ring.push(piece)
            return
        self._submit(piece)
        if is_last:
            self.close()

    def close(self) -> None:
        """End the growing segment, if any."""
        if self._plan is not None:
            self._outlet.close(self._plan)
            self._plan = None
            self._target_90k = round(self._terms.segment_s * TICKS)

    def outcome(self, outcome: Outcome) -> None:
        """A disk's thread says what became of a piece."""
        plan, account = outcome.plan, self.account
        if outcome.failed is None:
            self.written_90k = max(self.written_90k, outcome.end_90k)
            return
        self.dropped_pieces += 1
        if self._plan is plan:
            self._plan = None
        if account is None:
            return
        if plan.before and not plan.fragments:
            account.unsaid(plan.before)
            plan.before = []
        account.lost(outcome.start_90k, outcome.end_90k, outcome.failed, outcome.detail)

    def _submit(self, piece: Piece) -> None:
        reason = self._open(piece) if self._plan is None else None
        plan = self._plan
        if plan is None:
            self._miss(piece, reason)
        elif self._outlet.write(plan, piece):
            if self.account:
                self.account.covered(piece.start_90k, piece.end_90k)
        else:
            self.dropped_pieces += 1
            if self.account and plan.start_90k == piece.start_90k:
                self.account.unsaid(plan.before)
            self.close()
            self._miss(piece, (Cause.OVERLOAD, "the disk could not keep up"))
        self._edge_90k = piece.end_90k

    def _open(self, piece: Piece) -> Reason | None:
        """Begin a segment with this piece. A reason, or None with `_plan` unset where it is no key frame: not begun."""
        if not piece.key:
            return None
        plan = Plan(self.camera.id, self.stream, self._run, self._tracks)
        if not self._seal_with(plan):
            return Cause.NO_KEY, "there is no owner's key yet"
        reason = self._outlet.open(plan, self.camera.disk)
        if reason is not None:
            return reason
        plan.start_90k, plan.zero_pts = piece.start_90k, piece.start_pts
        if self.account:
            plan.before = self.account.before(piece.start_90k)
        self._plan = plan
        return None

    def _seal_with(self, plan: Plan) -> bool:
        key = self._key()
        if key is None:
            return False
        plan.hour_key, plan.kid = key, key.new_kid(self._ids)
        try:
            plan.key = key.segment_key(plan.kid)
        except KeyError_:  # forgotten just now, at the turn of the hour: the next piece finds the new one
            return False
        return True

    def _miss(self, piece: Piece, reason: Reason | None) -> None:
        account = self.account
        if account is None:
            return
        reason = reason or account.reason or (Cause.BROKEN, "waiting for a picture that decoding can begin at")
        account.because(piece.start_90k, *reason)
        account.passed(piece.end_90k)
