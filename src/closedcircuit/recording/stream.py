# SPDX-License-Identifier: Apache-2.0
"""One stream of one camera, from samples to pieces and to viewers.

A `StreamRecorder` is the sink of one source: it maps media time to wall time, cuts fragments at key frames, keeps the
running group of pictures for new viewers. What becomes of the pieces is its `Chain`'s business. It never waits.

Everything here belongs to the sweep thread.
"""

from __future__ import annotations

from collections.abc import Callable

from closedcircuit.base import TICKS, Ids
from closedcircuit.model import Cause, Sample, SenderReport, Track
from closedcircuit.recording.chain import OVERLAP_MAX_90K, Chain, Terms
from closedcircuit.recording.pieces import Piece
from closedcircuit.recording.relay import AUDIO, KEY, Relay, Replayed
from closedcircuit.recording.sound import Sound
from closedcircuit.recording.wall import WallMap

PIECE_BYTES_MAX = 4 << 20
"""A fragment ends before it grows past this: a bound on memory, well below `model.FRAGMENT_BYTES_MAX`."""
REPLAY_BYTES_MAX = 8 << 20
"""A running group of pictures longer than this is not kept for new viewers: they wait for the next key frame."""
HARD_FACTOR = 2
"""A fragment ends at any picture once it is this many times its length."""
HOLE_90K = TICKS
"""Lost packets that leave a hole longer than this make a gap."""
FUTURE_90K, PAST_90K = 2 * TICKS, 60 * TICKS
"""A sample that would lie further off its arrival than this shows that the camera's media clock has jumped."""
FRAME_90K = 3600
"""Length of a frame where there is nothing to reckon it from."""
EXTRA_STEP_90K, EXTRA_MAX_90K = 180, TICKS // 2
"""When the anchor moves, live timestamps follow by this much a frame; from the second value on they start anew."""


class StreamRecorder:
    """Sink of one source (`model.PacketSink`)."""

    def __init__(
        self, chain: Chain, ids: Ids, terms: Terms, sound: Sound, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.chain = chain
        self.run = ""  # of the connection; empty without one
        self.is_deaf = False  # its source is being taken away on purpose: what that says of the end does not matter
        self.relay: Relay | None = None
        self._ids, self._sound, self._on_change = ids, sound, on_change
        self._fragment_90k = round(terms.fragment_s * TICKS)
        self._hard_90k = HARD_FACTOR * self._fragment_90k
        self._received: tuple[Track, ...] = ()
        self._tracks: tuple[Track, ...] = ()
        self._live_extra = 0
        self._gop: list[Sample] | None = None  # since the last key frame; None: too long to keep, or none yet
        self._gop_bytes = 0
        self._reset()

    def _reset(self) -> None:
        """Forget the media time: a run ended, or its clock jumped."""
        self._wall: WallMap | None = None
        self._samples: list[Sample] = []  # of the open fragment
        self._bytes = 0
        self._start_pts = self._max_pts = 0
        self._frame_90k = FRAME_90K
        self._edge_90k: int | None = None  # wall time at which the next piece begins, where pieces touch
        self._lost_detail = ""
        self._changes_at_key = False  # the coding is another from the next key frame on
        self._collecting = False  # samples belong to an open fragment, or begin one

    # ------------------------------------------------------------------------------------- the source calls

    def started(self, tracks: tuple[Track, ...], at_90k: int) -> None:
        """A run begins."""
        self._reset()
        del at_90k  # samples say when they arrived
        self.is_deaf = False
        self.run = self._ids.random(8).hex()
        self._received = tracks
        self._tracks = self._sound.take_up(tracks)
        self.chain.begin_run(self.run, self._tracks)
        self._renew_relay()
        self._on_change()

    def sample(self, sample: Sample) -> None:
        """The next sample of a track."""
        if sample.track == 1:
            self._video(sample)
        elif len(self._tracks) > 1 and not self._changes_at_key:
            for made in self._sound.turn(sample):
                self._audio(made)

    def changed(self, tracks: tuple[Track, ...]) -> None:
        """The coding changes with the next picture."""
        self._received = tracks
        self._changes_at_key = True
        self._gop = None

    def sender_report(self, report: SenderReport) -> None:
        """The camera told its time: of interest to `cameras`, which tells how far it is off; never to the footage."""

    def lost(self, at_90k: int, detail: str) -> None:
        """Packets are missing; a gap if the hole turns out long."""
        del at_90k
        self._lost_detail = detail or "packets were lost"

    def ended(self, at_90k: int, cause: Cause, detail: str) -> None:
        """The run is over, or none could be started."""
        if self.is_deaf:
            return
        self._finish()
        self.chain.end_run(at_90k, cause, detail)
        self._forget_run()
        self._on_change()

    def _forget_run(self) -> None:
        self._reset()
        self.run = ""
        self._gop = None
        self._tracks = self._received = ()
        self._renew_relay()

    # ----------------------------------------------------------------------------------- the recorder calls

    def tick(self, now_90k: int) -> None:
        """Once a second."""
        self.chain.review(now_90k, self._finish)
        if self._received and self._sound.is_ready_now():
            self._changes_at_key = True
        if self.relay and self.relay.is_mute and self._tracks:
            self._renew_relay()

    def clock_stepped(self, detail: str) -> None:
        """The machine's wall clock was set: what follows is on another scale."""
        self._finish()
        self._restart(Cause.CLOCK_STEPPED, detail)

    def stop(self) -> None:
        """Hand over what is open and end the segment; nothing more comes."""
        self._finish()
        self.chain.close()

    def pause(self, now_90k: int) -> None:
        """The source was removed because the camera is paused."""
        self.stop()
        self.chain.review(now_90k, self._finish)
        self._forget_run()
        self._on_change()

    def watch(self, relay: Relay) -> None:
        """Somebody watches: send what he needs to begin, then every sample."""
        self.relay = relay
        self._renew_relay()

    def unwatch(self) -> None:
        """Nobody does any more."""
        self.relay = None

    # ------------------------------------------------------------------------------------------------ samples

    def _video(self, sample: Sample) -> None:
        pts, arrived, wall = sample.pts, sample.arrived_90k, self._wall
        if wall is None:
            if not sample.key:
                return
            wall = self._wall = WallMap(pts, arrived)
            self._max_pts = pts
        elif self._is_off(wall, pts, arrived):
            self._finish()
            self._restart(Cause.BROKEN, "the camera's clock jumped")
            self._video(sample)
            return
        elif self._lost_detail:
            self._look_for_hole(pts)
        wall.observe(pts, arrived)
        if sample.key:
            self._gop, self._gop_bytes = [], 0
            self._at_key(wall, sample)
        elif (
            self._samples
            and (pts - self._start_pts >= self._hard_90k or self._bytes + sample.size > PIECE_BYTES_MAX)
            and pts > self._max_pts  # a cut before one that is shown earlier than one behind us would tear them apart
        ):
            self._cut(pts, next_is_key=False)
        if self._collecting:
            if not self._samples:
                self._start_pts = pts
            self._samples.append(sample)
            self._bytes += sample.size
        self._keep(sample)
        if pts > self._max_pts:
            if not sample.key:
                self._frame_90k = min(pts - self._max_pts, TICKS)
            self._max_pts = pts
        if self.relay is not None or self._live_extra:
            self._show(sample)

    def _look_for_hole(self, pts: int) -> None:
        """Packets were lost before this picture."""
        if pts - self._max_pts > HOLE_90K:
            self._finish()
            self.chain.hole(Cause.BROKEN, self._lost_detail)
        self._lost_detail = ""

    def _at_key(self, wall: WallMap, sample: Sample) -> None:
        """End the open fragment where it is long enough; begin to collect where that is wanted."""
        pts = sample.pts
        if self._samples:
            length = pts - self._start_pts
            is_large = self._bytes + sample.size > PIECE_BYTES_MAX
            if length >= self._fragment_90k or self._changes_at_key or is_large:
                self._cut(pts, next_is_key=True)
        if self._changes_at_key:
            self._retrack()
        self._collecting = self.chain.is_wanted
        if not self._collecting:
            self._live_extra -= wall.settle(pts)  # nothing is cut, so nothing else bends it

    def _audio(self, sample: Sample) -> None:
        if self._samples:
            self._samples.append(sample)
            self._bytes += sample.size
        if self._wall is None:
            return
        self._keep(sample)
        if self.relay is not None:
            self.relay.sample(KEY | AUDIO, self._live_pts(sample), sample.parts, sample.size)

    def _show(self, sample: Sample) -> None:
        """Send a picture to the viewers."""
        extra = self._live_extra
        if extra:
            self._live_extra = max(0, extra - EXTRA_STEP_90K) if extra > 0 else min(0, extra + EXTRA_STEP_90K)
        relay = self.relay
        if relay is not None:
            if sample.key and (relay.is_mute or relay.hour_key is not self.chain.hour_key):
                self._renew_relay()
            else:
                relay.sample(KEY if sample.key else 0, self._live_pts(sample), sample.parts, sample.size)

    def _is_off(self, wall: WallMap, pts: int, arrived_90k: int) -> bool:
        late = arrived_90k - wall.wall(pts)
        return late > PAST_90K or (wall.settled and late < -FUTURE_90K)

    def _cut(self, next_pts: int | None, *, next_is_key: bool) -> None:
        """End the open fragment and hand it over."""
        wall, samples = self._wall, self._samples
        if wall is None or not samples:
            return
        end_pts = self._max_pts + self._frame_90k if next_pts is None else next_pts
        piece = Piece(samples, self._start_pts, end_pts, self._bytes)
        self._samples, self._bytes = [], 0
        if self._edge_90k is None:
            self._anchor(wall, end_pts)
            piece.start_90k = wall.wall(self._start_pts)
        else:
            wall.settle(end_pts)
            piece.start_90k = self._edge_90k
        piece.end_90k = wall.wall(end_pts)
        is_last = next_pts is None or self._changes_at_key or self.chain.is_last(piece, next_is_key=next_is_key)
        if is_last:
            # The last fragment of a file is as long as its media says: an index made from the files tells the same.
            piece.end_90k = piece.start_90k + max(1, end_pts - self._start_pts)
            wall.move(piece.end_90k - wall.wall(end_pts))
        self._edge_90k = piece.end_90k
        self.chain.take(piece, is_last=is_last)
        if not next_is_key and not self.chain.can_go_on:
            self._collecting, self._edge_90k = False, None

    def _anchor(self, wall: WallMap, end_pts: int) -> None:
        """Fix where a run, or what follows a break in it, begins."""
        jump = wall.settle(end_pts)
        not_before = self.chain.not_before_90k
        if not_before - wall.wall(self._start_pts) < OVERLAP_MAX_90K:
            jump += wall.clamp(self._start_pts, not_before)
        self._live_extra -= jump
        if abs(self._live_extra) > EXTRA_MAX_90K:
            self._live_extra = 0
            self._renew_relay()

    def _finish(self) -> None:
        """Hand over what is open; nobody knows how long its last picture stands."""
        self._cut(None, next_is_key=False)
        self._edge_90k = None
        self._collecting = False

    def _restart(self, cause: Cause, detail: str) -> None:
        """Go on with the same run and coding on a new scale of time."""
        self.chain.hole(cause, detail)
        self._reset()
        self._gop = None
        self._renew_relay()

    def _retrack(self) -> None:
        """The coding is another from here on."""
        self._changes_at_key = False
        self._tracks = self._sound.take_up(self._received)
        self.chain.change(self._tracks)
        self._renew_relay(changed=True)

    # ------------------------------------------------------------------------------------------------ viewers

    def _keep(self, sample: Sample) -> None:
        """Keep the running group of pictures; it shares its samples with the open fragment as a rule."""
        gop = self._gop
        if gop is None:
            return
        self._gop_bytes += sample.size
        if self._gop_bytes > REPLAY_BYTES_MAX:
            self._gop = None
        else:
            gop.append(sample)

    def _live_pts(self, sample: Sample) -> int:
        wall = self._wall
        if wall is None:
            return sample.arrived_90k
        pts = sample.pts if sample.track == 1 else sample.pts * TICKS // self._tracks[1].timescale
        return wall.wall(pts) + self._live_extra

    def _renew_relay(self, *, changed: bool = False) -> None:
        """Begin anew for viewers: new live id, config, and the running group of pictures."""
        relay = self.relay
        if relay is None:
            return
        relay.renew(self._tracks, self.chain.hour_key, changed=changed)
        replayed = [
            Replayed(
                self._live_pts(sample),
                (KEY if sample.key else 0) | (AUDIO if sample.track != 1 else 0),
                sample.parts,
                sample.size,
            )
            for sample in self._gop or ()
        ]
        relay.replay(replayed)
