# SPDX-License-Identifier: Apache-2.0
"""A whole web process in a thread: real sockets, real files, a recorder that only speaks the protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import threading
import time

import httpx2
import msgspec
import pytest
from websockets.sync.client import connect

from closedcircuit.api.serve import run_web
from closedcircuit.app import DataFolder
from closedcircuit.base import TICKS, SeededIds, SystemClock, SystemIds
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue
from closedcircuit.db import Database
from closedcircuit.identity import make_setup_token
from closedcircuit.live.fakes import FakeRecorder
from closedcircuit.model import Camera, Cause, Fragment, Gap, Segment, Source, Track, TrackKind
from closedcircuit.net import live_socket_path
from closedcircuit.vault import Identity, LoginSecrets

AUTH = bytes(range(32))
OWNER = Identity.generate(SeededIds(b"owner"))
SHEET = Identity.generate(SeededIds(b"sheet"))
TRACKS = (
    Track(
        kind=TrackKind.VIDEO,
        codec="h264",
        codec_string="avc1.640028",
        timescale=90_000,
        config=b"avcC",
        width=640,
        height=360,
    ),
)
INIT_BYTES, FRAGMENT_BYTES, KEY_BYTES = 700, 5_000, 900


class Running:
    """One site: its folder, its web process in a thread, and a browser's HTTP client."""

    def __init__(self, root):
        self.folder = DataFolder(root)
        self.folder.create()
        (self.folder.run / "port").write_text("0")
        self.token = make_setup_token(self.folder.root, SystemIds())
        Disks.adopt(root, disk_id="data")
        self.db = Database(self.folder.facts)
        self.catalogue = Catalogue(self.db, SystemClock())
        self.registry = Registry(self.folder.root)
        self.disks = Disks([("data", self.folder.root, 0)])
        self.stop_event, self.thread, self.client, self.code = threading.Event(), None, None, None

    def start(self):
        self.stop_event.clear()
        status = self.folder.run / "web.json"
        status.unlink(missing_ok=True)

        def serve():
            self.code = run_web(self.folder.root, SystemClock(), SystemIds(), self.stop_event)

        self.thread = threading.Thread(target=serve)
        self.thread.start()
        self.port = int(until(lambda: self.folder.read_status("web"))["listening"][0].rpartition(":")[2])
        self.base = f"http://localhost:{self.port}"
        cookies = self.client.cookies if self.client else None
        if self.client:
            self.client.close()
        self.client = httpx2.Client(
            base_url=self.base, headers={"origin": self.base}, cookies=cookies, timeout=10, trust_env=False
        )
        return self

    def stop(self):
        self.stop_event.set()
        if self.thread:
            self.thread.join(20)
            assert not self.thread.is_alive()

    def close(self):
        self.stop()
        if self.client:
            self.client.close()
        self.db.close()

    def sign_in(self):
        body = {
            "token": self.token,
            "name": "Ada",
            "recipient": OWNER.recipient.text,
            "recovery_recipient": SHEET.recipient.text,
            "blob": b64(bytes(60)),
            "login": {"kind": "passphrase", "salt": b64(bytes(16)), "iterations": 600_000, "auth": b64(AUTH)},
        }
        answer = self.client.post("/api/setup", json=body)
        assert answer.status_code == 200, answer.text
        return answer

    @contextlib.contextmanager
    def recorder(self, cameras):
        """A FakeRecorder on a loop of its own, in a thread; `call` runs a coroutine there, `soon` a function."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        recorder = FakeRecorder(live_socket_path(self.folder.root), SystemClock(), cameras)
        recorder.call = lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

        async def run(fn, args, more):
            return fn(*args, **more)

        recorder.soon = lambda fn, *args, **more: recorder.call(run(fn, args, more))
        try:
            recorder.call(recorder.__aenter__())
            yield recorder
        finally:
            recorder.call(recorder.vanish())
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def live(self, **more):
        cookie = "; ".join(f"{name}={value}" for name, value in self.client.cookies.items())
        headers = {"Cookie": cookie} if cookie else {}
        return connect(
            f"ws://localhost:{self.port}/api/live",
            origin=self.base,
            additional_headers=headers,
            compression=None,
            proxy=None,
            **more,
        )

    def add_camera(self, ident, **more):
        now = SystemClock().now_90k()
        camera = Camera(
            id=ident,
            name=ident.title(),
            main=Source(address="rtsp://camera.invalid/1"),
            added_90k=now - 600 * TICKS,
            **more,
        )
        self.registry.save(camera)
        self.catalogue.announce(camera)
        return camera

    def record(self, camera, start_90k, *, seconds=60, stream="main", grows=False):
        """Lay down a sealed file (its bytes are anything: nobody here could open it) and its row."""
        kid = hashlib.sha256(f"{camera}/{stream}/{start_90k}".encode()).digest()[:16]
        data = hashlib.shake_256(kid).digest(INIT_BYTES + seconds // 2 * FRAGMENT_BYTES)
        fragments = tuple(
            Fragment(
                start_90k + n * 2 * TICKS,
                2 * TICKS,
                INIT_BYTES + n * FRAGMENT_BYTES,
                FRAGMENT_BYTES,
                n % 3 != 2,
                KEY_BYTES if n % 3 != 2 else 0,
            )
            for n in range(seconds // 2)
        )
        segment = Segment(
            camera=camera,
            stream=stream,
            start_90k=start_90k,
            end_90k=start_90k + seconds * TICKS,
            run="00" * 8,
            kid=kid,
            disk="data",
            size_bytes=len(data),
            init_bytes=INIT_BYTES,
            sha256=None if grows else hashlib.sha256(data).digest(),
            tracks=msgspec.msgpack.encode(TRACKS),
            fragments=fragments,
        )
        file = self.disks["data"].create(segment)
        file.append([data])
        file.close()
        keys = self.folder.keys / camera
        keys.mkdir(exist_ok=True)
        (keys / f"{kid[:8].hex()}.age").write_bytes(b"age-encryption.org/v1\n" + kid)
        self.catalogue.upsert([segment])
        return segment, data

    def lose(self, camera, start_90k, end_90k, cause=Cause.UNREACHABLE):
        self.catalogue.add_gaps([Gap(camera, start_90k, end_90k, cause, "no route")])


def b64(data):
    return base64.b64encode(data).decode()


def until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch):
    """argon2 at its real strength costs 0.1 s and 64 MiB a call; the unit tests of identity use it."""
    monkeypatch.setattr(LoginSecrets, "hash_auth", staticmethod(lambda auth: "cheap:" + auth.hex()))
    monkeypatch.setattr(LoginSecrets, "verify_auth", staticmethod(lambda stored, auth: stored == "cheap:" + auth.hex()))


@pytest.fixture
def site(tmp_path):
    running = Running(tmp_path / "data")
    try:
        yield running.start()
    finally:
        running.close()


@pytest.fixture(name="until")
def until_fixture():
    return until


@pytest.fixture
def owner():
    """The identity that `sign_in` gave the recipient of."""
    return OWNER
