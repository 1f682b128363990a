# SPDX-License-Identifier: Apache-2.0
"""A camera's stream without a camera, and an outlet without a disk, for the tests of this room and of those above."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from closedcircuit.base import TICKS, Ids, ManualClock, Secret
from closedcircuit.blobs import Disks
from closedcircuit.catalogue import Catalogue, repair
from closedcircuit.db import Database
from closedcircuit.model import Camera, Cause, Gap, PacketSink, Recording, Sample, Source, State, Track, TrackKind
from closedcircuit.recording.account import Account, Reason
from closedcircuit.recording.chain import Chain, Terms
from closedcircuit.recording.index import Indexer, accounted_until
from closedcircuit.recording.outlet import DiskOutlet
from closedcircuit.recording.pieces import Outcome, Piece, Plan
from closedcircuit.recording.ready import Ready
from closedcircuit.recording.recorder import Parts, Recorder, TakenUp
from closedcircuit.recording.retention import Keeper
from closedcircuit.recording.sound import FlacLoader, Sound
from closedcircuit.recording.stream import StreamRecorder
from closedcircuit.recording.writer import DiskWriter, Notes
from closedcircuit.vault import HourKey, KeyRing, read_recipients

# Parameter sets of a 64x48 stream, as x264 makes them.
_SPS = bytes.fromhex("6742c00ad90911f9f0110000030001000003003c0f142b90")
_PPS = bytes.fromhex("68cb83cb20")
VIDEO = Track(
    kind=TrackKind.VIDEO,
    codec="h264",
    codec_string="avc1.42c00a",
    timescale=90_000,
    config=bytes((1, _SPS[1], _SPS[2], _SPS[3], 0xFF, 0xE1))
    + len(_SPS).to_bytes(2, "big") + _SPS + b"\1" + len(_PPS).to_bytes(2, "big") + _PPS,
    width=64,
    height=48,
)  # fmt: skip
SOUND = Track(
    kind=TrackKind.AUDIO,
    codec="aac",
    codec_string="mp4a.40.2",
    timescale=16_000,
    config=bytes.fromhex("1408"),
    channels=1,
)


class Acted:
    """Acts as a source: gives a sink the samples of a stream, second by second."""

    def __init__(
        self, sink: PacketSink, *, fps: int = 25, gop_s: float = 2.0, size: int = 400, audio: bool = False
    ) -> None:
        self.sink = sink
        self.tracks = (VIDEO, SOUND) if audio else (VIDEO,)
        self.pts = 0
        self.frame = 0
        self.slow_ppm = 0  # how much too few its clock counts
        self._step, self._gop, self._size, self._audio = TICKS // fps, round(fps * gop_s), size, audio
        self._audio_pts = 0
        self._slipped = 0

    def start(self, at_90k: int) -> None:
        """Begin a run."""
        self.pts = self.frame = self._audio_pts = self._slipped = 0
        self.sink.started(self.tracks, at_90k)

    def frames(self, count: int, now_90k: int) -> int:
        """Give `count` pictures, each arriving as it is taken, the first at `now_90k`; return when the next is due."""
        for _ in range(count):
            self.sink.sample(self.picture(now_90k))
            if self._audio:
                for sample in self._sound(now_90k):
                    self.sink.sample(sample)
            now_90k += self._step
        return now_90k

    def picture(self, arrived_90k: int) -> Sample:
        """The next picture: a length, a NAL header, and a text that a scan for plaintext would find.

        The text begins late: up to 15 bytes after a NAL header stay clear (docs/design/footage.md, "Sealing").
        """
        key = self.frame % self._gop == 0
        text = b"PLAINTEXT %08d " % self.frame
        nal = ((b"\x65" if key else b"\x41") + bytes(19) + text * (self._size // len(text) + 1))[: self._size]
        sample = Sample(1, self.pts, key, self._size + 4, [self._size.to_bytes(4, "big"), nal], arrived_90k)
        self.frame += 1
        self.pts += self._step - (self.frame * self._step * self.slow_ppm // 1_000_000 - self._slipped)
        self._slipped = self.frame * self._step * self.slow_ppm // 1_000_000
        return sample

    def _sound(self, arrived_90k: int) -> Iterator[Sample]:
        while self._audio_pts * TICKS < self.pts * 16_000:
            yield Sample(2, self._audio_pts, True, 64, [b"PLAINTEXT SOUND " * 4], arrived_90k)
            self._audio_pts += 1024


class MemoryOutlet:
    """Takes every piece, or refuses as told."""

    def __init__(self) -> None:
        self.pieces: list[tuple[Plan, Piece]] = []
        self.opened: list[Plan] = []
        self.closed: list[Plan] = []
        self.no_disk: Reason | None = None
        self.is_full = False

    def open(self, plan: Plan, wished: str) -> Reason | None:
        """See `Outlet.open`."""
        if self.no_disk is None:
            plan.disk = wished or "memory"
            self.opened.append(plan)
        return self.no_disk

    def write(self, plan: Plan, piece: Piece) -> bool:
        """See `Outlet.write`."""
        if self.is_full:
            return False
        self.pieces.append((plan, piece))
        return True

    def close(self, plan: Plan) -> None:
        """See `Outlet.close`."""
        self.closed.append(plan)


class Rig:
    """One stream of one camera with an account, a key and a `MemoryOutlet`, on a clock moved by hand."""

    def __init__(self, ids: Ids, recording: Recording | None = None, terms: Terms | None = None) -> None:
        self.clock = ManualClock()
        self._told: dict[int, Gap] = {}
        self.start_90k = self.clock.now_90k()
        self.outlet = MemoryOutlet()
        self.key: HourKey | None = HourKey("door", self.start_90k, ids)
        self.camera = Camera(
            id="door", name="Door", main=Source(address="rtsp://door"), recording=recording or Recording()
        )
        self.account = Account("door", self.start_90k)
        self.account.because(self.start_90k, Cause.UNREACHABLE, "not connected yet")
        terms = terms or Terms()
        self.chain = Chain(self.camera, "main", self.outlet, lambda: self.key, ids, terms)
        self.chain.account = self.account
        self.recorder = StreamRecorder(self.chain, ids, terms, Sound(FlacLoader()))
        self.recorder.tick(self.start_90k)

    def play(self, source: Acted, seconds: int, fps: int = 25) -> None:
        """Let a source send, second by second."""
        for _ in range(seconds):
            source.frames(fps, self.clock.now_90k())
            self.clock.advance(1)
            self.recorder.tick(self.clock.now_90k())

    def wait(self, seconds: int) -> None:
        """Let time pass in silence."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.recorder.tick(self.clock.now_90k())

    def covered(self) -> list[tuple[float, float]]:
        """What was handed over, in seconds since the start; touching pieces are one."""
        found: list[tuple[float, float]] = []
        for _, piece in self.outlet.pieces:
            start, end = ((at - self.start_90k) / TICKS for at in (piece.start_90k, piece.end_90k))
            if found and found[-1][1] == start:
                found[-1] = found[-1][0], end
            else:
                found.append((start, end))
        return found

    def gaps(self) -> list[tuple[float, float, Cause]]:
        """Gaps up to now, in seconds since the start, as the index would have them."""
        self.account.passed(self.clock.now_90k())
        for gap in self.account.take_changed():
            self._told[gap.start_90k] = gap
        found = sorted(self._told.values(), key=lambda gap: gap.start_90k)
        return [
            ((gap.start_90k - self.start_90k) / TICKS, (gap.end_90k - self.start_90k) / TICKS, gap.cause)
            for gap in found
        ]

    def fail(self, plan: Plan, cause: Cause, detail: str = "") -> None:
        """Let every piece of a segment fail."""
        for of, piece in self.outlet.pieces:
            if of is plan:
                self.chain.outcome(Outcome(plan, piece.start_90k, piece.end_90k, cause, detail))
        self.outlet.pieces = [(of, piece) for of, piece in self.outlet.pieces if of is not plan]


class ActedSources:
    """Stands for `cameras.Receiver`: every stream that is added is acted, as long as its camera is there."""

    def __init__(self, clock: ManualClock, *, fps: int = 5, size: int = 300, audio: bool = False) -> None:
        self.acts: dict[tuple[str, str], Acted] = {}
        self.gone: set[str] = set()  # cameras that cannot be reached
        self._clock, self._fps, self._size, self._audio = clock, fps, size, audio
        self._running: set[tuple[str, str]] = set()

    def add(self, key: tuple[str, str], source: Source, username: str, password: Secret, sink: PacketSink) -> None:
        """See `Sources.add`."""
        del source, username, password
        self.acts[key] = Acted(sink, fps=self._fps, size=self._size, audio=self._audio)
        self._running.discard(key)

    def remove(self, key: tuple[str, str]) -> None:
        """See `Sources.remove`."""
        act = self.acts.pop(key, None)
        if act is not None and key in self._running:
            act.sink.ended(self._clock.now_90k(), Cause.PAUSED, "stopped on purpose")
        self._running.discard(key)

    def sweep(self) -> None:
        """A second of every stream, arriving as it is taken."""
        now = self._clock.now_90k()
        for key, act in list(self.acts.items()):
            if key[0] in self.gone:
                self._running.discard(key)
                act.sink.ended(now, Cause.UNREACHABLE, "no route")
                continue
            if key not in self._running:
                self._running.add(key)
                act.start(now)
            act.frames(self._fps, now)

    def health(self, key: tuple[str, str]) -> dict[str, Any]:
        """See `Sources.health`."""
        state = State.LIVE if key in self._running else State.GONE
        return {"state": state.value, "since_90k": 0, "why": "", "codec": "h264"}


class Site:
    """A whole recorder in one thread: real keys, files and index below `root`; acted cameras, time moved by hand.

    `run` plays seconds; each is one sweep, after which the disk's and the index's work is done. Nothing is closed
    unless `stop` is called, so that leaving it is a crash.
    """

    def __init__(self, root: Path, clock: ManualClock, cameras: Sequence[Camera], ids: Ids, **acting: Any) -> None:
        self.clock, self.root = clock, root
        keys = root / "keys"
        keys.mkdir(exist_ok=True)
        self.ring = KeyRing(keys, clock, ids)
        self.ring.set_recipients(read_recipients(keys / "recipients.txt"))
        Disks.adopt(root, disk_id="data")
        self.disks = Disks([("data", root, 0)])
        self.catalogue = Catalogue(Database(root / "facts.db", busy_s=0.05), clock)
        self.repaired = repair(self.disks["data"], self.catalogue)
        self.ready = Ready(self.ring, self.disks, clock)
        self.indexer = Indexer(self.catalogue, clock, lambda: None)
        outcomes: deque[Outcome] = deque()
        notes = Notes(outcomes.append, self.indexer.changed, self.indexer.changed)
        self.outlet = DiskOutlet([DiskWriter(self.disks["data"], clock, notes)], self.ready)
        self.sources = ActedSources(clock, **acting)
        self.recorder = Recorder(
            Parts(self.sources, self.outlet, self.ready, self.indexer, lambda *_: {}, Terms()),
            outcomes,
            clock,
            ids,
        )
        self.keeper = Keeper(self.catalogue, self.disks, keys, clock)
        self.take_up(cameras)

    def take_up(self, cameras: Sequence[Camera]) -> None:
        """Record these from now on."""
        now = self.clock.now_90k()
        taken = {}
        for camera in cameras:
            self.catalogue.announce(camera)
            accounted = accounted_until(self.catalogue, camera, now)
            taken[camera.id] = TakenUp(camera, Secret(""), accounted, now - accounted > 3 * TICKS)
        self.ready.set_cameras({camera.id: camera for camera in cameras})
        self.ready.look_keys()
        self.ready.look_places()
        self.recorder.take_up(taken)

    def run(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.ready.look_keys()
            self.ready.look_places()
            self.recorder.sweep()
            self.work_off()
            self.clock.advance(1)

    def work_off(self) -> None:
        """What the other threads would do."""
        for writer in self.outlet.writers.values():
            writer.work_off()
        self.indexer.flush()

    def stop(self) -> None:
        """End as on SIGTERM."""
        self.recorder.stop()
        self.work_off()
        self.recorder.settle()
        self.indexer.flush()
