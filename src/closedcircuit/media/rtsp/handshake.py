# SPDX-License-Identifier: Apache-2.0
"""The RTSP conversation (RFC 2326), without a socket: what to ask, what an answer means, what to ask next.

OPTIONS, DESCRIBE, SETUP of the first video and the first sound that we know, PLAY; then keep-alives at half the
session's timeout. Each answer has a deadline. Signing in happens whenever the server asks for it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from closedcircuit.base.errors import CameraError, CameraRefused, StreamBroken
from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.media.rtsp import auth
from closedcircuit.media.rtsp.messages import Message, build_request, build_response, parameters
from closedcircuit.media.rtsp.sdp import MediaLine, parse_sdp, resolve_control

REPLY_S = 10.0
"""How long an answer may take."""
KEEP_ALIVE_S = 30.0
"""Between keep-alives where the server names no timeout (RFC 2326, 12.37: 60 s)."""


class Phase(enum.Enum):
    """Where the conversation is."""

    GREETING = "asking what it can do"  # OPTIONS
    DESCRIBING = "asking what it sends"
    SETTING_UP = "setting up the streams"
    STARTING = "starting the stream"
    PLAYING = "playing"


class Redirected(CameraError):
    """Not a fault: the camera wants us elsewhere. The owner of the connection dials `url`."""

    def __init__(self, url: str) -> None:
        super().__init__(f"the camera sends us to {url}", remedy="Use that address.")
        self.url = url


class Setup(msgspec.Struct):
    """One RTP stream that we take."""

    line: MediaLine
    url: str
    channel: int = 0  # interleaved channel of RTP; RTCP's is `control_channel`
    control_channel: int = 1
    rtptime: int | None = None  # of RTP-Info: the timestamp at which playing began
    ready: bool = False


class Handshake:
    """One connection's conversation. Owned by the session's thread. Bytes to send are put into `out`."""

    def __init__(
        self,
        url: str,
        username: str,
        password: Secret,
        ids: Ids,
        choose: Callable[[tuple[MediaLine, ...]], list[MediaLine]],
    ) -> None:
        self.phase = Phase.GREETING
        self.out = bytearray()
        self.setups: list[Setup] = []
        self.other_host = False  # a redirect led here: no password in clear
        self.on_ready: Callable[[Setup], None] | None = None  # called when a stream's channels are known
        self._url = self._base = self._play_url = url
        self._username, self._password, self._ids = username, password, ids
        self._choose = choose
        self._challenge: auth.Challenge | None = None
        self._tried = False  # the present challenge has been answered for the present request
        self._number = 0
        self._asked: tuple[str, str, dict[str, str]] | None = None  # what waits for an answer
        self._deadline_s = 0.0
        self._session = ""
        self._timeout_s = 2 * KEEP_ALIVE_S
        self._keep_alive = "OPTIONS"
        self._next_keep_alive_s = 0.0

    # ------------------------------------------------------------------------------------------------ asking

    def begin(self, now_s: float) -> None:
        """Say the first word."""
        self._ask("OPTIONS", self._url, {}, now_s)

    def _ask(self, method: str, url: str, headers: dict[str, str], now_s: float) -> None:
        self._number += 1
        self._asked = method, url, headers
        self._deadline_s = now_s + REPLY_S
        full = dict(headers)
        if self._session:
            full["Session"] = self._session
        if self._challenge is not None:
            full["Authorization"] = self._challenge.header(method, url, self._username, self._password)
        self.out += build_request(method, url, self._number, full)

    def poll(self, now_s: float) -> None:
        """Keep-alives and deadlines; call it about once a second. Raises CameraError."""
        if self.phase is not Phase.PLAYING:
            if self._asked is not None and now_s > self._deadline_s:
                raise StreamBroken(
                    f"no answer within {REPLY_S:.0f} s while {self.phase.value}",
                    remedy="The device may be overloaded: restart it, or close other viewers of it.",
                )
        elif now_s >= self._next_keep_alive_s:
            self._next_keep_alive_s = now_s + self._timeout_s / 2
            self._tried = False
            self._ask(self._keep_alive, self._base, {}, now_s)

    def goodbye(self) -> bytes:
        """TEARDOWN; empty where no session was set up."""
        if not self._session:
            return b""
        self._number += 1
        headers = {"Session": self._session}
        if self._challenge is not None:
            headers["Authorization"] = self._challenge.header(
                "TEARDOWN", self._play_url, self._username, self._password
            )
        return build_request("TEARDOWN", self._play_url, self._number, headers)

    # ------------------------------------------------------------------------------------------------ answers

    def heard(self, message: Message, now_s: float) -> None:
        """Take a message of the server. Raises CameraError where it ends the attempt, Redirected for another place."""
        if message.method:
            self._requested(message)
            return
        number = message.header("cseq")
        if self._asked is None or (number and number != str(self._number)):
            return  # an answer to something that is not asked any more
        method, url, headers = self._asked
        if message.status < 200:
            self._deadline_s = now_s + REPLY_S
            return
        if message.status == 401:
            self._sign_in(message, now_s)
            return
        self._tried = False
        self._asked = None
        if 300 <= message.status < 400 and message.header("location"):
            raise Redirected(message.header("location"))
        if self.phase is Phase.PLAYING:
            self._kept_alive(method, message)
        elif message.status == 200:
            self._go_on(method, message, now_s)
        elif method == "OPTIONS":
            self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"}, now_s)
            self.phase = Phase.DESCRIBING
        elif method == "SETUP" and len(self.setups) > 1 and self.setups[0].ready:
            self.setups.pop()  # no sound, then
            self._play(now_s)
        else:
            raise _refusal(method, url, message, headers)

    def _requested(self, message: Message) -> None:
        number = message.header("cseq") or "0"
        if message.method == "REDIRECT" and message.header("location"):
            raise Redirected(message.header("location"))
        known = message.method in ("OPTIONS", "GET_PARAMETER", "SET_PARAMETER", "ANNOUNCE")
        self.out += build_response(200, "OK", number) if known else build_response(501, "Not Implemented", number)

    def _sign_in(self, message: Message, now_s: float) -> None:
        challenge = auth.choose(message.headers.get("www-authenticate", []), self._ids)
        if challenge is None:
            raise CameraRefused(
                "the camera asks for a kind of sign-in that we do not know",
                remedy="Choose Digest or Basic authentication for RTSP in the camera.",
            )
        if not self._username:
            raise CameraRefused(
                "the camera asks for a name and a password", remedy="Give the camera's user name and password."
            )
        if challenge.kind == "basic" and self.other_host:
            raise CameraRefused(
                "the camera sends us to another host, which wants the password in clear",
                remedy="Give that address itself, if it is right.",
            )
        old = self._challenge
        renewed = old is not None and challenge.nonce != old.nonce and (challenge.stale or self.phase is Phase.PLAYING)
        if self._tried and not (renewed and challenge.stale):
            raise CameraRefused(
                "wrong user name or password",
                remedy="Check both; some cameras have an account of its own for RTSP or ONVIF.",
            )
        if self._tried and old is not None and old.stale:
            raise CameraRefused("the camera calls every sign-in out of date", remedy="Restart the camera.")
        self._challenge, self._tried = challenge, True
        if self._asked is not None:
            self._ask(*self._asked, now_s)

    def _go_on(self, method: str, message: Message, now_s: float) -> None:
        if method == "OPTIONS":
            if "GET_PARAMETER" in message.header("public").upper():
                self._keep_alive = "GET_PARAMETER"
            self.phase = Phase.DESCRIBING
            self._ask("DESCRIBE", self._url, {"Accept": "application/sdp"}, now_s)
        elif method == "DESCRIBE":
            self._described(message)
            self.phase = Phase.SETTING_UP
            self._set_up(now_s)
        elif method == "SETUP":
            self._was_set_up(message)
            if all(setup.ready for setup in self.setups):
                self._play(now_s)
            else:
                self._set_up(now_s)
        elif method == "PLAY":
            self._rtp_info(", ".join(message.headers.get("rtp-info", [])))
            self.phase = Phase.PLAYING
            self._next_keep_alive_s = now_s + self._timeout_s / 2

    def _described(self, message: Message) -> None:
        described = parse_sdp(message.body.decode("utf-8", "replace"))
        base = message.header("content-base") or message.header("content-location") or self._url
        if "://" not in base[:12]:
            base = self._url
        self._base = base
        self._play_url = resolve_control(base, described.control)
        for line in self._choose(described.media):
            # Channels asked for; the server may choose others.
            number = 2 * len(self.setups)
            self.setups.append(Setup(line, resolve_control(self._play_url, line.control), number, number + 1))

    def _set_up(self, now_s: float) -> None:
        setup = next(setup for setup in self.setups if not setup.ready)
        transport = f"RTP/AVP/TCP;unicast;interleaved={setup.channel}-{setup.control_channel}"
        self._ask("SETUP", setup.url, {"Transport": transport}, now_s)

    def _was_set_up(self, message: Message) -> None:
        setup = next(setup for setup in self.setups if not setup.ready)
        session, _, rest = message.header("session").partition(";")
        self._session = session.strip()[:200] or self._session
        timeout = parameters(rest).get("timeout", "")
        if timeout.isascii() and timeout.isdigit() and len(timeout) < 6:
            self._timeout_s = max(2.0, float(timeout)) if int(timeout) else 2 * KEEP_ALIVE_S
        transport = parameters(message.header("transport"))
        if transport and "rtp/avp/tcp" not in transport and "interleaved" not in transport:
            raise CameraRefused(
                "the camera does not send over TCP",
                remedy="Switch on RTSP over TCP in the camera, or write its address as rtsp+udp://...",
            )
        channels = transport.get("interleaved", "").split("-")
        if channels[0].isascii() and channels[0].isdigit() and int(channels[0]) < 256:
            setup.channel = int(channels[0])
            last = channels[-1]
            setup.control_channel = (
                int(last) if len(channels) > 1 and last.isascii() and last.isdigit() else setup.channel + 1
            )
        setup.ready = True
        if self.on_ready is not None:
            self.on_ready(setup)

    def _play(self, now_s: float) -> None:
        self.phase = Phase.STARTING
        self._ask("PLAY", self._play_url, {"Range": "npt=0.000-"}, now_s)

    def _rtp_info(self, text: str) -> None:
        """`url=...;seq=1;rtptime=2, url=...` (RFC 2326, 12.33): by URL, or by order where the URLs say nothing."""
        entries = [parameters(part) for part in text.split(",") if "=" in part]
        for number, setup in enumerate(self.setups):
            named = [entry for entry in entries if entry.get("url", "-").rstrip("/") in (setup.url, setup.line.control)]
            if not named and len(entries) == len(self.setups):
                named = [entries[number]]
            value = named[0].get("rtptime", "") if named else ""
            if value.isascii() and value.isdigit() and len(value) < 12:
                setup.rtptime = int(value) & 0xFFFFFFFF

    def _kept_alive(self, method: str, message: Message) -> None:
        if message.status == 454:
            raise StreamBroken("the camera has forgotten our session", remedy="")
        if message.status >= 400 and method == "GET_PARAMETER":
            self._keep_alive = "OPTIONS"  # announced, but not really there


def _refusal(method: str, url: str, message: Message, headers: dict[str, str]) -> CameraError:
    status = message.status
    said = f"{status} {message.reason}".strip()
    if status == 403:
        return CameraRefused(
            f"the camera forbids it ({said})", remedy="Give this account the right to view in the camera."
        )
    if status in (404, 451, 454) or (status == 400 and method == "DESCRIBE"):
        path = urlsplit(url).path or "/"
        return CameraRefused(
            f"the camera has nothing at {path} ({said})",
            remedy="Check the part of the address after the host; the camera's manual or its ONVIF page names it.",
        )
    if status == 453:
        return CameraRefused(
            f"the camera has no bandwidth left for us ({said})",
            remedy="Close other viewers of it, or use a smaller stream.",
        )
    if status == 461 and "TCP" in headers.get("Transport", ""):
        return CameraRefused(
            f"the camera does not send over TCP ({said})",
            remedy="Switch on RTSP over TCP in the camera, or write its address as rtsp+udp://...",
        )
    if status in (500, 503):
        return StreamBroken(
            f"the camera has trouble of its own ({said})",
            remedy="It may have too many viewers: close some, or restart it.",
        )
    return CameraRefused(f"the camera refuses to {method} ({said})", remedy="Look at the camera's own log.")
