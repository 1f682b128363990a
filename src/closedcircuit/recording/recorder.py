# SPDX-License-Identifier: Apache-2.0
"""All cameras of one recorder: the sweep thread's work, one pass at a time.

Whoever owns the thread calls `sweep` and `wait` in turn, and nothing else of this class from another thread but
`take_up` and `Notes`' callbacks, which only append to deques.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from closedcircuit.base import TICKS, Clock, Ids, Secret
from closedcircuit.base.errors import ConfigError
from closedcircuit.model import Camera, Cause, Mode, PacketSink, Source, State, StreamName
from closedcircuit.recording.account import Account
from closedcircuit.recording.chain import Chain, Terms
from closedcircuit.recording.index import Indexer
from closedcircuit.recording.link import AskedTest, Link
from closedcircuit.recording.outlet import DiskOutlet
from closedcircuit.recording.pieces import Outcome
from closedcircuit.recording.ready import Ready
from closedcircuit.recording.relay import Relay
from closedcircuit.recording.sound import FlacLoader, Sound
from closedcircuit.recording.stream import StreamRecorder

SWEEP_WATCHED_S = 0.020
"""Between sweeps while somebody watches: half of it is what a sweep adds to the delay on average."""
SWEEP_MIN_S, SWEEP_MAX_S = 0.040, 0.200
WAITING_KBIT = 800.0
"""While nobody watches, sweeps are as rare as keeps this much of the fastest stream waiting in its socket: the fewer,
the more each call to the system brings. Sockets hold at least 128 KiB, and learn to hold more."""
GLANCE_S = 0.040
"""How often the web process is listened to in between."""
STEP_S = 0.5
"""The wall clock was set when it moved this much against monotonic time between two sweeps."""
STEP_READ_S = 0.05
SETTLE_90K = 10 * TICKS
"""How far behind now a gap is told to the index while it grows: a run's first pictures may be older than its start."""
GAPS_EVERY_S = 5
TESTS_AT_ONCE = 4

StreamId = tuple[str, str]


class Sources(Protocol):
    """`cameras.Receiver`, as far as it is used here. Calls the sinks from within `sweep`."""

    def add(self, key: StreamId, source: Source, username: str, password: Secret, sink: PacketSink) -> None:
        """Begin to receive a stream, and never give up. Raises ConfigError."""

    def remove(self, key: StreamId) -> None:
        """Hang up."""

    def sweep(self) -> None:
        """Receive what came."""

    def health(self, key: StreamId) -> dict[str, Any]:
        """`StreamState`, without what only recording knows. KeyError."""


class TakenUp(msgspec.Struct, frozen=True):
    """A camera as it is to be recorded from now on."""

    camera: Camera
    password: Secret
    accounted_90k: int  # every moment before is accounted for already
    was_down: bool  # the time since then is the recorder's fault


class Parts(msgspec.Struct, frozen=True):
    """What a recorder works with."""

    sources: Sources
    outlet: DiskOutlet
    ready: Ready
    indexer: Indexer
    probe: Callable[[Camera, str], dict[str, Any]]
    terms: Terms
    version: str = ""


class Recorder:
    """See above."""

    def __init__(self, parts: Parts, outcomes: deque[Outcome], clock: Clock, ids: Ids) -> None:
        self.streams: dict[StreamId, StreamRecorder] = {}
        self.link: Link | None = None
        self.reload_asked = threading.Event()
        self.last_state: dict[str, Any] = {}  # replaced, never changed: any thread may read it
        self._parts, self._clock, self._ids = parts, clock, ids
        self._outcomes = outcomes
        self._inbox: deque[Mapping[str, TakenUp]] = deque()
        self._cameras: dict[str, TakenUp] = {}
        self._accounts: dict[str, Account] = {}
        self._watched: set[StreamId] = set()
        self._idle: dict[StreamId, tuple[State, int, str]] = {}  # streams that nobody pulls: state, since, why
        self._loader = FlacLoader()
        self._changed = True
        self._second = 0
        self._next_tick_s = 0.0
        self._due_s = 0.0
        self._unwatched_s = SWEEP_MIN_S
        self._skew_90k = 0
        self._skew_known = False
        self._tests = threading.Semaphore(TESTS_AT_ONCE)

    # ------------------------------------------------------------------------------------------------ one pass

    @property
    def sweep_s(self) -> float:
        """Seconds from the beginning of one sweep to the next."""
        return SWEEP_WATCHED_S if self._watched else self._unwatched_s

    def wait(self) -> None:
        """Sleep until the next sweep is due, listening to the web process meanwhile; a late one is not made up for."""
        while True:
            now_s = self._clock.monotonic_s()
            left_s = self._due_s + self.sweep_s - now_s
            if left_s <= 0:
                break
            self._clock.sleep(min(left_s, GLANCE_S))
            if left_s > GLANCE_S and self.link is not None:
                self.link.sweep()
                self.link.flush()
        self._due_s = max(self._due_s + self.sweep_s, now_s)

    def take_up(self, cameras: Mapping[str, TakenUp]) -> None:
        """These are the cameras from the next sweep on. Any thread."""
        self._inbox.append(cameras)

    def sweep(self) -> None:
        """Receive, record, relay."""
        self._look_for_step()
        while self._inbox:
            self._set_cameras(self._inbox.popleft())
        self._parts.sources.sweep()
        link = self.link
        if link is not None:
            link.sweep()
        while self._outcomes:
            self._hear(self._outcomes.popleft())
        now_s = self._clock.monotonic_s()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + 1.0
            self._tick()
        elif self._changed and link is not None and link.is_connected:
            self._changed = False
            link.state(self.state())
        if link is not None:
            link.flush()

    def stop(self) -> None:
        """Hang up on every camera, finish every fragment, close every segment; the gap begins there."""
        for key, recorder in self.streams.items():
            recorder.stop()
            self._hang_up(key)
        if self.link is not None:
            self.link.close()

    def settle(self) -> None:
        """After the disks' threads have ended: take in what became of the last pieces, tell the index of all gaps."""
        while self._outcomes:
            self._hear(self._outcomes.popleft())
        for account in self._accounts.values():
            account.passed(self._clock.now_90k())
            self._parts.indexer.gaps(account.take_changed())

    # ------------------------------------------------------------------------------------------------ inside

    def _hear(self, outcome: Outcome) -> None:
        plan = outcome.plan
        recorder = self.streams.get((plan.camera, plan.stream))
        if recorder is not None:
            recorder.chain.outcome(outcome)
        if outcome.failed is not None:
            self._parts.ready.look_soon()
        elif self.link is not None and self.link.is_connected:
            self.link.edge(plan.camera, plan.stream, outcome.end_90k)

    def _tick(self) -> None:
        now_90k = self._clock.now_90k()
        for recorder in self.streams.values():
            recorder.tick(now_90k)
        self._second += 1
        if self._second % GAPS_EVERY_S == 0:
            for camera, account in self._accounts.items():
                account.passed(now_90k - SETTLE_90K - self._pre_roll_90k(camera))
        for account in self._accounts.values():
            if changed := account.take_changed():
                self._parts.indexer.gaps(changed)
        self._changed = False
        self.last_state = self.state()
        self._unwatched_s = max(SWEEP_MIN_S, min(SWEEP_MAX_S, WAITING_KBIT / max(1.0, self._fastest_kbps())))
        if self.link is not None and self.link.is_connected:
            self.link.state(self.last_state)

    def _fastest_kbps(self) -> float:
        streams = [stream for camera in self.last_state["cameras"].values() for stream in camera.values()]
        return max((float(stream.get("kbps", 0.0)) for stream in streams), default=0.0)

    def _pre_roll_90k(self, camera: str) -> int:
        recording = self._cameras[camera].camera.recording
        return round(recording.pre_roll_s * TICKS) if recording.mode is Mode.EVENT else 0

    def _look_for_step(self) -> None:
        before_s = self._clock.monotonic_s()
        wall_90k = self._clock.now_90k()
        now_s = self._clock.monotonic_s()
        if now_s - before_s > STEP_READ_S:
            return  # put to sleep between the two readings: says nothing
        skew_90k = wall_90k - round(now_s * TICKS)
        moved_90k = skew_90k - self._skew_90k
        self._skew_90k = skew_90k
        if not self._skew_known:
            self._skew_known = True
        elif abs(moved_90k) > STEP_S * TICKS:
            how = "forward" if moved_90k > 0 else "back"
            detail = f"the clock was set {how} by {abs(moved_90k) / TICKS:.1f} s"
            for recorder in self.streams.values():
                recorder.clock_stepped(detail)

    def _set_cameras(self, wanted: Mapping[str, TakenUp]) -> None:
        for camera in list(self._cameras):
            if camera not in wanted:
                self._let_go(camera)
        for camera, taken in wanted.items():
            known = self._cameras.get(camera)
            if known is None or known.password != taken.password or _sources(known.camera) != _sources(taken.camera):
                self._begin(taken, known)
            elif known.camera != taken.camera:
                self._change(known.camera, taken)
            self._cameras[camera] = taken
        self._parts.outlet.expect(len(self.streams))
        self._changed = True

    def _begin(self, taken: TakenUp, known: TakenUp | None) -> None:
        camera = taken.camera
        if known is not None:
            self._drop_streams(camera.id)
        account = self._accounts.get(camera.id)
        if account is None:
            account = self._accounts[camera.id] = Account(camera.id, taken.accounted_90k)
            if taken.was_down:
                account.because(taken.accounted_90k, Cause.PROCESS_DOWN, "the recorder was not running")
            else:
                account.because(taken.accounted_90k, Cause.UNREACHABLE, "not connected yet")
        for stream in _sources(camera):
            key = self._key_of(camera.id)
            chain = Chain(camera, stream, self._parts.outlet, key, self._ids, self._parts.terms)
            if stream == StreamName.MAIN:
                chain.account = account
            recorder = StreamRecorder(chain, self._ids, self._parts.terms, Sound(self._loader), self._note_change)
            self.streams[camera.id, stream] = recorder
            self._connect(taken, stream)
            if (camera.id, stream) in self._watched:
                self.watch(camera.id, stream)

    def _change(self, was: Camera, taken: TakenUp) -> None:
        """Other settings of the same sources: the connections stay."""
        camera = taken.camera
        for stream in _sources(camera):
            recorder = self.streams[camera.id, stream]
            recorder.chain.configure(camera)
            recorder.tick(self._clock.now_90k())
            if was.recording.mode is not camera.recording.mode and Mode.PAUSED in {
                was.recording.mode,
                camera.recording.mode,
            }:
                self._connect(taken, stream)

    def _connect(self, taken: TakenUp, stream: str) -> None:
        """Receive the stream; or hang up where its camera is paused: what is paused, nobody sees."""
        camera, key, now_90k = taken.camera, (taken.camera.id, stream), self._clock.now_90k()
        recorder = self.streams[key]
        if camera.recording.mode is Mode.PAUSED:
            recorder.pause(now_90k)
            self._hang_up(key)
            self._idle[key] = State.PAUSED, now_90k, "this camera is paused"
            return
        self._idle.pop(key, None)
        source, username = _sources(camera)[stream]
        try:
            self._parts.sources.add(key, source, username, taken.password, recorder)
        except ConfigError as error:
            recorder.ended(now_90k, Cause.REFUSED, str(error))
            self._idle[key] = State.GONE, now_90k, str(error)

    def _hang_up(self, key: StreamId) -> None:
        self.streams[key].is_deaf = True
        self._parts.sources.remove(key)

    def _let_go(self, camera: str) -> None:
        self._drop_streams(camera)
        account = self._accounts.pop(camera)
        account.passed(self._clock.now_90k())
        self._parts.indexer.gaps(account.take_changed())
        del self._cameras[camera]

    def _drop_streams(self, camera: str) -> None:
        for each in [key for key in self.streams if key[0] == camera]:
            self.streams[each].stop()
            self._hang_up(each)
            del self.streams[each]

    def _key_of(self, camera: str) -> Callable[[], Any]:
        keys = self._parts.ready.keys
        return lambda: keys.get(camera)

    def _note_change(self) -> None:
        self._changed = True

    # ------------------------------------------------------------------------------------------------ what web asks

    def hello(self) -> dict[str, Any]:
        """See `link.Asked`."""
        return {"pid": os.getpid(), "version": self._parts.version, "cameras": sorted(self._cameras)}

    def state(self) -> dict[str, Any]:
        """See `link.Asked`: StreamState of every stream."""
        cameras: dict[str, dict[str, Any]] = {camera: {} for camera in self._cameras}
        for (camera, stream), recorder in self.streams.items():
            cameras[camera][stream] = self._state_of((camera, stream), recorder)
        return {"at_90k": self._clock.now_90k(), "cameras": cameras}

    def _state_of(self, key: StreamId, recorder: StreamRecorder) -> dict[str, Any]:
        idle = self._idle.get(key)
        if idle is None:
            found = self._parts.sources.health(key)
        else:
            found = {"state": idle[0].value, "since_90k": idle[1], "why": idle[2]}
        found["run"] = recorder.run
        found["dropped_live"] = recorder.relay.dropped if recorder.relay else 0
        return found

    def watch(self, camera: str, stream: str) -> None:
        """See `link.Asked`."""
        if self.link is None:
            return
        self._watched.add((camera, stream))  # also of a camera that is only being added: it is sent once it is there
        recorder = self.streams.get((camera, stream))
        if recorder is not None:
            recorder.watch(Relay(camera, stream, self.link, self._clock, self._ids))

    def unwatch(self, camera: str, stream: str) -> None:
        """See `link.Asked`."""
        self._watched.discard((camera, stream))
        recorder = self.streams.get((camera, stream))
        if recorder is not None:
            recorder.unwatch()

    def unwatch_all(self) -> None:
        """See `link.Asked`."""
        for camera, stream in list(self._watched):
            self.unwatch(camera, stream)

    def reload(self) -> None:
        """See `link.Asked`."""
        self.reload_asked.set()

    def test(self, asked: AskedTest) -> None:
        """See `link.Asked`: a thread of its own, at most TESTS_AT_ONCE of them."""
        if self._tests.acquire(blocking=False):
            threading.Thread(target=self._test, args=(asked,), name="test a camera", daemon=True).start()
        else:
            error = {"code": "camera.error", "message": "Too many tests at once.", "remedy": "Try again in a moment."}
            self._answer(asked.id, {"ok": False, "tracks": [], "error": error})

    def _test(self, asked: AskedTest) -> None:
        try:
            self._answer(asked.id, self._parts.probe(asked.camera, asked.password))
        finally:
            self._tests.release()

    def _answer(self, test_id: str, answer: Mapping[str, Any]) -> None:
        if self.link is not None:
            self.link.tested({"id": test_id, **answer})


def _sources(camera: Camera) -> dict[str, tuple[Source, str]]:
    """Source and user name by stream: what makes a new connection necessary when it changes."""
    found = {StreamName.MAIN.value: (camera.main, camera.username)}
    if camera.sub is not None:
        found[StreamName.SUB.value] = (camera.sub, camera.username)
    return found
