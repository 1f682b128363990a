# SPDX-License-Identifier: Apache-2.0
"""A line over RTSP: our own receiver on a non-blocking connection."""

from __future__ import annotations

import contextlib
from urllib.parse import urljoin

from closedcircuit.base.clock import Clock
from closedcircuit.base.errors import CameraRefused, CameraUnreachable, NetError, StreamBroken
from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.cameras.address import PORTS, parse_place, split_address
from closedcircuit.cameras.line import Line, Pull
from closedcircuit.media.rtsp import Redirected, RtspSession
from closedcircuit.model import PacketSink, Source
from closedcircuit.net import Connection, TlsPolicy, dial

CONNECT_S = 5.0
REDIRECTS_MAX = 5
READS_MAX = 4
"""Full buffers that one camera may hand over in one sweep."""
TURN_S = 0.01
"""After so long a camera's turn is over even if more waits."""
MBIT_MAX = 128
"""Megabits a second over `FLOOD_S` that no camera sends."""
FLOOD_S = 5.0


class RtspLine(Line):
    """Owned by the receiver's thread."""

    def __init__(
        self, name: str, source: Source, account: tuple[str, Secret], sink: PacketSink, clock: Clock, ids: Ids
    ) -> None:
        super().__init__(name, sink, clock, ids)
        self._source = source
        self._username, self._password = account
        self._connection: Connection | None = None
        self._session: RtspSession | None = None
        self._url = source.address
        self._redirects = 0
        self._rate = 0.0  # of the video clock, learnt; kept over connections
        self._flood = (0.0, 0)

    def _open(self, now_s: float) -> Pull:
        self._url, self._redirects = self._source.address, 0
        return self._dial(now_s)

    def _dial(self, now_s: float) -> RtspSession:
        place = parse_place(self._url)
        policy = None
        if place.scheme == "rtsps":
            policy = TlsPolicy(pin_sha256=self._source.pin_sha256, ca_file=self._source.ca_file)
        self._connection = dial(place.host, place.port, tls=policy, clock=self._clock, timeout_s=CONNECT_S)
        self._session = RtspSession(
            place.url, self._username, self._password, ids=self._ids, sink=self._sink, audio=self._source.audio
        )
        self._session.rate = self._rate
        self._flood = (now_s, 0)
        return self._session

    def _step(self, view: memoryview, now_s: float, now_90k: int) -> None:
        connection, session = self._connection, self._session
        if connection is None or session is None:
            return
        if not connection.is_open:
            if not connection.progress():
                return
            session.begin(now_s)
            self._say(session.take_output())
        count = connection.recv_into(view)
        if count is None:
            if connection.unsent:
                connection.flush()
            return
        try:
            session.feed(view[:count], now_s, now_90k)
            if count == len(view) or connection.is_tls:
                self._read_on(connection, session, view, now_s, now_90k)
        except Redirected as redirected:
            self._follow(redirected.url, now_s)
            return
        if count == 0:
            raise CameraUnreachable(
                "the camera closed the connection" if session.playing else "the camera closes the connection at once",
                remedy="It may have too many viewers, or be restarting.",
            )
        self._say(session.take_output())

    def _read_on(
        self, connection: Connection, session: RtspSession, view: memoryview, now_s: float, now_90k: int
    ) -> None:
        """More may wait: a full buffer came, or TLS, which gives a record at a time. A bounded turn."""
        taken, until_s = 0, self._clock.monotonic_s() + TURN_S
        while taken < READS_MAX * len(view) and self._clock.monotonic_s() < until_s:
            count = connection.recv_into(view)
            if not count:
                return  # nothing now; an end will be seen by the next sweep
            session.feed(view[:count], now_s, now_90k)
            taken += count
            if count < len(view) and not connection.is_tls:
                return

    def _say(self, out: bytes) -> None:
        if out and self._connection is not None and not self._connection.send(out):
            raise StreamBroken("the camera does not read what we send", remedy="Restart the camera.")

    def _tick(self, now_s: float, now_90k: int) -> None:
        session = self._session
        if session is None or self._connection is None or not self._connection.is_open:
            return
        session.poll(now_s, now_90k)
        self._say(session.take_output())
        self._rate = session.rate
        then_s, then_bytes = self._flood
        if now_s - then_s >= FLOOD_S:
            mbit = (session.counts.bytes_in - then_bytes) * 8 / 1e6 / (now_s - then_s)
            if mbit > MBIT_MAX:
                raise StreamBroken(
                    f"the camera sends more than {MBIT_MAX} Mbit/s", remedy="Lower its bit rate; restart it."
                )
            self._flood = (now_s, session.counts.bytes_in)

    def _follow(self, url: str, now_s: float) -> None:
        """The camera sends us elsewhere: at once, but not round and round, and never from TLS to none."""
        self._redirects += 1
        if self._redirects > REDIRECTS_MAX:
            raise StreamBroken("the camera sends us from address to address", remedy="Give its final address.")
        target, _, _ = split_address(urljoin(self._url.replace("rtsp", "http", 1), url).replace("http", "rtsp", 1))
        old, new = parse_place(self._url), parse_place(target)
        if old.scheme == "rtsps" and new.scheme != "rtsps":
            raise CameraRefused(
                "the camera sends us to an address without TLS", remedy="Give that address if you trust it."
            )
        self._shut(on_purpose=False)
        self._url = target
        session = self._dial(now_s)
        session.other_host = old.host != new.host or self._redirects > 1
        self._pull = session

    def _shut(self, *, on_purpose: bool) -> None:
        connection, session = self._connection, self._session
        self._connection = self._session = None
        if connection is None:
            return
        if on_purpose and session is not None and connection.is_open:
            with contextlib.suppress(NetError):  # it may be gone already
                connection.send(session.goodbye())
        connection.close()


def is_ours(source: Source) -> bool:
    """Whether our own receiver pulls this source: rtsp or rtsps, and not asked for over UDP."""
    scheme = source.address.partition("://")[0].lower()
    return scheme in PORTS and source.options.get("rtsp_transport", "tcp") == "tcp"
