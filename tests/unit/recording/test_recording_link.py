# SPDX-License-Identifier: Apache-2.0
"""`live.sock`, the recorder's end: against a listener that reads its bytes as the document says."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from closedcircuit.base import TICKS, ManualClock, SystemIds
from closedcircuit.model import Camera, Source
from closedcircuit.net import Connection, unix_listen
from closedcircuit.recording import Link
from closedcircuit.recording.fakes import SOUND, VIDEO, Acted, Rig
from closedcircuit.recording.link import OUT_BYTES, AskedTest
from closedcircuit.recording.relay import Relay
from closedcircuit.vault import HourKey, open_live
from closedcircuit.vault.keys import _live_info

CLOCK_START = ManualClock().now_90k()


class Web:
    """The other end."""

    def __init__(self, path: Path) -> None:
        self.listener = unix_listen(path)
        self.connection: Connection | None = None
        self._data = b""
        self._buffer = bytearray(1 << 20)

    def frames(self) -> list[tuple[int, bytes]]:
        if self.connection is None:
            self.connection = self.listener.accept()
        found = []
        while self.connection is not None:
            got = self.connection.recv_into(self._buffer)
            if not got:
                break
            self._data += bytes(self._buffer[:got])
        while len(self._data) >= 5:
            size, kind = struct.unpack_from(">IB", self._data)
            if len(self._data) < 4 + size:
                break
            found.append((kind, self._data[5 : 4 + size]))
            self._data = self._data[4 + size :]
        return found

    def say(self, kind: int, value: object) -> None:
        assert self.connection is not None
        payload = json.dumps(value).encode()
        self.connection.send(struct.pack(">IB", len(payload) + 1, kind) + payload)

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.listener.close()


class Asked:
    """Notes what is asked for."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def hello(self) -> dict[str, Any]:
        return {"pid": 1, "version": "x", "cameras": ["door"]}

    def state(self) -> dict[str, Any]:
        return {"at_90k": 5, "cameras": {}}

    def watch(self, camera: str, stream: str) -> None:
        self.heard.append(("watch", (camera, stream)))

    def unwatch(self, camera: str, stream: str) -> None:
        self.heard.append(("unwatch", (camera, stream)))

    def unwatch_all(self) -> None:
        self.heard.append(("unwatch_all", None))

    def reload(self) -> None:
        self.heard.append(("reload", None))

    def test(self, asked: AskedTest) -> None:
        self.heard.append(("test", asked))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "live.sock"


@pytest.fixture
def web(path: Path) -> Iterator[Web]:
    made = Web(path)
    yield made
    made.close()


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def link(path: Path, asked: Asked) -> Iterator[Link]:
    made = Link(path, asked, ManualClock())
    yield made
    made.close()


def turn(link: Link) -> None:
    link.sweep()
    link.flush()


def test_it_says_hello_and_state_first(link: Link, web: Web) -> None:
    turn(link)
    assert link.is_connected
    assert [(kind, json.loads(payload)) for kind, payload in web.frames()] == [
        (1, {"pid": 1, "version": "x", "cameras": ["door"]}),
        (2, {"at_90k": 5, "cameras": {}}),
    ]


def test_it_hears_what_web_asks(link: Link, web: Web, asked: Asked) -> None:
    turn(link)
    web.frames()
    camera = Camera(id="new", name="New", main=Source(address="rtsp://new"))
    web.say(16, {"camera": "door", "stream": "main"})
    web.say(17, {"camera": "door", "stream": "main"})
    web.say(18, {})
    web.say(19, {"id": "t1", "camera": msgspec.to_builtins(camera), "password": "secret"})
    turn(link)
    assert [what for what, _ in asked.heard] == ["watch", "unwatch", "reload", "test"]
    test = asked.heard[-1][1]
    assert (test.id, test.camera, test.password) == ("t1", camera, "secret")
    link.tested({"id": "t1", "ok": True})
    turn(link)
    assert web.frames() == [(6, b'{"id":"t1","ok":true}')]


@pytest.mark.parametrize("nonsense", [b"\xff\xff\xff\xff\x10", b"\0\0\0\0\0", b"\0\0\0\3\x10{}", b"\0\0\0\5\x10nope"])
def test_nonsense_is_hung_up_on_and_tried_again(path: Path, web: Web, asked: Asked, nonsense: bytes) -> None:
    clock = ManualClock()
    link = Link(path, asked, clock)
    turn(link)
    web.frames()
    assert web.connection is not None
    web.connection.send(nonsense)
    turn(link)
    assert not link.is_connected
    assert asked.heard == [("unwatch_all", None)]
    web.connection.close()
    web.connection = None
    turn(link)
    assert not link.is_connected  # not before a second has passed
    clock.advance(1.1)
    turn(link)
    assert link.is_connected
    link.close()


def test_without_a_web_process_nothing_happens(path: Path, asked: Asked) -> None:
    clock = ManualClock()
    link = Link(path, asked, clock)
    for _ in range(5):
        turn(link)
        clock.advance(1)
    link.state({})
    link.edge("door", "main", 1)
    assert not link.has_room(1)
    assert asked.heard == []


def test_a_web_process_that_goes_and_comes_back(path: Path, asked: Asked) -> None:
    clock = ManualClock()
    link, web = Link(path, asked, clock), Web(path)
    turn(link)
    web.frames()
    web.close()
    turn(link)
    assert not link.is_connected
    path.unlink(missing_ok=True)
    web = Web(path)
    clock.advance(1.1)
    turn(link)
    assert [kind for kind, _ in web.frames()] == [1, 2]
    link.close()
    web.close()


# -------------------------------------------------------------------------------------------- what viewers get


def opened(rig: Rig, frames: list[tuple[int, bytes]]) -> tuple[list[dict[str, Any]], list[tuple[Any, bytes]]]:
    """Configs, and the samples opened with the live keys that they name."""
    configs = [json.loads(payload) for kind, payload in frames if kind == 3]
    samples = []
    for kind, payload in frames:
        if kind != 4:
            continue
        assert payload[2:11] == b"door/main"
        message = payload[11:]
        key = rig.key._derived(_live_info(message[4:12]))
        samples.append(open_live(key, message))
    return configs, samples


def test_a_viewer_gets_the_running_pictures_then_each_as_it_comes(link: Link, web: Web) -> None:
    rig = Rig(SystemIds())
    turn(link)
    web.frames()
    source = Acted(rig.recorder, audio=True)
    source.start(rig.clock.now_90k())
    rig.play(source, 3)
    rig.recorder.watch(Relay("door", "main", link, rig.clock, SystemIds()))
    turn(link)
    (config,), samples = opened(rig, web.frames())
    assert [track["codec"] for track in config["tracks"]] == ["h264", "aac"]
    assert (config["camera"], config["stream"], config["channel"]) == ("door", "main", 0)
    assert config["key_id"] == rig.key.key_id.hex()
    video = [(header, data) for header, data in samples if not header.flags & 2]
    assert len(video) == 25  # the second since the last key frame
    assert video[0][0].flags == 1 | 4
    assert all(not header.flags for header, _ in video[1:])
    assert b"PLAINTEXT 00000050" in video[0][1]
    assert video[0][0].pts_90k == CLOCK_START + 2 * TICKS
    assert [header.sequence for header, _ in samples] == list(range(len(samples)))
    rig.play(source, 2)
    turn(link)
    configs, more = opened(rig, web.frames())
    assert configs == []
    assert len([1 for header, _ in more if not header.flags & 2]) == 50
    assert {header.live_id for header, _ in more} == {bytes.fromhex(config["live_id"])}
    pts = [header.pts_90k for header, _ in samples + more if not header.flags & 2]
    assert [b - a for a, b in itertools.pairwise(pts)] == [3600] * 74


def test_a_new_run_a_new_hour_and_new_coding_take_a_new_live_id(link: Link, web: Web) -> None:
    rig = Rig(SystemIds())
    turn(link)
    source = Acted(rig.recorder)
    rig.recorder.watch(Relay("door", "main", link, rig.clock, SystemIds()))
    source.start(rig.clock.now_90k())
    rig.play(source, 2)
    rig.recorder.changed((msgspec.structs.replace(VIDEO, width=128),))
    rig.play(source, 2)
    turn(link)
    configs, samples = opened(rig, web.frames())
    assert len(configs) == 2
    assert samples[50][0].flags & 8
    rig.key = HourKey("door", CLOCK_START + 1, SystemIds())
    rig.play(source, 4)
    source.start(rig.clock.now_90k())
    rig.play(source, 1)
    turn(link)
    more = [json.loads(payload) for kind, payload in web.frames() if kind == 3]
    assert len({config["live_id"] for config in configs + more}) == len(configs + more) == 4
    assert more[0]["key_id"] == rig.key.key_id.hex()


def test_a_viewer_who_does_not_read_loses_up_to_the_next_key_frame(link: Link, web: Web) -> None:
    rig = Rig(SystemIds())
    turn(link)
    web.frames()
    source = Acted(rig.recorder, size=100_000)
    source.start(rig.clock.now_90k())
    relay = Relay("door", "main", link, rig.clock, SystemIds())
    rig.recorder.watch(relay)
    for _ in range(10):
        rig.play(source, 1)
        turn(link)
    assert relay.dropped > 100
    assert not link.has_room(OUT_BYTES // 2)
    _, before = opened(rig, web.frames())
    for _ in range(40):
        turn(link)
        before += opened(rig, web.frames())[1]
    rig.play(source, 4)
    turn(link)
    _, after = opened(rig, web.frames())
    assert after[0][0].flags & 1
    numbers = [int(data[34:42]) for _, data in before]
    assert numbers == list(range(len(numbers)))


def test_nothing_is_sent_without_a_key(link: Link, web: Web) -> None:
    rig = Rig(SystemIds())
    turn(link)
    web.frames()
    rig.key = None
    source = Acted(rig.recorder)
    source.start(rig.clock.now_90k())
    rig.recorder.watch(Relay("door", "main", link, rig.clock, SystemIds()))
    rig.play(source, 3)
    turn(link)
    assert web.frames() == []
    rig.key = HourKey("door", CLOCK_START, SystemIds())
    rig.play(source, 3)
    turn(link)
    configs, samples = opened(rig, web.frames())
    assert configs
    assert samples[0][0].flags & 1
    assert SOUND.codec == "aac"
