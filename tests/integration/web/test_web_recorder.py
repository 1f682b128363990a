# SPDX-License-Identifier: Apache-2.0
"""The web process with the real recorder and a camera on loopback: what the owner's browser gets, its key opens."""

import contextlib
import functools
import json
import signal
import subprocess
import sys
import threading

import pytest

from closedcircuit.base import SystemClock
from closedcircuit.cameras.fakes import FakeCamera, made_up_frames
from closedcircuit.live.wire import KEY
from closedcircuit.media.mp4 import open_fragment, read_init
from closedcircuit.vault import live_key, open_live, opening_cipher, segment_key, unwrap_hour_key

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
FRAMES = made_up_frames(25 * 600, size=3000)


@contextlib.contextmanager
def camera():
    """A camera that plays in a thread."""
    fake, stop = FakeCamera(FRAMES, SystemClock()), threading.Event()

    def play():
        while not stop.wait(0.01):
            fake.sweep()

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield fake
    finally:
        stop.set()
        thread.join()
        fake.close()


@contextlib.contextmanager
def recorder(site):
    process = subprocess.Popen(
        [sys.executable, "-m", "closedcircuit.app.role", "recorder", "--data", str(site.folder.root)]
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def texts_until(socket, condition):
    """Take messages until a text satisfies; return it."""
    while True:
        got = socket.recv(timeout=30)
        if isinstance(got, str) and condition(text := json.loads(got)):
            return text


def hour_key(site, owner, camera_id, key_id):
    answer = site.client.get(f"/api/keys/{camera_id}/{key_id}")
    assert answer.status_code == 200, answer.text
    return unwrap_hour_key(answer.content, [owner])


def is_a_frame(data):
    """Say whether a sample (length-prefixed NAL units) is one that the camera sent."""
    return any(all(nal in data for nal in frame.nals) for frame in FRAMES[: 25 * 120])


def test_from_a_camera_to_what_the_key_opens(site, until, owner):
    site.sign_in()
    with camera() as fake, recorder(site), site.live(max_size=None) as live:
        until(lambda: counts(site)["closedcircuit_live_recorders"] == 1)
        body = {"name": "Yard", "address": fake.address}
        tried = site.client.post("/api/cameras/test", json=body, timeout=30).json()
        assert tried["ok"], tried
        assert tried["tracks"][0]["codec"] == "h264"
        refused = site.client.post("/api/cameras/test", json={**body, "address": "rtsp://127.0.0.1:1/x"}, timeout=30)
        assert refused.json()["ok"] is False
        assert refused.json()["error"]["remedy"]

        assert site.client.post("/api/cameras", json=body).status_code == 201
        live.send(json.dumps({"watch": [{"camera": "yard", "stream": "main"}]}))
        config = texts_until(live, lambda t: t["type"] == "config")
        key = live_key(hour_key(site, owner, "yard", config["key_id"]), bytes.fromhex(config["live_id"]))
        seen = []
        while len(seen) < 30:
            got = live.recv(timeout=30)
            if isinstance(got, bytes):
                seen.append(open_live(key, got))
        assert seen[0][0].flags & KEY
        assert [header.sequence for header, _ in seen] == list(range(30))
        assert all(is_a_frame(plain) for _, plain in seen)

        texts_until(live, lambda t: t["type"] == "state" and is_live(t))
        texts_until(live, lambda t: t["type"] == "edge")
        at = seen[0][0].pts_90k

        def picture(**more):
            params = {"camera": "yard", "stream": "main", "at": at, "dir": "near", **more}
            answer = site.client.get("/api/at", params=params)
            return answer.content if answer.status_code == 200 else None

        until(picture)
        check_picture(site, owner, picture())
        assert len(picture(want="key")) < len(picture())
        now = SystemClock().now_90k()
        line = site.client.get("/api/timeline", params={"camera": "yard", "from": at, "to": now, "px": 500}).json()
        assert "recorded" in {span[2] for span in line["cameras"]["yard"]["spans"]}

        paused = site.client.patch("/api/cameras/yard", json={"paused": True}).json()
        assert paused["recording"]["mode"] == "paused"
        texts_until(live, lambda t: t["type"] == "state" and state_of(t) == "paused")
        until(lambda: not site.catalogue.growing(), 20)
        assert site.client.delete("/api/cameras/yard?footage=delete", timeout=20).status_code == 204
        assert site.catalogue.doomed()
        assert site.client.get("/api/cameras").json()["cameras"] == []


def test_killing_the_recorder_is_seen_and_its_return_too(site, until):
    site.sign_in()
    with camera() as fake, site.live(max_size=None) as live:
        site.client.post("/api/cameras", json={"name": "Yard", "address": fake.address})
        live.send(json.dumps({"watch": [{"camera": "yard", "stream": "main"}]}))
        with recorder(site) as process:
            texts_until(live, lambda t: t["type"] == "state" and is_live(t))
            process.kill()
            gone = texts_until(live, lambda t: t["type"] == "state" and state_of(t) == "gone")
            assert gone["cameras"]["yard"]["main"]["why"] == "the recorder is not running"
        with recorder(site):
            config = texts_until(live, lambda t: t["type"] == "config")
            assert config["camera"] == "yard"
            while not isinstance(live.recv(timeout=30), bytes):
                pass


def check_picture(site, owner, answer):
    size = int.from_bytes(answer[:4], "big")
    header = json.loads(answer[4 : 4 + size])
    init_end = 4 + size + header["init_bytes"]
    init = read_init(answer[4 + size : init_end])
    assert init.kid.hex() == header["kid"]
    key = segment_key(hour_key(site, owner, "yard", header["key_id"]), init.kid)
    samples = open_fragment(answer[init_end:], init, functools.partial(opening_cipher, key))
    assert samples
    assert all(is_a_frame(bytes(sample.data)) for sample in samples)


def is_live(text):
    return state_of(text) == "live"


def state_of(text):
    return text["cameras"].get("yard", {}).get("main", {}).get("state")


def counts(site):
    rows = [line.split() for line in site.client.get("/api/metrics").text.splitlines() if not line.startswith("#")]
    return {row[0]: float(row[1]) for row in rows}
