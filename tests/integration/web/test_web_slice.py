# SPDX-License-Identifier: Apache-2.0
"""From the one-time link to a picture: setup, cameras, timeline, sealed bytes, live."""

import json
import struct

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from closedcircuit.base import TICKS, SystemClock
from closedcircuit.live.wire import KEY, pack_sample
from closedcircuit.vault import LiveSealer, open_live


def test_first_visit_to_a_picture(site):
    client = site.client
    assert client.get("/api/session").json()["owner"] is False
    assert client.get("/api/cameras").status_code == 401
    answer = site.sign_in()
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("cc_session=", "httponly", "samesite=strict", "path=/"))
    assert "secure" not in cookie  # plain http on loopback
    facts = client.get("/api/session").json()
    assert (facts["owner"], facts["signed_in"], facts["name"]) == (True, True, "Ada")
    assert not (site.folder.run / "token").exists()

    now = SystemClock().now_90k()
    start = now - 300 * TICKS
    site.add_camera("yard")
    segment, data = site.record("yard", start)
    site.lose("yard", start + 60 * TICKS, start + 90 * TICKS)
    cameras = client.get("/api/cameras").json()["cameras"]
    assert [c["id"] for c in cameras] == ["yard"]
    assert cameras[0]["streams"]["main"]["why"] == "the recorder is not running"

    line = client.get("/api/timeline", params={"camera": "yard", "from": start, "to": now, "px": 800}).json()
    spans = line["cameras"]["yard"]["spans"]
    assert spans[0] == [start, start + 60 * TICKS, "recorded", None, ""]
    assert spans[1] == [start + 60 * TICKS, start + 90 * TICKS, "lost", "unreachable", "no route"]
    assert line["cameras"]["yard"]["oldest_90k"] == start

    listed = client.get("/api/segments", params={"camera": "yard", "stream": "main", "from": start, "to": now}).json()
    (row,) = listed["segments"]
    assert row["kid"] == segment.kid.hex()
    whole = client.get(f"/api/footage/yard/main/{row['kid']}")
    assert whole.content == data
    assert "immutable" in whole.headers["cache-control"]
    part = client.get(f"/api/footage/yard/main/{row['kid']}", headers={"range": "bytes=700-5699"})
    assert (part.status_code, part.content) == (206, data[700:5700])
    assert part.headers["content-range"] == f"bytes 700-5699/{len(data)}"

    answer = client.get("/api/at", params={"camera": "yard", "stream": "main", "at": start + 5 * TICKS, "want": "key"})
    size = int.from_bytes(answer.content[:4], "big")
    header = json.loads(answer.content[4 : 4 + size])
    assert header["fragment"][0] == start + 2 * TICKS  # the fragment at 4 s begins with no key frame
    assert answer.content[4 + size :] == data[:700] + data[5700:6600]
    key = client.get(f"/api/keys/yard/{row['key_id']}")
    assert key.content.startswith(b"age-encryption.org/v1\n")


def test_live_relays_what_the_recorder_sealed(site):
    site.sign_in()
    site.add_camera("yard")
    key, live_id = bytes(range(16)), struct.pack(">Q", 1)
    sealer = LiveSealer(key, live_id)
    with site.recorder(["yard"]) as recorder, site.live() as socket:
        assert json.loads(socket.recv())["type"] == "state"
        socket.send(json.dumps({"watch": [{"camera": "yard", "stream": "main"}]}))
        recorder.call(recorder.until_watched("yard"))
        sealed = sealer.seal(KEY, 0, 1234, 5678, [b"a picture"])
        recorder.call(_send(recorder, pack_sample("yard/main", sealed)))
        seen, message = [], None
        while message is None:
            got = socket.recv(timeout=10)
            if isinstance(got, bytes):
                message = got
            else:
                seen.append(json.loads(got))
        kinds = [text["type"] for text in seen if text["type"] != "state"]
        assert kinds == ["watching", "config"]
        header, plain = open_live(key, message)
        assert (plain, header.pts_90k, header.channel) == (b"a picture", 1234, 1)


def _drain(socket):
    while True:
        socket.recv(timeout=10)


async def _send(recorder, data):
    recorder.send_raw(data)


def test_state_is_pushed_and_true_when_the_recorder_goes(site):
    site.sign_in()
    site.add_camera("yard")
    with site.live() as socket:
        with site.recorder(["yard"]) as recorder:
            recorder.call(_state(recorder))
            assert until_state(socket) == "live"
        assert until_state(socket, "gone") == "gone"
    states = site.client.get("/api/cameras").json()["cameras"][0]["streams"]["main"]
    assert (states["state"], states["why"]) == ("gone", "the recorder is not running")


async def _state(recorder):
    recorder.say_state()


def until_state(socket, wanted="live"):
    while True:
        text = json.loads(socket.recv(timeout=10))
        if text["type"] == "state" and text["cameras"].get("yard", {}).get("main", {}).get("state") == wanted:
            return wanted


@pytest.mark.parametrize("origin", ["http://evil.example", None])
def test_live_needs_our_origin(site, origin):
    site.sign_in()
    cookie = "; ".join(f"{name}={value}" for name, value in site.client.cookies.items())
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://localhost:{site.port}/api/live", origin=origin, additional_headers={"Cookie": cookie}, proxy=None
        )
    assert refused.value.response.status_code == 403


def test_live_needs_a_session(site):
    with pytest.raises(InvalidStatus) as refused:
        site.live()
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body)["code"] == "access.denied"
    assert "content-security-policy" in refused.value.response.headers


def test_it_stops_cleanly_and_comes_back_with_the_session(site):
    site.sign_in()
    with site.live() as socket:
        socket.recv(timeout=10)
        site.stop()
        with pytest.raises(ConnectionClosed) as closed:
            _drain(socket)
        assert closed.value.rcvd.code in {1001, 1012}
    assert site.code == 0
    site.start()
    assert site.client.get("/api/session").json()["signed_in"] is True
