# SPDX-License-Identifier: Apache-2.0
"""The web process's half of `live.sock`: recorders come in, sealed messages go out to every viewer.

Threads: all of it belongs to one asyncio event loop; nothing here blocks it. Order: a viewer gets a stream's messages
in the order in which its recorder sent them. Durability: none; live is what is lost on a restart. Nobody waits for
anybody: a slow viewer loses samples (`channels`), a hung recorder is hung up on, and both may come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from closedcircuit.base import Clock, Ids, Secret, is_slug
from closedcircuit.base.errors import MediaError
from closedcircuit.live.channels import Channel, Outlet, Viewer
from closedcircuit.live.link import RecorderLink
from closedcircuit.live.states import (
    NOT_RUNNING,
    NOT_YET,
    SILENT,
    Edge,
    Hello,
    States,
    StreamState,
    Tested,
    TestResult,
    absent,
    failed,
    lapsed,
)
from closedcircuit.live.wire import FrameKind, split_sample, text_frame
from closedcircuit.model import Camera, StreamName

SILENCE_S = 5.0
"""A recorder sends its states every second; after this long without any, what it said last is no longer true."""

WORD_EVERY_S = 2.0
"""Viewers hear something at least this often, so that they can tell a quiet server from a dead line."""

CHANNELS_MAX = 4096
"""Names that get a channel number in the life of this process. What comes after is not served, and is told so."""

WATCHED_MAX = 256
"""Streams that one viewer may watch at once."""

TEST_WITHIN_S = 25.0

StreamKey = tuple[str, str]


class LiveHub:
    """Fans sealed messages out. `open` and `close` frame its life; every other method is called in between."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids
        self._since_90k = clock.now_90k()
        self._links: dict[RecorderLink, float] = {}  # when it last sent its states, monotonic
        self._owners: dict[str, RecorderLink] = {}
        self._states: dict[str, dict[str, StreamState]] = {}
        self._channels: dict[StreamKey, Channel] = {}
        self._viewers: dict[Viewer, None] = {}
        self._tests: dict[str, tuple[RecorderLink, asyncio.Future[TestResult]]] = {}
        self._spoke_s = clock.monotonic_s()  # when all viewers were last told states
        self._server: asyncio.Server | None = None
        self._ticker: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------ life

    async def open(self, path: Path) -> None:
        """Listen on the Unix socket `path`, for this account only; a stale one is replaced.

        Nobody can connect before its mode is 0600: it listens only after that.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: RecorderLink(self), str(path), start_serving=False)
        path.chmod(0o600)  # noqa: ASYNC240 - one system call before anybody is served
        await self._server.start_serving()
        self._ticker = loop.create_task(self._tick())

    async def close(self) -> None:
        """Stop listening, hang up on recorders and viewers."""
        if self._ticker:
            self._ticker.cancel()
        if self._server:
            self._server.close()
        for link in list(self._links):
            link.hang_up()
        for viewer in list(self._viewers):
            viewer.outlet.close(1001, "the server is stopping")
            self.leave(viewer)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self.look()

    def look(self) -> None:
        """Take back what silent recorders said, and let no viewer go without a word. The hub calls it every second."""
        now_s = self._clock.monotonic_s()
        for link, heard_s in self._links.items():
            if now_s - heard_s > SILENCE_S:
                self._lapse(link, SILENT)
        if now_s - self._spoke_s > WORD_EVERY_S:
            self._tell_states({})

    # ------------------------------------------------------------------------------------------ asked by api

    @property
    def recorders(self) -> int:
        """How many recorders are connected."""
        return len(self._links)

    def state(self, camera: str, stream: str) -> StreamState:
        """Return what is true of a stream now; always something, with since when and why."""
        known = self._states.get(camera, {}).get(stream)
        if known is not None:
            return known
        return absent(self._since_90k, NOT_YET if self._links else NOT_RUNNING)

    def states(self) -> Mapping[str, Mapping[str, StreamState]]:
        """Return the states of all streams that a recorder ever reported, by camera and stream."""
        return self._states

    def counts(self) -> dict[str, int]:
        """Return counters for metrics: viewers, watched streams, samples relayed, samples dropped for slow viewers."""
        return {
            "recorders": len(self._links),
            "viewers": len(self._viewers),
            "watched": sum(1 for channel in self._channels.values() if channel.viewers),
            "relayed": sum(channel.relayed for channel in self._channels.values()),
            "dropped": sum(viewer.dropped_total for viewer in self._viewers),
        }

    def reload(self) -> None:
        """Tell every recorder that files changed; one that is not there reads them when it starts."""
        for link in self._links:
            link.send(FrameKind.RELOAD, {})

    async def test(self, camera: Camera, password: Secret, *, within_s: float = TEST_WITHIN_S) -> TestResult:
        """Have a recorder try a camera. Never raises for what goes wrong on the way: that is in the result."""
        link = next(iter(self._links), None)
        if link is None:
            return failed(
                "recorder.down",
                "The recorder is not running, and only it reaches cameras.",
                "Look at the System page, or start it with `closedcircuit run`.",
            )
        name = self._ids.random(8).hex()
        answer: asyncio.Future[TestResult] = asyncio.get_running_loop().create_future()
        self._tests[name] = (link, answer)
        try:
            link.send(FrameKind.TEST, {"id": name, "camera": camera, "password": password.reveal()})
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            return failed(
                "camera.unreachable",
                f"No answer within {within_s:.0f} s.",
                "Check the address, and that the recorder's machine can reach the camera.",
            )
        finally:
            del self._tests[name]

    # ------------------------------------------------------------------------------------------ viewers

    def join(self, outlet: Outlet) -> Viewer:
        """Let a browser in, and tell it every state known."""
        viewer = Viewer(outlet)
        self._viewers[viewer] = None
        viewer.tell(self._state_frame(self._states))
        return viewer

    def watch(self, viewer: Viewer, wanted: Iterable[StreamKey]) -> list[str]:
        """Make `wanted` the whole set that a viewer watches; return a sentence for each stream refused."""
        refused: list[str] = []
        keys: dict[StreamKey, None] = {}
        for camera, stream in wanted:
            if not is_slug(camera) or stream not in set(StreamName):
                refused.append(f"There is no stream {camera[:40]}/{stream[:10]}.")
            elif len(keys) >= WATCHED_MAX:
                refused.append(f"At most {WATCHED_MAX} streams can be watched at once.")
                break
            elif self._channel(camera, stream) is None:
                refused.append("Too many streams have been named since this process started.")
                break
            else:
                keys[camera, stream] = None
        for key in [key for key in viewer.watching if key not in keys]:
            self._unwatch(viewer, key)
        channels = {f"{camera}/{stream}": self._channels[camera, stream].number for camera, stream in keys}
        viewer.tell(text_frame({"type": "watching", "channels": channels}))
        for key in keys:
            if key not in viewer.watching:
                channel = self._channels[key]
                viewer.watching[key] = channel
                first = not channel.viewers
                channel.add(viewer)
                if first:
                    self._ask(FrameKind.WATCH, key)
        return refused

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer. Calling it twice is allowed."""
        for key in list(viewer.watching):
            self._unwatch(viewer, key)
        self._viewers.pop(viewer, None)

    def _unwatch(self, viewer: Viewer, key: StreamKey) -> None:
        channel = viewer.watching.pop(key)
        channel.remove(viewer)
        if not channel.viewers:
            channel.forget()
            self._ask(FrameKind.UNWATCH, key)

    def _channel(self, camera: str, stream: str) -> Channel | None:
        """Return the stream's channel; its number stays the same for the life of this process."""
        known = self._channels.get((camera, stream))
        if known is None and len(self._channels) < CHANNELS_MAX:
            known = Channel(len(self._channels) + 1, camera, stream)
            self._channels[camera, stream] = known
        return known

    def _ask(self, kind: FrameKind, key: StreamKey) -> None:
        if link := self._owners.get(key[0]):
            link.send(kind, {"camera": key[0], "stream": key[1]})

    def _tell_all(self, frame: bytes) -> None:
        for viewer in list(self._viewers):
            viewer.tell(frame)

    def _tell_states(self, states: Mapping[str, Mapping[str, StreamState]]) -> None:
        self._spoke_s = self._clock.monotonic_s()
        self._tell_all(self._state_frame(states))

    def _state_frame(self, states: Mapping[str, Mapping[str, StreamState]]) -> bytes:
        return text_frame({"type": "state", "at_90k": self._clock.now_90k(), "cameras": states})

    # ------------------------------------------------------------------------------------------ said by recorders

    def linked(self, link: RecorderLink) -> None:
        """A recorder connected."""
        self._links[link] = self._clock.monotonic_s()

    def unlinked(self, link: RecorderLink) -> None:
        """A recorder is gone: its cameras are, and what was asked of it will not be answered."""
        self._links.pop(link, None)
        self._lapse(link, NOT_RUNNING)
        self._owners = {camera: owner for camera, owner in self._owners.items() if owner is not link}
        for name, (owner, answer) in self._tests.items():
            if owner is link and not answer.done():
                answer.set_result(failed("recorder.down", f"The recorder stopped during test {name}.", "Try again."))

    def heard(self, link: RecorderLink, kind: int, payload: bytes) -> None:
        """Act on one frame of a recorder. Raises MediaError where it is not what the protocol says; hang up then."""
        try:
            if kind == FrameKind.SAMPLE:
                self._sample(link, payload)
            elif kind == FrameKind.STATE:
                self._state(link, msgspec.json.decode(payload, type=States))
            elif kind == FrameKind.CONFIG:
                self._config(link, msgspec.json.decode(payload, type=dict[str, object]))
            elif kind == FrameKind.EDGE:
                self._edge(link, msgspec.json.decode(payload, type=Edge))
            elif kind == FrameKind.TESTED:
                self._tested(link, msgspec.json.decode(payload, type=Tested))
            elif kind == FrameKind.HELLO:
                self._own(link, msgspec.json.decode(payload, type=Hello).cameras)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MediaError(f"The recorder sent a frame of type {kind} that cannot be read: {error}") from error
        # A type that we do not know is a newer recorder's: skipped.

    def _own(self, link: RecorderLink, cameras: Iterable[str]) -> None:
        """Take these cameras to be a recorder's; the newest claim wins, for the older one may be a dying process."""
        for camera in cameras:
            if self._owners.get(camera) is link:
                continue
            self._owners[camera] = link
            for key, channel in self._channels.items():
                if key[0] == camera and channel.viewers:
                    channel.forget()
                    self._ask(FrameKind.WATCH, key)

    def _state(self, link: RecorderLink, said: States) -> None:
        self._links[link] = self._clock.monotonic_s()
        self._own(link, [camera for camera in said.cameras if camera not in self._owners])
        for camera in [c for c, owner in self._owners.items() if owner is link and c not in said.cameras]:
            self._owners.pop(camera)
            self._states.pop(camera, None)
        mine = {camera: streams for camera, streams in said.cameras.items() if self._owners[camera] is link}
        self._states.update(mine)
        self._tell_states(mine)

    def _lapse(self, link: RecorderLink, why: str) -> None:
        """Say that a recorder's cameras are gone; only once, so that since when stays true."""
        now_90k = self._clock.now_90k()
        changed: dict[str, dict[str, StreamState]] = {}
        for camera in [camera for camera, owner in self._owners.items() if owner is link]:
            before = self._states.get(camera, {})
            after = {stream: lapsed(state, now_90k, why) for stream, state in before.items()}
            if after != before:
                self._states[camera] = changed[camera] = after
        if changed:
            self._tell_states(changed)
        if why == NOT_RUNNING:
            for key, channel in self._channels.items():
                if self._owners.get(key[0]) is link:
                    channel.forget()

    def _config(self, link: RecorderLink, config: dict[str, object]) -> None:
        key = (str(config.get("camera")), str(config.get("stream")))
        channel = self._channels.get(key)
        if channel is not None and channel.viewers and self._owners.get(key[0]) is link:
            channel.configure(config)

    def _sample(self, link: RecorderLink, payload: bytes) -> None:
        name, message = split_sample(payload)
        camera, _, stream = name.partition("/")
        channel = self._channels.get((camera, stream))
        if channel is not None and channel.viewers and self._owners.get(camera) is link:
            channel.relay(message)

    def _edge(self, link: RecorderLink, edge: Edge) -> None:
        if self._owners.get(edge.camera) is link:
            said = {"type": "edge", "camera": edge.camera, "stream": edge.stream, "end_90k": edge.end_90k}
            self._tell_all(text_frame(said))

    def _tested(self, link: RecorderLink, tested: Tested) -> None:
        owner, answer = self._tests.get(tested.id, (None, None))
        if owner is link and answer is not None and not answer.done():
            answer.set_result(tested.result())
