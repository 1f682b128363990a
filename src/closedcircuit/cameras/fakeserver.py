# SPDX-License-Identifier: Apache-2.0
"""A camera that serves RTSP on loopback and can misbehave in every way we know; see `fakes`."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable

import msgspec

from closedcircuit.base.clock import TICKS, Clock
from closedcircuit.base.errors import NetError
from closedcircuit.cameras.fakematerial import H264_PPS, H264_SPS, H265_PPS, H265_SPS, H265_VPS, Frame
from closedcircuit.media.rtsp import aggregate, payloads
from closedcircuit.net import Connection, TlsIdentity, listen_tcp


class Manners(msgspec.Struct):
    """How a fake camera behaves. The default is well."""

    sets_in_sdp: bool = True
    audio: str = ""  # an SDP section for sound, served by `sound`
    sound: list[tuple[int, bytes]] = []  # (RTP timestamp offset at its own rate, payload), sent beside the pictures
    sound_rate: int = 8000
    sound_late_s: float = 0.0  # sent so long after its time
    username: str = ""
    password: str = ""
    sign_in: str = "digest"  # "digest", "sha-256", "basic", "unknown"
    nonce_uses: int = 0  # after so many requests the nonce is stale; 0: never
    public: str = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
    answers: dict[str, str] = {}  # method: a whole answer (CSeq is filled in for {cseq}); "": none at all
    close_at: str = ""  # "accept" or a method: closes then
    trickle: bool = False  # a byte a sweep
    timeout_s: int = 60
    clock_rate: int = 90_000  # what timestamps really count
    first_timestamp: int = 1000
    first_sequence: int = 100
    rtp_info: bool = True
    reports: bool = False  # RTCP sender reports, one a second
    clock_ahead_s: float = 0.0  # of its wall clock
    marker: bool = True
    marker_everywhere: bool = False
    aggregate: bool = False  # small NAL units go in one packet
    mtu: int = 1400
    channels: str = "0-1"
    lose: Callable[[int], bool] | None = None  # by packet number
    before: Callable[[int], bytes] | None = None  # bytes put before a frame, by number
    silent_from: int = -1  # frame number from which nothing comes
    flood: bytes = b""  # sent for ever, as fast as it goes
    needs_reports: bool = False  # hangs up after 30 s without a receiver report


class FakeCamera:
    """An RTSP server for one stream. Serves any number of connections; each begins with the first frame."""

    def __init__(
        self,
        frames: list[Frame],
        clock: Clock,
        manners: Manners | None = None,
        *,
        codec: str = "h264",
        tls: TlsIdentity | None = None,
    ) -> None:
        self.frames, self.clock, self.codec = frames, clock, codec
        self.manners = manners or Manners()
        self.requests: list[str] = []  # methods, in order
        self.connections = 0
        self._listener = listen_tcp(tls=tls, out_limit=4 << 20)
        self._visitors: list[_Visitor] = []
        self._buffer = bytearray(65_536)
        scheme = "rtsps" if tls else "rtsp"
        self.address = f"{scheme}://127.0.0.1:{self._listener.port}/stream"

    def sweep(self) -> None:
        """Accept, answer, and send what is due."""
        while (connection := self._listener.accept()) is not None:
            self.connections += 1
            if self.manners.close_at == "accept":
                connection.close()
                continue
            self._visitors.append(_Visitor(self, connection))
        for visitor in self._visitors:
            try:
                visitor.sweep(self._buffer)
            except NetError:
                visitor.close()
        self._visitors = [visitor for visitor in self._visitors if not visitor.closed]

    def hang_up(self) -> None:
        """Close all connections, as a reboot does."""
        for visitor in self._visitors:
            visitor.close()
        self._visitors.clear()

    def close(self) -> None:
        """Stop listening."""
        self.hang_up()
        self._listener.close()

    def sdp(self) -> str:
        """The description."""
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=fake", "t=0 0", "a=control:*", "m=video 0 RTP/AVP 96"]
        lines.append(f"a=rtpmap:96 {self.codec.upper()}/90000")
        if self.codec == "h264":
            sets = ",".join(base64.b64encode(nal).decode() for nal in (H264_SPS, H264_PPS))
            fmtp = "packetization-mode=1" + (f";sprop-parameter-sets={sets}" if self.manners.sets_in_sdp else "")
        else:
            named = (("vps", H265_VPS), ("sps", H265_SPS), ("pps", H265_PPS))
            values = [f"sprop-{name}={base64.b64encode(nal).decode()}" for name, nal in named]
            fmtp = ";".join(values) if self.manners.sets_in_sdp else "level-id=93"
        lines += [f"a=fmtp:96 {fmtp}", "a=control:track0"]
        if self.manners.audio:
            lines += [*self.manners.audio.strip().splitlines(), "a=control:track1"]
        return "\r\n".join(lines) + "\r\n"


class _Visitor:
    """One connection to a fake camera."""

    def __init__(self, camera: FakeCamera, connection: Connection) -> None:
        self.camera, self.connection = camera, connection
        self.closed = False
        self._in = b""
        self._slow = b""
        self._playing_s = -1.0
        self._next_frame = self._next_sound = self._due = 0
        self._packets = self._sound_packets = 0
        self._sequence = camera.manners.first_sequence
        self._nonce, self._nonce_uses = "n0", 0
        self._channel, self._sound_channel = 0, 2
        self._reports_sent = 0
        self._heard_s = 0.0

    def close(self) -> None:
        self.closed = True
        self.connection.close()

    def sweep(self, buffer: bytearray) -> None:
        if not self.connection.progress():
            return
        count = self.connection.recv_into(buffer)
        if count == 0:
            self.close()
            return
        self._in += buffer[: count or 0]
        self._read()
        if self.closed:
            return
        if self._slow:
            self.connection.send(self._slow[:1])
            self._slow = self._slow[1:]
        if self._playing_s >= 0:
            self._serve()
        self.connection.flush()

    def _read(self) -> None:
        while self._in and not self.closed:
            if self._in[0] == 0x24:
                if len(self._in) < 4 or len(self._in) < 4 + int.from_bytes(self._in[2:4], "big"):
                    return
                self._heard_s = self.camera.clock.monotonic_s()
                self._in = self._in[4 + int.from_bytes(self._in[2:4], "big") :]
                continue
            head, end, rest = self._in.partition(b"\r\n\r\n")
            if not end:
                return
            self._in = rest
            self._answer(head.decode())

    def _say(self, text: str, body: str = "") -> None:
        data = (text + "\r\n\r\n" + body).encode()
        if self.camera.manners.trickle:
            self._slow += data
        else:
            self.connection.send(data)

    def _answer(self, head: str) -> None:
        manners, camera = self.camera.manners, self.camera
        lines = head.split("\r\n")
        method, url, _ = lines[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        camera.requests.append(method)
        if manners.close_at == method:
            self.close()
            return
        if method in manners.answers:
            if manners.answers[method]:
                self._say(manners.answers[method].replace("{cseq}", headers["cseq"]))
            return
        ok = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}"
        if manners.username and not self._signed_in(method, url, headers.get("authorization", "")):
            stale = ", stale=true" if self._nonce != "n0" else ""
            challenges = {
                "basic": 'Basic realm="fake"',
                "digest": f'Digest realm="fake", nonce="{self._nonce}"{stale}',
                "sha-256": f'Digest realm="fake", nonce="{self._nonce}", algorithm=SHA-256, qop="auth"{stale}',
                "unknown": 'Negotiate realm="fake"',
            }
            challenge = challenges[manners.sign_in]
            self._say(f"RTSP/1.0 401 Unauthorized\r\nCSeq: {headers['cseq']}\r\nWWW-Authenticate: {challenge}")
            return
        if method == "OPTIONS":
            self._say(f"{ok}\r\nPublic: {manners.public}")
        elif method == "DESCRIBE":
            body = camera.sdp()
            self._say(
                f"{ok}\r\nContent-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}", body
            )
        elif method == "SETUP":
            if url.endswith("track1"):
                self._say(f"{ok}\r\nSession: 77;timeout={manners.timeout_s}\r\nTransport: RTP/AVP/TCP;interleaved=2-3")
                return
            self._channel = int(manners.channels.split("-", maxsplit=1)[0])
            self._say(
                f"{ok}\r\nSession: 77;timeout={manners.timeout_s}\r\n"
                f"Transport: RTP/AVP/TCP;unicast;interleaved={manners.channels}"
            )
        elif method == "PLAY":
            first = manners.first_timestamp
            info = (
                f"\r\nRTP-Info: url={url}track0;rtptime={first},url={url}track1;rtptime=0" if manners.rtp_info else ""
            )
            self._say(f"{ok}\r\nSession: 77{info}")
            self._playing_s = self._heard_s = camera.clock.monotonic_s()
        else:
            self._say(f"{ok}\r\nSession: 77")
            if method == "TEARDOWN":
                self.close()

    def _signed_in(self, method: str, url: str, said: str) -> bool:
        manners = self.camera.manners
        if manners.sign_in == "basic":
            pair = base64.b64encode(f"{manners.username}:{manners.password}".encode()).decode()
            return said == f"Basic {pair}"
        fields = dict(part.strip().split("=", 1) for part in said.partition(" ")[2].split(",") if "=" in part)
        fields = {name: value.strip('"') for name, value in fields.items()}
        self._nonce_uses += 1
        if manners.nonce_uses and self._nonce_uses > manners.nonce_uses:
            self._nonce_uses, self._nonce = 0, f"n{int(self._nonce[1:]) + 1}"
        if fields.get("nonce") != self._nonce or fields.get("username") != manners.username:
            return False

        def hashed(text: str) -> str:
            made = hashlib.sha256 if manners.sign_in == "sha-256" else hashlib.md5
            return made(text.encode()).hexdigest()

        first, second = hashed(f"{manners.username}:fake:{manners.password}"), hashed(f"{method}:{url}")
        middle = self._nonce
        if manners.sign_in == "sha-256":
            middle = f"{self._nonce}:{fields.get('nc')}:{fields.get('cnonce')}:auth"
        return fields.get("response") == hashed(f"{first}:{middle}:{second}")

    # ------------------------------------------------------------------------------------------------ sending

    def _serve(self) -> None:
        camera, manners = self.camera, self.camera.manners
        now_s = camera.clock.monotonic_s()
        played_s = now_s - self._playing_s
        if manners.needs_reports and now_s - self._heard_s > 30:
            self.close()
            return
        if manners.flood:
            while self.connection.unsent == 0 and self.connection.send(manners.flood):
                pass
            return
        if manners.reports and played_s >= self._reports_sent:
            self._reports_sent += 1
            self._report(played_s)
        while self._next_frame < len(camera.frames) and self._next_frame != manners.silent_from:
            frame = camera.frames[self._next_frame]
            # In decoding order: a picture that is shown earlier than one before it is sent with that one.
            self._due = max(self._due, frame.at)
            if self._due / TICKS > played_s:
                break
            if manners.before is not None:
                self.connection.send(manners.before(self._next_frame))
            self._send_frame(frame)
            self._next_frame += 1
        while self._next_sound < len(manners.sound):
            at, payload = manners.sound[self._next_sound]
            if at / manners.sound_rate + manners.sound_late_s > played_s:
                break
            self._sound_packets += 1
            self._interleaved(2, 0x80 << 24 | 97 << 16 | self._sound_packets & 0xFFFF, at, payload, 0xBBBB)
            self._next_sound += 1

    def _send_frame(self, frame: Frame) -> None:
        manners = self.camera.manners
        ts = manners.first_timestamp + frame.at * manners.clock_rate // TICKS
        if manners.aggregate and sum(map(len, frame.nals)) < manners.mtu:
            pieces = [aggregate(self.camera.codec, frame.nals)]
        else:
            pieces = list(payloads(self.camera.codec, frame.nals, manners.mtu))
        for number, payload in enumerate(pieces):
            last = (number == len(pieces) - 1 and manners.marker) or manners.marker_everywhere
            head = 0x80 << 24 | (96 | (0x80 if last else 0)) << 16 | self._sequence & 0xFFFF
            self._sequence += 1
            self._packets += 1
            if manners.lose is None or not manners.lose(self._packets):
                self._interleaved(self._channel, head, ts, payload, 0xAAAA)

    def _interleaved(self, channel: int, head: int, ts: int, payload: bytes, ssrc: int) -> None:
        frame = struct.pack(">BBHIII", 0x24, channel, 12 + len(payload), head, ts & 0xFFFFFFFF, ssrc) + payload
        self.connection.send(frame)

    def _report(self, played_s: float) -> None:
        camera, manners = self.camera, self.camera.manners
        wall = camera.clock.now_90k() / TICKS + manners.clock_ahead_s + 2_208_988_800
        streams = [(self._channel + 1, 0xAAAA, manners.first_timestamp + int(played_s * manners.clock_rate))]
        if manners.sound:
            streams.append((3, 0xBBBB, int(played_s * manners.sound_rate)))
        for channel, ssrc, rtp in streams:
            body = struct.pack(
                ">BBHIIIIII",
                0x80,
                200,
                6,
                ssrc,
                int(wall) & 0xFFFFFFFF,
                int(wall % 1 * (1 << 32)),
                rtp & 0xFFFFFFFF,
                self._packets,
                0,
            )
            self.connection.send(struct.pack(">BBH", 0x24, channel, len(body)) + body)
