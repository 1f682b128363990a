# SPDX-License-Identifier: Apache-2.0
"""Many viewers, slow viewers, and processes that come and go."""

import base64
import json
import socket as sockets
import struct
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from closedcircuit.api.routes import live as live_route
from closedcircuit.live.wire import KEY

WATCH = json.dumps({"watch": [{"camera": "yard", "stream": "main"}]})


def sample_of(socket):
    """The next sample; texts before it are passed over."""
    while not isinstance(got := socket.recv(timeout=20), bytes):
        pass
    return got


@pytest.mark.slow
def test_a_hundred_viewers_get_the_same_bytes(site):
    site.sign_in()
    site.add_camera("yard")
    with ExitStack() as stack:
        recorder = stack.enter_context(site.recorder(["yard"]))
        viewers = [stack.enter_context(site.live()) for _ in range(100)]
        for viewer in viewers:
            viewer.send(WATCH)
        recorder.call(recorder.until_watched("yard"))
        recorder.soon(recorder.sample, "yard", b"k" * 50_000, flags=KEY)
        for number in range(5):
            recorder.soon(recorder.sample, "yard", bytes([number]) * 8_000)
        seen = [[sample_of(viewer) for _ in range(6)] for viewer in viewers]
        assert all(one == seen[0] for one in seen)
        assert [len(message) for message in seen[0]] == [50_048] + [8_048] * 5
        assert [kind.name for kind, _ in recorder.asked].count("WATCH") == 1


class Stuck:
    """A viewer that asks to watch and then takes nothing from the network."""

    def __init__(self, site):
        self.socket = sockets.socket()
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", site.port))
        cookie = "; ".join(f"{name}={value}" for name, value in site.client.cookies.items())
        key = base64.b64encode(bytes(16)).decode()
        request = (
            f"GET /api/live HTTP/1.1\r\nHost: localhost:{site.port}\r\nOrigin: {site.base}\r\nCookie: {cookie}\r\n"
            f"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key:{key}\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        assert b" 101 " in self.socket.recv(200)
        text = WATCH.encode()
        self.socket.sendall(struct.pack(">BB", 0x81, 0x80 | len(text)) + bytes(4) + text)

    def close(self):
        self.socket.close()


def test_a_viewer_that_takes_nothing_costs_only_itself(site):
    site.sign_in()
    site.add_camera("yard")
    with site.recorder(["yard"]) as recorder, site.live(max_size=None) as quick:
        stuck = Stuck(site)
        quick.send(WATCH)
        recorder.call(recorder.until_watched("yard"))
        while counts(site)["viewers"] < 2:
            pass
        size, sent = 500_000, 60
        for number in range(sent):
            recorder.soon(recorder.sample, "yard", bytes([number]) * size, flags=KEY if number % 5 == 0 else 0)
            recorder.call(recorder.drain())
            assert sample_of(quick)[32] == number
        found = counts(site)
        assert found["dropped"] >= sent / 2  # of 30 MB, we kept 4 and the kernel's buffers took some
        assert found["viewers"] == 2
        stuck.close()


def counts(site):
    """The hub's own counters, from the metrics."""
    text = site.client.get("/api/metrics").text
    rows = [line.split() for line in text.splitlines() if line.startswith("closedcircuit_live_")]
    return {name.removeprefix("closedcircuit_live_"): float(value) for name, value in rows}


def test_viewers_stay_through_a_restart_of_the_recorder(site):
    site.sign_in()
    site.add_camera("yard")
    with site.live() as viewer:
        viewer.send(WATCH)
        for number in range(2):
            with site.recorder(["yard"]) as recorder:
                recorder.call(recorder.until_watched("yard"))
                recorder.soon(recorder.sample, "yard", bytes([number]) * 100, flags=KEY)
                assert sample_of(viewer)[32] == number


def test_a_recorder_finds_a_web_process_that_was_started_again(site):
    site.sign_in()
    site.add_camera("yard")
    with site.recorder(["yard"]):
        site.stop()
    site.start()
    with site.recorder(["yard"]) as recorder, site.live() as viewer:
        viewer.send(WATCH)
        recorder.call(recorder.until_watched("yard"))
        recorder.soon(recorder.sample, "yard", b"x", flags=KEY)
        assert sample_of(viewer)[32:33] == b"x"


def test_signing_out_ends_live_connections(site, monkeypatch):
    monkeypatch.setattr(live_route, "SIGNED_IN_EVERY_S", 0.05)
    site.sign_in()
    with site.live() as viewer:
        viewer.recv(timeout=10)
        assert site.client.post("/api/logout").status_code == 204
        with pytest.raises(ConnectionClosed) as closed:
            drain(viewer)
        assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("nonsense", 1007),
        ('{"watch": 5}', 1007),
        ('{"watch": [], "more": 1}', 1007),
        ('{"watch": [{"camera": 1, "stream": "main"}]}', 1007),
        ("[" * 60_000, 1007),
        ("x" * 70_000, 1009),
    ],
)
def test_what_is_no_watch_message_ends_the_connection(site, message, code):
    site.sign_in()
    with site.live() as viewer:
        viewer.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            drain(viewer)
        assert closed.value.rcvd.code == code


def test_binary_messages_end_the_connection_and_refused_names_are_told(site):
    site.sign_in()
    with site.live() as viewer:
        viewer.send(json.dumps({"watch": [{"camera": "../x", "stream": "main"}]}))
        while (text := json.loads(viewer.recv(timeout=10)))["type"] != "problem":
            pass
        assert "no stream" in text["detail"]
        viewer.send(b"\0\1\2")
        with pytest.raises(ConnectionClosed):
            drain(viewer)


def drain(socket):
    while True:
        socket.recv(timeout=10)
