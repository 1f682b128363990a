# SPDX-License-Identifier: Apache-2.0
"""What a camera says in RTSP 1.0 (RFC 2326): requests in, answers out, passwords checked, the SDP (RFC 4566).

Pure: bytes and records, no sockets and no time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import msgspec

REQUEST_MAX = 16 << 10
"""A request longer than this ends the connection."""
_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 454: "Session Not Found"} | {
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    501: "Not Implemented",
}
METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, GET_PARAMETER, SET_PARAMETER, TEARDOWN"


class Request(msgspec.Struct, frozen=True):
    """One request; header names in lower case."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        """The URL without scheme, host, slashes around it and query."""
        rest = self.url.split("://", 1)[-1]
        return rest.partition("/")[2].partition("?")[0].strip("/")


class Login(msgspec.Struct, frozen=True):
    """Who may watch. `scheme` is "basic", "digest" (MD5, as most cameras) or "digest-sha-256"."""

    scheme: str
    username: str
    password: str
    realm: str = "pretend camera"

    def challenge(self, nonce: str) -> str:
        """The WWW-Authenticate line's value."""
        if self.scheme == "basic":
            return f'Basic realm="{self.realm}"'
        algorithm = ', algorithm=SHA-256, qop="auth"' if self.scheme == "digest-sha-256" else ""
        return f'Digest realm="{self.realm}", nonce="{nonce}"{algorithm}'

    def admits(self, request: Request, nonce: str) -> bool:
        """Check the Authorization header (RFC 7617, RFC 7616)."""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        if self.scheme == "basic":
            told = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return scheme.lower() == "basic" and hmac.compare_digest(told.encode(), rest.strip().encode())
        if scheme.lower() != "digest":
            return False
        told_by = {name: quoted or plain for name, quoted, plain in _PARAMETER.findall(rest)}
        if told_by.get("nonce") != nonce or told_by.get("username") != self.username:
            return False
        secret = self._hash(f"{self.username}:{self.realm}:{self.password}")
        asked = self._hash(f"{request.method}:{told_by.get('uri', '')}")
        if "qop" in told_by:
            middle = ":".join(told_by.get(part, "") for part in ("nonce", "nc", "cnonce", "qop"))
        else:
            middle = nonce
        expected = self._hash(f"{secret}:{middle}:{asked}")
        return hmac.compare_digest(expected.encode(), told_by.get("response", "").encode())

    def _hash(self, text: str) -> str:
        if self.scheme == "digest-sha-256":
            return hashlib.sha256(text.encode()).hexdigest()
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class TrackSdp(msgspec.Struct, frozen=True, kw_only=True):
    """What DESCRIBE tells of one track."""

    media: str  # "video" or "audio"
    payload_type: int
    rtpmap: str  # "H264/90000"
    fmtp: str = ""
    control: str  # "track1"
    framerate: str = ""


def take_request(buffer: bytearray) -> Request | bytes | None:
    """Take the next whole thing off the front of `buffer`: a request, or what came interleaved (RTCP; `$` and all).

    None: not whole yet. Raises ValueError on what is neither.
    """
    if buffer[:1] == b"$":
        if len(buffer) < 4 or len(buffer) < 4 + int.from_bytes(buffer[2:4], "big"):
            return None
        size = 4 + int.from_bytes(buffer[2:4], "big")
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > REQUEST_MAX:
            raise ValueError("endless request")
        return None
    first, *lines = buffer[:end].decode("utf-8", "replace").split("\r\n")
    words = first.split()
    if len(words) != 3 or words[2] != "RTSP/1.0":
        raise ValueError("not RTSP 1.0")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > REQUEST_MAX:
        raise ValueError("bad Content-Length")
    if len(buffer) < end + 4 + int(length):
        return None
    del buffer[: end + 4 + int(length)]
    return Request(words[0], words[1], headers)


def answer(request: Request, status: int = 200, *, headers: dict[str, str] | None = None, body: str = "") -> bytes:
    """An answer to `request`, with its CSeq."""
    lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {request.headers.get('cseq', '0')}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/sdp", f"Content-Length: {len(body.encode())}"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def describe(name: str, tracks: tuple[TrackSdp, ...]) -> str:
    """The session description."""
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 127.0.0.1",
        f"s={name}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=control:*",
        "a=range:npt=0-",
    ]
    for track in tracks:
        lines += [f"m={track.media} 0 RTP/AVP {track.payload_type}", f"a=rtpmap:{track.payload_type} {track.rtpmap}"]
        if track.fmtp:
            lines.append(f"a=fmtp:{track.payload_type} {track.fmtp}")
        if track.framerate:
            lines.append(f"a=framerate:{track.framerate}")
        lines.append(f"a=control:{track.control}")
    return "\r\n".join(lines) + "\r\n"


def video_sdp(codec: str, parameter_sets: tuple[bytes, ...], *, payload_type: int, fps: float) -> TrackSdp:
    """SDP of H.264 (RFC 6184, 8.1) or H.265 (RFC 7798, 7.1), parameter sets included."""
    coded = [base64.b64encode(nal).decode() for nal in parameter_sets]
    if codec == "h264":
        profile = parameter_sets[0][1:4].hex()
        fmtp = f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={','.join(coded)}"
    else:
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        fmtp = ";".join(f"{name}={text}" for name, text in zip(names, coded, strict=True))
    return TrackSdp(
        media="video",
        payload_type=payload_type,
        rtpmap=f"{codec.upper()}/90000",
        fmtp=fmtp,
        control="track1",
        framerate=f"{fps:g}",
    )


def audio_sdp(codec: str, rate: int, config: bytes) -> TrackSdp:
    """SDP of AAC (RFC 3640, 4.1), G.711 mu-law (RFC 3551, static payload type 0) or Opus (RFC 7587, 7)."""
    if codec == "pcmu":
        return TrackSdp(media="audio", payload_type=0, rtpmap="PCMU/8000", control="track2")
    if codec == "opus":
        return TrackSdp(
            media="audio", payload_type=98, rtpmap="opus/48000/2", fmtp="sprop-stereo=0;stereo=0", control="track2"
        )
    lengths = "sizelength=13;indexlength=3;indexdeltalength=3"
    fmtp = f"streamtype=5;profile-level-id=1;mode=AAC-hbr;{lengths};config={config.hex()}"
    return TrackSdp(media="audio", payload_type=97, rtpmap=f"MPEG4-GENERIC/{rate}/1", fmtp=fmtp, control="track2")


def interleaved_channels(transport: str, otherwise: int) -> int | None:
    """First channel of a Transport header that offers TCP; None where it offers none. May list several, by comma."""
    for offer in transport.split(","):
        if "/TCP" in offer.upper():
            found = re.search(r"interleaved=(\d{1,3})(?!\d)", offer)
            channel = int(found[1]) if found else otherwise
            return channel if channel < 255 else None
    return None
