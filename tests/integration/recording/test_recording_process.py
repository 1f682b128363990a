# SPDX-License-Identifier: Apache-2.0
"""The recorder's and the keeper's real processes: real sockets, real files, real signals, faults from outside."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from closedcircuit.base import TICKS, SystemClock, SystemIds
from closedcircuit.cameras import Registry
from closedcircuit.cameras.fakes import FakeCamera, made_up_frames
from closedcircuit.catalogue import Catalogue, Ledger
from closedcircuit.db import Database
from closedcircuit.media.mp4 import iter_fragments, open_fragment, read_init
from closedcircuit.model import Camera, Cause, Mode, Recording, Source, Weekly
from closedcircuit.net import Connection, unix_listen
from closedcircuit.vault import Identity, live_key, open_live, opening_cipher, segment_key, unwrap_hour_key

CLOCK, IDS = SystemClock(), SystemIds()
LEAN = ("av", "numpy", "asyncio", "fastapi", "pydantic", "typer", "rich", "webauthn", "argon2", "email")


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to become true; return it."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.03)
    return found


class Yard:
    """A data folder with one camera that is served by a thread of the test."""

    def __init__(self, root: Path, *, gop: int = 10) -> None:
        self.root, self.owner = root, Identity.generate(IDS)
        self.camera = FakeCamera(made_up_frames(3000, gop=gop, size=3000), CLOCK)
        self.processes: list[subprocess.Popen[bytes]] = []
        for folder in ("run", "keys"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.set_owner(self.owner.recipient.text)
        self.registry = Registry(root)
        self.added_90k = CLOCK.now_90k()
        self.door = Camera(id="door", name="Door", main=Source(address=self.camera.address), added_90k=self.added_90k)
        self.registry.save(self.door)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def set_owner(self, text: str) -> None:
        (self.root / "keys" / "recipients.txt").write_text(text + "\n")

    def _serve(self) -> None:
        while not self._stop.wait(0.005):
            self.camera.sweep()

    def start(self, role: str = "recorder") -> subprocess.Popen[bytes]:
        """Start a role; wait for its first status."""
        command = [sys.executable, "-m", "closedcircuit.app.role", role, "--data", str(self.root)]
        process = subprocess.Popen(command)
        self.processes.append(process)
        until(lambda: self.status(role).get("pid") == process.pid)
        return process

    def status(self, role: str = "recorder") -> dict[str, Any]:
        try:
            return json.loads((self.root / "run" / f"{role}.json").read_bytes())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def written(self) -> int:
        return int(self.status().get("writer", {}).get("written_bytes", 0))

    def records(self) -> None:
        """Wait until more is on the disk than now."""
        now = self.written()
        until(lambda: self.written() > now)

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(15)

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(Database(self.root / "facts.db"), CLOCK)

    def ledger(self) -> Ledger:
        return self.catalogue.ledger("door", self.added_90k, CLOCK.now_90k())

    def story(self) -> list[Cause | None]:
        """Causes in turn, None where recorded, equal neighbours as one; without the time up to the first picture."""
        causes = [span.cause for span in self.ledger().spans]
        assert causes[0] in {Cause.UNREACHABLE, Cause.PROCESS_DOWN, Cause.NO_KEY}
        return [cause for cause, _ in itertools.groupby(causes[1:])]

    def open_everything(self) -> int:
        """Open all footage with the owner's key; return how many pictures there are."""
        pictures = 0
        for path in sorted(self.root.glob("footage/door/main/*/*.mp4")):
            data = path.read_bytes()
            init = read_init(data)
            assert init.kid is not None
            hour = unwrap_hour_key((self.root / f"keys/door/{init.kid[:8].hex()}.age").read_bytes(), [self.owner])
            opener = functools.partial(opening_cipher, segment_key(hour, init.kid))
            at = init.size
            for fragment in iter_fragments(data, init.size, check_data=True):
                at = fragment.offset + fragment.size
                pictures += len(open_fragment(data[fragment.offset : at], init, opener))
            assert at == len(data)
        return pictures

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        self._stop.set()
        self._thread.join(5)
        self.camera.close()


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    made = Yard(tmp_path)
    yield made
    made.close()


def test_the_recorder_imports_little() -> None:
    code = "import sys, closedcircuit.app.recorder, closedcircuit.app.roles; print(' '.join(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(LEAN) & set(found)
    assert "msgspec" in found


def test_record_stop_and_start_again(yard: Yard) -> None:
    first = yard.start()
    until(lambda: yard.written() > 100_000)
    status = yard.status()
    assert status["cameras"]["door"]["main"]["state"] == "live"
    assert status["rss_bytes"] < 80 << 20
    assert status["priority"]
    assert yard.end(first) == 0
    ended_90k = CLOCK.now_90k()
    segments = yard.catalogue.segments("door", "main", 0, 1 << 60)
    assert all(segment.sha256 for segment in segments)
    assert ended_90k - segments[-1].end_90k < 3 * TICKS
    time.sleep(4)
    second = yard.start()
    yard.records()
    assert yard.end(second) == 0
    ledger = yard.ledger()
    assert yard.story() == [None, Cause.PROCESS_DOWN, None]
    assert ledger.recorded_90k + ledger.lost_90k + ledger.off_90k == ledger.total_90k
    assert yard.open_everything() > 100


def test_killed_and_started_again(yard: Yard) -> None:
    process = yard.start()
    until(lambda: yard.written() > 60_000)
    yard.end(process, signal.SIGKILL)
    killed_90k = CLOCK.now_90k()
    process = yard.start()
    assert yard.status()["repaired"] or yard.catalogue.growing() == []
    yard.records()
    yard.end(process)
    yard.open_everything()
    before = next(span for span in yard.ledger().spans if span.cause is None)
    assert killed_90k - before.end_90k < 4.5 * TICKS  # the open fragment, and one that was being written
    assert yard.catalogue.growing() == []


def test_a_locked_database_and_no_web_process_stop_nothing(yard: Yard) -> None:
    process = yard.start()
    until(lambda: yard.written() > 0)
    lock = sqlite3.connect(yard.root / "facts.db", isolation_level=None)
    lock.execute("begin immediate")
    try:
        before = yard.written()
        until(lambda: yard.written() > before + 300_000, 30)
        until(lambda: yard.status()["index"]["behind_rows"] > 0)
    finally:
        lock.execute("rollback")
        lock.close()
    until(lambda: yard.status()["index"]["behind_rows"] == 0)
    yard.end(process)
    assert yard.story() == [None]


def test_started_while_the_database_is_locked(yard: Yard) -> None:
    process = yard.start()
    until(lambda: yard.written() > 0)
    yard.end(process)
    lock = sqlite3.connect(yard.root / "facts.db", isolation_level=None)
    lock.execute("begin exclusive")
    try:
        process = yard.start()
        yard.records()
    finally:
        lock.execute("rollback")
        lock.close()
    until(lambda: yard.status()["index"]["behind_rows"] == 0)
    until(lambda: Cause.PROCESS_DOWN in {span.cause for span in yard.ledger().spans})
    yard.end(process)
    assert Cause.UNKNOWN not in {span.cause for span in yard.ledger().spans}


def test_files_that_change_are_noticed(yard: Yard) -> None:
    yard.set_owner("# nobody yet")
    process = yard.start()
    time.sleep(1)
    assert not list(yard.root.glob("footage/**/*.mp4"))
    yard.set_owner(yard.owner.recipient.text)
    until(lambda: yard.written() > 0, 10)
    gate = msgspec.structs.replace(yard.door, id="gate", name="Gate", added_90k=CLOCK.now_90k())
    yard.registry.save(gate)
    until(lambda: "gate" in yard.status()["cameras"], 4)
    (yard.root / "cameras" / "door.toml").write_text("this is = not [TOML")
    until(lambda: "door.toml" in yard.status()["trouble"], 4)
    assert yard.status()["cameras"]["door"]["main"]["state"] == "live"  # goes on as it was
    nonsense = (Weekly(("someday",), "25:00", "08:00"),)
    yard.registry.save(msgspec.structs.replace(yard.door, recording=Recording(mode=Mode.SCHEDULE, schedule=nonsense)))
    until(lambda: "25:00" in yard.status()["trouble"] or "someday" in yard.status()["trouble"], 6)
    assert yard.status()["cameras"]["door"]["main"]["state"] == "live"
    yard.registry.save(yard.door)
    yard.registry.remove("gate")
    until(lambda: "gate" not in yard.status()["cameras"], 4)
    yard.end(process)
    assert yard.story()[-1] is None
    assert Cause.NO_KEY in {span.cause for span in yard.ledger().spans}


def test_a_camera_that_drops_out(yard: Yard) -> None:
    process = yard.start()
    until(lambda: yard.written() > 0)
    yard._stop.set()
    yard._thread.join()
    yard.camera.close()
    until(lambda: yard.status()["cameras"]["door"]["main"]["state"] == "gone")
    assert yard.status()["cameras"]["door"]["main"]["why"]
    time.sleep(2)
    yard.end(process)
    assert yard.story() == [None, Cause.UNREACHABLE]
    assert yard.ledger().spans[-1].detail


class Viewer:
    """The web process's end of live.sock."""

    def __init__(self, yard: Yard) -> None:
        self.listener = unix_listen(yard.root / "run" / "live.sock")
        self.connection: Connection | None = None
        self.frames: list[tuple[int, bytes]] = []
        self._data = b""
        self._buffer = bytearray(1 << 20)

    def look(self, kind: int) -> list[bytes]:
        """Payloads of a kind so far."""
        self.connection = self.connection or self.listener.accept()
        while self.connection and (got := self.connection.recv_into(self._buffer)):
            self._data += bytes(self._buffer[:got])
        while len(self._data) >= 5:
            size, found = struct.unpack_from(">IB", self._data)
            if len(self._data) < 4 + size:
                break
            self.frames.append((found, self._data[5 : 4 + size]))
            self._data = self._data[4 + size :]
        return [payload for found, payload in self.frames if found == kind]

    def say(self, kind: int, value: object) -> None:
        assert self.connection is not None
        payload = json.dumps(value).encode()
        self.connection.send(struct.pack(">IB", len(payload) + 1, kind) + payload)

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.listener.close()


def test_live_over_the_real_socket(yard: Yard) -> None:
    process = yard.start()
    until(lambda: yard.written() > 0)
    with contextlib.closing(Viewer(yard)) as viewer:
        assert json.loads(until(lambda: viewer.look(1))[0])["cameras"] == ["door"]
        viewer.say(16, {"camera": "door", "stream": "main"})
        config = json.loads(until(lambda: viewer.look(3))[0])
        until(lambda: len(viewer.look(4)) > 30)
        hour = unwrap_hour_key((yard.root / f"keys/door/{config['key_id']}.age").read_bytes(), [yard.owner])
        key = live_key(hour, bytes.fromhex(config["live_id"]))
        samples = [open_live(key, payload[11:])[0] for payload in viewer.look(4)]
        assert samples[0].flags == 1 | 4
        delays = [(sample.sealed_90k - sample.pts_90k) / TICKS for sample in samples[-10:]]
        assert all(-0.1 < delay < 2 for delay in delays)
        assert json.loads(until(lambda: viewer.look(7))[0])["camera"] == "door"
        viewer.say(19, {"id": "t", "camera": msgspec.to_builtins(yard.door), "password": ""})
        answer = json.loads(until(lambda: viewer.look(6))[0])
        assert (answer["id"], answer["ok"]) == ("t", True)
        viewer.say(17, {"camera": "door", "stream": "main"})
        yard.registry.save(msgspec.structs.replace(yard.door, recording=Recording(keep_days=1)))
        viewer.say(18, {})
    yard.records()
    assert yard.end(process) == 0


def test_the_keeper_deletes_what_is_too_old(yard: Yard) -> None:
    recorder = yard.start()
    until(lambda: yard.written() > 0)
    yard.end(recorder)
    yard.registry.save(msgspec.structs.replace(yard.door, recording=Recording(keep_days=1e-9)))
    keeper = yard.start("keeper")
    until(lambda: not list(yard.root.glob("footage/door/main/*/*.mp4")))
    until(lambda: yard.status("keeper").get("deleted_segments", 0) > 0)
    status = yard.status("keeper")
    assert (status["state"], status["disks"][0]["state"]) == ("ok", "ok")
    assert yard.end(keeper) == 0
    assert yard.story() == [Cause.DELETED]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a small disk needs root")
def test_a_real_disk_that_fills_up(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> None:
    """2 MB of disk: recording stops with whole files, says so, and goes on when the keeper has made room."""
    small = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this system does not let us mount")
    try:
        from closedcircuit.blobs import Disks

        Disks.adopt(small, disk_id="small")
        (yard.root / "config.toml").write_text(
            f'[[disk]]\nid = "small"\npath = "{small}"\nreserve_gb = 0.0003\n[footage]\nsegment_s = 10\n'
        )
        process = yard.start()
        until(lambda: yard.status()["disks"][0]["state"] == "full", 60)
        until(lambda: Cause.DISK_FULL in {span.cause for span in yard.ledger().spans}, 40)
        files = sorted(small.glob("footage/**/*.mp4"))
        for path in files:
            data = path.read_bytes()
            found = list(iter_fragments(data, read_init(data).size))
            assert found[-1].offset + found[-1].size == len(data)
        keeper = yard.start("keeper")
        until(lambda: yard.status("keeper").get("deleted_segments", 0) > 0)
        before = yard.written()
        until(lambda: yard.written() > before)
        yard.end(keeper)
        yard.end(process)
        ledger = yard.ledger()
        assert ledger.recorded_90k + ledger.lost_90k + ledger.off_90k == ledger.total_90k
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
