# SPDX-License-Identifier: Apache-2.0
"""The hub between a recorder that speaks the protocol and viewers that only collect what they are sent."""

import asyncio
import stat
from contextlib import asynccontextmanager

import msgspec
import pytest

from closedcircuit.base import ManualClock, Secret, SeededIds
from closedcircuit.live import LiveHub
from closedcircuit.live.channels import GROUP_BYTES_MAX, TEXT_BYTES_MAX, UNSENT_BYTES_MAX
from closedcircuit.live.fakes import FakeRecorder
from closedcircuit.live.hub import SILENCE_S, WATCHED_MAX
from closedcircuit.live.wire import AUDIO, BINARY, KEY, REPLAYED, FrameKind
from closedcircuit.model import Camera, Source, State


class Screen:
    """An outlet that keeps every frame; `stuck` is how many bytes it pretends are unsent."""

    def __init__(self):
        self.frames, self.stuck, self.closed = [], 0, None
        self._news = asyncio.Event()

    def write(self, frame):
        self.frames.append(frame)
        self._news.set()

    def unsent(self):
        return self.stuck

    def close(self, code, reason):
        self.closed = code

    @property
    def texts(self):
        return [msgspec.json.decode(payload) for opcode, payload in map(parse, self.frames) if opcode == 1]

    @property
    def samples(self):
        return [payload for opcode, payload in map(parse, self.frames) if opcode == BINARY]

    def of(self, kind):
        return [text for text in self.texts if text["type"] == kind]

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                self._news.clear()
                await self._news.wait()


def parse(frame):
    assert frame[0] & 0x80
    size, at = frame[1], 2
    if size == 126:
        size, at = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, at = int.from_bytes(frame[2:10], "big"), 10
    assert len(frame) == at + size
    return frame[0] & 0xF, frame[at:]


@asynccontextmanager
async def hub_at(path, clock=None):
    hub = LiveHub(clock or ManualClock(), SeededIds())
    await hub.open(path)
    try:
        yield hub
    finally:
        await hub.close()


async def settle(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


MAIN = ("yard", "main")
CAMERA = Camera(id="new", name="New", main=Source(address="rtsp://camera.invalid/1"))


def test_socket_is_for_this_account_only(tmp_path):
    async def go():
        async with hub_at(tmp_path / "live.sock"):
            assert stat.S_IMODE((tmp_path / "live.sock").stat().st_mode) == 0o600

    asyncio.run(go())


def test_a_stale_socket_is_replaced(tmp_path):
    async def go():
        async with hub_at(tmp_path / "live.sock"):
            pass
        async with hub_at(tmp_path / "live.sock") as hub, FakeRecorder(tmp_path / "live.sock", ManualClock(), []):
            await settle(lambda: hub.recorders == 1)

    asyncio.run(go())


def test_first_viewer_gets_config_replay_and_samples_in_order(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            recorder.sample("yard", b"key", flags=KEY)
            recorder.sample("yard", b"delta")
            screen = Screen()
            viewer = hub.join(screen)
            assert hub.watch(viewer, [MAIN]) == []
            await recorder.until_watched("yard")
            sent = recorder.sample("yard", b"more")
            await screen.until(lambda: len(screen.samples) == 3)
            number = screen.of("watching")[0]["channels"]["yard/main"]
            assert screen.of("config")[0]["channel"] == number
            assert [m[1] for m in screen.samples] == [KEY | REPLAYED, 0, 0]
            assert screen.samples[2] == sent[:2] + number.to_bytes(2, "big") + sent[4:]
            kinds = [t["type"] for t in screen.texts]
            assert kinds.index("watching") < kinds.index("config")

    asyncio.run(go())


def test_second_viewer_starts_at_once_from_what_the_hub_kept_and_gets_the_same_bytes(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            first, second = Screen(), Screen()
            hub.watch(hub.join(first), [MAIN])
            await recorder.until_watched("yard")
            recorder.sample("yard", b"old key", flags=KEY)
            recorder.sample("yard", b"old delta")
            for plain, flags in ((b"key", KEY), (b"sound", AUDIO | KEY), (b"delta", 0)):
                recorder.sample("yard", plain, flags=flags)
            await first.until(lambda: len(first.samples) == 5)
            hub.watch(hub.join(second), [MAIN])
            assert second.samples == first.samples[2:]
            assert second.of("replay") == [{"type": "replay", "channel": 1, "count": 3}]
            assert second.of("config") == first.of("config")
            recorder.sample("yard", b"live")
            await second.until(lambda: len(second.samples) == 4)
            assert second.frames[-1] is first.frames[-1]  # built once
            assert [kind for kind, _ in recorder.asked].count(FrameKind.WATCH) == 1

    asyncio.run(go())


def test_unwatch_is_sent_when_the_last_viewer_leaves_and_what_was_kept_is_forgotten(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            viewers = [hub.join(Screen()) for _ in range(3)]
            for viewer in viewers:
                hub.watch(viewer, [MAIN])
            await recorder.until_watched("yard")
            hub.watch(viewers[0], [])
            hub.leave(viewers[1])
            hub.leave(viewers[1])
            assert hub.counts()["watched"] == 1
            hub.leave(viewers[2])
            await recorder.until_asked(FrameKind.UNWATCH)
            assert [kind for kind, _ in recorder.asked] == [FrameKind.WATCH, FrameKind.UNWATCH]
            assert hub.counts()["watched"] == 0

    asyncio.run(go())


def test_slow_viewer_loses_up_to_the_next_video_key_frame_and_is_told_others_lose_nothing(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            slow, quick = Screen(), Screen()
            for screen in (slow, quick):
                hub.watch(hub.join(screen), [MAIN])
            await recorder.until_watched("yard")
            recorder.sample("yard", b"key", flags=KEY)
            await slow.until(lambda: len(slow.samples) == 1)
            slow.stuck = UNSENT_BYTES_MAX
            recorder.sample("yard", b"a")
            recorder.sample("yard", b"key too early", flags=KEY)
            await quick.until(lambda: len(quick.samples) == 3)
            slow.stuck = 0
            recorder.sample("yard", b"b")
            recorder.sample("yard", b"sound", flags=KEY | AUDIO)
            recorder.sample("yard", b"key again", flags=KEY)
            recorder.sample("yard", b"c")
            await quick.until(lambda: len(quick.samples) == 7)
            assert slow.samples == [quick.samples[i] for i in (0, 5, 6)]
            assert slow.of("dropped") == [{"type": "dropped", "channel": 1, "count": 4}]
            told, shown = slow.frames.index(slow.frames[-3]), slow.frames.index(quick.frames[-2])
            assert told < shown
            assert quick.of("dropped") == []
            assert hub.counts()["dropped"] == 4

    asyncio.run(go())


def test_viewer_that_takes_no_text_is_hung_up_on(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            screen, other = Screen(), Screen()
            hub.join(screen), hub.join(other)
            screen.stuck = TEXT_BYTES_MAX + 1
            recorder.say_state()
            await other.until(lambda: len(other.of("state")) == 2)
            assert screen.closed == 1013
            assert other.closed is None

    asyncio.run(go())


def test_group_too_large_to_keep_makes_a_later_viewer_wait_for_the_next_key_frame(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            first, second = Screen(), Screen()
            hub.watch(hub.join(first), [MAIN])
            await recorder.until_watched("yard")
            recorder.sample("yard", b"key", flags=KEY)
            for _ in range(3):
                recorder.sample("yard", b"x" * (GROUP_BYTES_MAX // 3))
            await first.until(lambda: len(first.samples) == 4)
            hub.watch(hub.join(second), [MAIN])
            assert second.samples == []
            recorder.sample("yard", b"delta")
            recorder.sample("yard", b"next key", flags=KEY)
            await second.until(lambda: len(second.samples) == 1)
            assert second.samples[0] == first.samples[-1]
            assert second.of("dropped") == []

    asyncio.run(go())


def test_states_are_kept_pushed_and_true_when_the_recorder_vanishes_and_comes_back(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub:
            assert hub.state("yard", "main").state is State.GONE
            assert "not running" in hub.state("yard", "main").why
            screen = Screen()
            hub.watch(hub.join(screen), [MAIN])
            recorder = FakeRecorder(tmp_path / "s", clock, ["yard"])
            async with recorder:
                recorder.say_state(fps=25.0)
                await screen.until(lambda: len(screen.of("state")) == 2)
                assert screen.of("state")[1]["cameras"]["yard"]["main"]["state"] == "live"
                assert hub.state("yard", "main").fps == 25.0
                late = Screen()
                hub.join(late)
                assert late.of("state")[0]["cameras"]["yard"]["main"]["state"] == "live"
                clock.advance(3)
            await screen.until(lambda: len(screen.of("state")) == 3)
            gone = screen.of("state")[2]["cameras"]["yard"]["main"]
            assert (gone["state"], gone["why"], gone["fps"]) == ("gone", "the recorder is not running", 0.0)
            assert gone["since_90k"] == clock.now_90k()
            async with FakeRecorder(tmp_path / "s", clock, ["yard"]) as again:
                again.say_state()
                again.sample("yard", b"key", flags=KEY)
                await again.until_watched("yard")
                await screen.until(lambda: screen.samples)
                assert hub.state("yard", "main").state is State.LIVE

    asyncio.run(go())


def test_silent_recorder_is_not_believed_for_long_and_since_stays(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            recorder.say_state()
            await settle(lambda: hub.state("yard", "main").state is State.LIVE)
            clock.advance(SILENCE_S + 0.1)
            hub.look()
            since = hub.state("yard", "main").since_90k
            clock.advance(10)
            hub.look()
            assert hub.state("yard", "main").why == "the recorder does not answer"
            assert hub.state("yard", "main").since_90k == since
            recorder.say_state()
            await settle(lambda: hub.state("yard", "main").state is State.LIVE)

    asyncio.run(go())


def test_two_recorders_each_have_their_cameras_and_the_newest_claim_wins(tmp_path):
    async def go():
        clock, path = ManualClock(), tmp_path / "s"
        async with (
            hub_at(path, clock) as hub,
            FakeRecorder(path, clock, ["yard", "gate"]) as old,
            FakeRecorder(path, clock, ["shop"]) as other,
        ):
            screen = Screen()
            hub.watch(hub.join(screen), [MAIN, ("shop", "main")])
            await old.until_watched("yard")
            await other.until_watched("shop")
            assert ("shop", "main") not in old.watched
            async with FakeRecorder(path, clock, ["yard"]) as new:
                await new.until_watched("yard")
                old.sample("yard", b"from the dying one", flags=KEY)
                new.sample("yard", b"from the new one", flags=KEY)
                other.sample("shop", b"shop", flags=KEY)
                await screen.until(lambda: len(screen.samples) == 2)
                assert not any(b"dying" in m for m in screen.samples)
                old.say_state(why="nonsense")
                await settle(lambda: hub.state("gate", "main").why == "nonsense")
                assert hub.state("yard", "main").why != "nonsense"

    asyncio.run(go())


def test_camera_that_a_recorder_takes_up_later_is_asked_for(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, []) as recorder:
            hub.watch(hub.join(Screen()), [MAIN])
            await settle(lambda: hub.recorders == 1)
            assert "not taken up" in hub.state("yard", "main").why
            hub.reload()
            await recorder.until_asked(FrameKind.RELOAD)
            recorder.cameras = ("yard",)
            recorder.say_state()
            await recorder.until_watched("yard")
            recorder.cameras = ()
            recorder.say_state()
            await settle(lambda: "not taken up" in hub.state("yard", "main").why)

    asyncio.run(go())


def test_edge_is_told_to_everybody(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub, FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
            screen = Screen()
            hub.join(screen)
            recorder.say_edge("not-mine", "main", 1)
            recorder.say_edge("yard", "main", 123)
            await screen.until(lambda: screen.of("edge"))
            assert screen.of("edge") == [{"type": "edge", "camera": "yard", "stream": "main", "end_90k": 123}]

    asyncio.run(go())


def test_trying_a_camera(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub:
            result = await hub.test(CAMERA, Secret(""))
            assert result.error.code == "recorder.down"
            assert result.error.remedy
            async with FakeRecorder(tmp_path / "s", clock, []) as recorder:
                await settle(lambda: hub.recorders == 1)
                result = await hub.test(CAMERA, Secret("hunter2"))
                assert result.ok
                asked = await recorder.until_asked(FrameKind.TEST)
                assert asked["password"] == "hunter2"
                assert asked["camera"]["main"]["address"] == CAMERA.main.address
                recorder.test_answer = None
                result = await hub.test(CAMERA, Secret(""), within_s=0.05)
                assert (result.ok, result.error.code) == (False, "camera.unreachable")
                waiting = asyncio.create_task(hub.test(CAMERA, Secret("")))
                await settle(lambda: len(recorder.asked) == 3)
                await recorder.vanish()
                assert (await waiting).error.code == "recorder.down"

    asyncio.run(go())


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\0\0\0\0\0",
        b"\xff\xff\xff\xff\x01",
        b"\0\0\0\x03\x02{]",
        b"\0\0\0\x03\x04\xff\xff",
        b"\0\0\0\x05\x01null",
        b"\0\0\0\x03\x03[]",
        b"\0\1\0\1\x03" + b'{"x":' + b"[" * 65_531,
    ],
)
def test_recorder_that_talks_nonsense_is_hung_up_on_and_may_come_back(tmp_path, nonsense):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub:
            async with FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
                await settle(lambda: hub.recorders == 1)
                recorder.send_raw(nonsense)
                await settle(lambda: hub.recorders == 0)
            async with FakeRecorder(tmp_path / "s", clock, ["yard"]) as recorder:
                recorder.send_raw(b"\0\0\0\x03\x63{}")  # a type of the future is skipped
                recorder.say_state()
                await settle(lambda: hub.state("yard", "main").state is State.LIVE)

    asyncio.run(go())


def test_names_that_are_no_streams_are_refused_and_the_set_is_bounded(tmp_path):
    async def go():
        async with hub_at(tmp_path / "s") as hub:
            viewer = hub.join(Screen())
            refused = hub.watch(viewer, [("../etc", "main"), ("yard", "third"), MAIN])
            assert len(refused) == 2
            assert list(viewer.watching) == [MAIN]
            assert len(hub.watch(viewer, [(f"c{i}", "sub") for i in range(WATCHED_MAX + 5)])) == 1
            assert len(viewer.watching) == WATCHED_MAX

    asyncio.run(go())


def test_viewers_hear_something_even_without_a_recorder(tmp_path):
    async def go():
        clock = ManualClock()
        async with hub_at(tmp_path / "s", clock) as hub:
            screen = Screen()
            hub.join(screen)
            clock.advance(1.5)
            hub.look()
            assert len(screen.of("state")) == 1
            clock.advance(1)
            hub.look()
            hub.look()
            assert [state["cameras"] for state in screen.of("state")] == [{}, {}]

    asyncio.run(go())


def test_closing_tells_the_viewers(tmp_path):
    async def go():
        async with hub_at(tmp_path / "s") as hub:
            screen = Screen()
            hub.join(screen)
        assert screen.closed == 1001

    asyncio.run(go())
