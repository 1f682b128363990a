# SPDX-License-Identifier: Apache-2.0
"""The cameras' network side: one thread that answers RTSP and hands out what the studios (or the load simulator) make.

`RtspServer` knows feeds, not pictures. A feed is one path (`shop-floor/main`); whoever fills it calls `publish` from
any thread, or `deliver` from the server's own thread (in a timer). Everything not marked otherwise belongs to that
thread.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

from closedcircuit.base import Clock, Ids
from closedcircuit.base.errors import NetError
from closedcircuit.net import Connection, listen_tcp
from closedcircuit.pretend.rtp import Burst
from closedcircuit.pretend.rtsp import (
    METHODS,
    Login,
    Request,
    TrackSdp,
    answer,
    describe,
    interleaved_channels,
    take_request,
)

SESSION_S = 60
"""Told to clients; one that says nothing for this long (and a little) is let go."""
OUT_LIMIT = 4 << 20
QUEUE_MAX = 64
"""Bursts of a feed that wait for the network thread; overflow rule: drop all of them, go on with a key frame."""
_TICK_S = 0.05


class Feed:
    """One path and who watches it."""

    def __init__(self, path: str, name: str, login: Login | None = None) -> None:
        self.path, self.name, self.login = path, name, login
        self.clients: set[Client] = set()  # network thread
        self.watchers = 0  # written by the network thread, read by any
        self.wants_key = threading.Event()  # set for a new watcher, cleared by the studio
        self.on_watch: Callable[[], None] = lambda: None  # called in the network thread when a watcher comes
        self.tracks: Callable[[], tuple[TrackSdp, ...]] = tuple  # what DESCRIBE tells; may take 50 ms the first time
        self.is_open: Callable[[], bool] = lambda: True  # False: connections are cut and refused
        self.is_flowing: Callable[[], bool] = lambda: True  # False: connected, but nothing is sent
        self.fixed_channels = False  # True: clients get the default channels, whatever they ask for
        self.queue: deque[Burst | bytes] = deque()


class Client:
    """One connection."""

    __slots__ = ("buffer", "channels", "conn", "feed", "heard_s", "nonce", "playing", "session", "waits_for_key")

    def __init__(self, conn: Connection, nonce: str, session: str, now_s: float) -> None:
        self.conn, self.nonce, self.session, self.heard_s = conn, nonce, session, now_s
        self.buffer = bytearray()
        self.feed: Feed | None = None
        self.channels: dict[int, int] = {}  # default channel: the client's
        self.playing = False
        self.waits_for_key = True


class RtspServer:
    """Serves feeds on loopback until closed. `start` and `close` may be called from any thread."""

    def __init__(self, clock: Clock, ids: Ids, feeds: list[Feed], *, port: int = 0) -> None:
        self._clock, self._ids = clock, ids
        self._feeds = {feed.path: feed for feed in feeds}
        self._listener = listen_tcp("127.0.0.1", port, out_limit=OUT_LIMIT)
        self.port = self._listener.port
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._blocked: set[Client] = set()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        os.set_blocking(self._wake_in, False)
        self._ready: set[Feed] = set()  # feeds with something in their queue; guarded by the lock
        self._ready_lock = threading.Lock()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopping = threading.Event()
        self._scratch = bytearray(65536)
        self._thread = threading.Thread(target=self._run, name="pretend-net", daemon=True)
        self.dropped = 0  # bursts that a slow client did not get
        self.sent = 0

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving, close every connection, and wait for the thread."""
        self._stopping.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()
        self._selector.close()
        os.close(self._wake_out)
        os.close(self._wake_in)

    @property
    def watchers(self) -> int:
        """Clients that play, of all feeds. Any thread."""
        return sum(feed.watchers for feed in self._feeds.values())

    def publish(self, feed: Feed, item: Burst | bytes) -> None:
        """Hand over a burst, or a sender report (bytes). Any thread; never blocks."""
        if len(feed.queue) >= QUEUE_MAX:
            feed.queue.clear()
            feed.wants_key.set()
        feed.queue.append(item)
        with self._ready_lock:
            self._ready.add(feed)
        self._wake()

    def at(self, when_s: float, call: Callable[[], None]) -> None:
        """Call in the network thread at `when_s` (monotonic). From that thread, or before `start`."""
        heapq.heappush(self._timers, (when_s, next(self._order), call))

    def _wake(self) -> None:
        # A full pipe means that the thread has been woken already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_in, b"\0")

    # ------------------------------------------------------------------------------------------------ the loop

    def _run(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._housekeeping()
        while not self._stopping.is_set():
            until_s = self._timers[0][0] - self._clock.monotonic_s()
            for key, events in self._selector.select(min(_TICK_S, max(0.0, until_s))):
                if isinstance(key.data, Client):
                    self._serve(key.data, events)
                elif key.fileobj is self._listener:
                    self._welcome()
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_out, 4096)
            self._hand_out()
            now_s = self._clock.monotonic_s()
            while self._timers and self._timers[0][0] <= now_s:
                heapq.heappop(self._timers)[2]()
        for client in tuple(self._clients):
            self._drop(client)

    def _welcome(self) -> None:
        while (conn := self._listener.accept()) is not None:
            client = Client(conn, self._ids.random(16).hex(), self._ids.random(6).hex(), self._clock.monotonic_s())
            self._clients.add(client)
            self._selector.register(conn, selectors.EVENT_READ, client)

    def _hand_out(self) -> None:
        with self._ready_lock:
            ready, self._ready = self._ready, set()
        for feed in ready:
            while feed.queue:
                item = feed.queue.popleft()
                if isinstance(item, Burst):
                    self.deliver(feed, item)
                else:
                    self.report(feed, item)

    def _housekeeping(self) -> None:
        """Twenty times a second: outages, silence."""
        now_s = self._clock.monotonic_s()
        for client in tuple(self._clients):
            cut = client.feed is not None and not client.feed.is_open()
            if cut or now_s - client.heard_s > SESSION_S * 1.25:
                self._drop(client)
        self.at(now_s + _TICK_S, self._housekeeping)

    # ------------------------------------------------------------------------------------------------ out

    def deliver(self, feed: Feed, burst: Burst) -> None:
        """Send a burst to all who play this feed. Network thread."""
        if not feed.is_flowing():
            return
        channel = burst.data[1]
        for client in tuple(feed.clients):
            if client.waits_for_key:
                if not burst.key:
                    continue
                client.waits_for_key = False
            wanted = client.channels.get(channel)
            if wanted is None:
                continue
            self._send(client, burst.data if wanted == channel else burst.on(wanted))

    def deliver_part(self, feed: Feed, part: bytes | bytearray, *, starts_key: bool) -> None:
        """Send interleaved bytes as they are to all who play this feed, which has `fixed_channels`. Network thread."""
        if not feed.is_flowing():
            return
        for client in tuple(feed.clients):
            if starts_key:
                client.waits_for_key = False
            if not client.waits_for_key:
                self._send(client, part)

    def report(self, feed: Feed, report: bytes) -> None:
        """Send a sender report. Network thread."""
        if not feed.is_flowing():
            return
        for client in tuple(feed.clients):
            wanted = client.channels.get(report[1] - 1)
            if wanted is not None and not client.waits_for_key:
                self._send(client, bytes((0x24, wanted + 1)) + report[2:])

    def _send(self, client: Client, data: bytes | bytearray) -> None:
        try:
            if not client.conn.send(data):
                self.dropped += 1
                client.waits_for_key = True
                return
        except NetError:
            self._drop(client)
            return
        self.sent += 1
        if client.conn.unsent and client not in self._blocked:
            self._blocked.add(client)
            self._selector.modify(client.conn, selectors.EVENT_READ | selectors.EVENT_WRITE, client)

    def _drop(self, client: Client) -> None:
        if client not in self._clients:
            return
        self._clients.discard(client)
        self._blocked.discard(client)
        self._leave(client)
        self._selector.unregister(client.conn)
        client.conn.close()

    def _leave(self, client: Client) -> None:
        feed = client.feed
        if feed is not None and client in feed.clients:
            feed.clients.discard(client)
            feed.watchers = len(feed.clients)
        client.playing = False

    # ------------------------------------------------------------------------------------------------ in

    def _serve(self, client: Client, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE and client.conn.flush():
                self._blocked.discard(client)
                self._selector.modify(client.conn, selectors.EVENT_READ, client)
            if not events & selectors.EVENT_READ:
                return
            count = client.conn.recv_into(self._scratch)
            if count is None:
                return
            if count == 0:
                self._drop(client)
                return
            client.heard_s = self._clock.monotonic_s()
            client.buffer += memoryview(self._scratch)[:count]
            while client in self._clients and (taken := take_request(client.buffer)) is not None:
                if isinstance(taken, Request):
                    self._answer(client, taken)
        except (NetError, ValueError):
            self._drop(client)

    def _feed_of(self, request: Request) -> Feed | None:
        path = request.path
        return self._feeds.get(path) or self._feeds.get(path.rpartition("/")[0])

    def _answer(self, client: Client, request: Request) -> None:
        feed = self._feed_of(request)
        if feed is not None and not feed.is_open():
            self._drop(client)
            return
        if request.method == "OPTIONS":
            self._send(client, answer(request, headers={"Public": METHODS}))
            return
        if feed is None and request.method in ("DESCRIBE", "SETUP"):
            self._send(client, answer(request, 404))
            return
        feed = feed or client.feed
        if feed is not None and feed.login is not None and not feed.login.admits(request, client.nonce):
            challenge = feed.login.challenge(client.nonce)
            self._send(client, answer(request, 401, headers={"WWW-Authenticate": challenge}))
            return
        if feed is None:
            self._send(client, answer(request, 455))
            return
        self._act(client, feed, request)

    def _act(self, client: Client, feed: Feed, request: Request) -> None:
        session = {"Session": f"{client.session};timeout={SESSION_S}"}
        told = request.headers.get("session", client.session).partition(";")[0]
        if told != client.session:
            self._send(client, answer(request, 454))
        elif request.method == "DESCRIBE":
            base = {"Content-Base": request.url.rstrip("/") + "/"}
            self._send(client, answer(request, headers=base, body=describe(feed.name, feed.tracks())))
        elif request.method == "SETUP":
            self._set_up(client, feed, request, session)
        elif request.method == "PLAY" and client.feed is feed and client.channels:
            url = f"{urlsplit(request.url).scheme}://{urlsplit(request.url).netloc}/{feed.path}/"
            info = ",".join(f"url={url}track{channel // 2 + 1}" for channel in sorted(client.channels))
            self._send(client, answer(request, headers=session | {"Range": "npt=now-", "RTP-Info": info}))
            client.playing = client.waits_for_key = True
            feed.clients.add(client)
            feed.watchers = len(feed.clients)
            feed.wants_key.set()
            feed.on_watch()
        elif request.method == "PAUSE":
            self._leave(client)
            self._send(client, answer(request, headers=session))
        elif request.method in ("GET_PARAMETER", "SET_PARAMETER"):
            self._send(client, answer(request, headers=session))
        elif request.method == "TEARDOWN":
            self._leave(client)
            client.channels.clear()
            self._send(client, answer(request))
        else:
            self._send(client, answer(request, 455 if request.method == "PLAY" else 501))

    def _set_up(self, client: Client, feed: Feed, request: Request, session: dict[str, str]) -> None:
        control = request.path.removeprefix(feed.path).strip("/")
        controls = [track.control for track in feed.tracks()]
        if control not in controls or (client.feed is not None and client.feed is not feed):
            self._send(client, answer(request, 404 if control not in controls else 455))
            return
        default = 2 * (int(control.removeprefix("track")) - 1)
        channel = interleaved_channels(request.headers.get("transport", ""), default)
        if channel is not None and feed.fixed_channels:
            channel = default
        if channel is None:
            self._send(client, answer(request, 461))
            return
        client.feed = feed
        client.channels[default] = channel
        transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        self._send(client, answer(request, headers={"Transport": transport} | session))
