# SPDX-License-Identifier: Apache-2.0
"""Cheap cameras for tests in a browser: real RTSP on loopback, a plain picture with the pretend site's strip burnt in.

A small server of its own (RFC 2326, 6184, 7798, 3640), so that what tests see is not made by the code under test.
"""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Self

import av
import numpy as np

from closedcircuit.pretend import draw_bar

AUDIO_RATE = 48_000
TONE_HZ = 440
SINGLE_MAX = 60_000  # over TCP a packet may be this large: no fragmentation is needed for pictures this small


@dataclass
class Stream:
    """One RTSP path: a coded picture, perhaps sound, and who watches."""

    path: str
    codec: str
    size: tuple[int, int]
    fps: int = 25
    audio: bool = False
    is_open: threading.Event = field(default_factory=threading.Event)
    sdp: str = ""
    clients: set[socket.socket] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.is_open.set()


class Coder(threading.Thread):
    """Draws, codes and sends one stream, all the time."""

    def __init__(self, stream: Stream, stopping: threading.Event) -> None:
        super().__init__(daemon=True, name=f"testcam {stream.path}")
        self.stream, self._stopping = stream, stopping
        self._sequence = {0: 0, 2: 0}
        width, height = stream.size
        self._video = av.CodecContext.create("libx264" if stream.codec == "h264" else "libx265", "w")
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.time_base, self._video.framerate = Fraction(1, stream.fps), Fraction(stream.fps)
        gop = f"keyint={2 * stream.fps}:min-keyint={2 * stream.fps}:scenecut=0:bframes=0:rc-lookahead=0"
        threads = "threads=1" if stream.codec == "h264" else "pools=none:frame-threads=1:log-level=none:open-gop=0"
        name = "x264-params" if stream.codec == "h264" else "x265-params"
        self._video.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26", name: f"{gop}:{threads}"}
        self._sound = None
        if stream.audio:
            self._sound = av.CodecContext.create("aac", "w")
            self._sound.sample_rate, self._sound.layout, self._sound.format = AUDIO_RATE, "mono", "fltp"
            self._sound.time_base = Fraction(1, AUDIO_RATE)
            self._sound.open()
        self._ground = (
            np.add.outer(np.arange(height) * 60 // height, np.arange(width) * 80 // width).astype(np.uint8) + 60
        )
        self._heard = 0
        self._encode(0)  # parameter sets come with the first picture
        stream.sdp = self._describe()

    def run(self) -> None:
        began = time.monotonic()
        frame = 1
        while not self._stopping.wait(max(0.0, began + frame / self.stream.fps - time.monotonic())):
            for nal in self._encode(frame):
                if len(nal) > 1 and nal[0] & 31 != 9:
                    self._send(0, 96, frame * 90_000 // self.stream.fps, nal, last=nal is self._last)
            if self._sound is not None:
                self._speak(int((time.monotonic() - began) * AUDIO_RATE))
            frame = max(frame + 1, int((time.monotonic() - began) * self.stream.fps))

    def _encode(self, frame: int) -> list[bytes]:
        width, height = self.stream.size
        y = self._ground.copy()
        left = frame * 3 % (width - 64)
        y[20:60, left : left + 64] = 220
        draw_bar(y, frame, time.time_ns() // 1_000_000)
        plane = np.concatenate([y, np.full((height // 2, width), 128, np.uint8)])
        picture = av.VideoFrame.from_ndarray(plane, "yuv420p")
        picture.pts = frame
        data = b"".join(bytes(packet) for packet in self._video.encode(picture))
        nals = [nal.rstrip(b"\0") for nal in data.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal]
        self._last = nals[-1]
        self._first = getattr(self, "_first", nals)
        return nals

    def _speak(self, due: int) -> None:
        assert self._sound is not None
        while self._heard + 1024 <= due:
            at = np.arange(self._heard, self._heard + 1024)
            tone = (np.sin(at * (2 * np.pi * TONE_HZ / AUDIO_RATE)) * 0.2).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(tone[None], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self._heard, Fraction(1, AUDIO_RATE)
            for packet in self._sound.encode(frame):
                data = bytes(packet)
                self._send(2, 97, self._heard, struct.pack(">HH", 16, len(data) << 3) + data, last=True)
            self._heard += 1024

    def _send(self, channel: int, kind: int, at: int, payload: bytes, *, last: bool) -> None:
        assert len(payload) < SINGLE_MAX
        sequence = self._sequence[channel] = (self._sequence[channel] + 1) & 0xFFFF
        rtp = struct.pack(">BBHII", 0x80, kind | (128 if last else 0), sequence, at & 0xFFFFFFFF, 7 + channel) + payload
        packet = struct.pack(">cBH", b"$", channel, len(rtp)) + rtp
        for client in list(self.stream.clients):
            try:
                client.sendall(packet)
            except OSError:
                self.stream.clients.discard(client)

    def _describe(self) -> str:
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=test", "t=0 0", "m=video 0 RTP/AVP 96", "a=control:video"]
        if self.stream.codec == "h264":
            sets = ",".join(base64.b64encode(nal).decode() for nal in self._first if nal[0] & 31 in {7, 8})
            lines += ["a=rtpmap:96 H264/90000", f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}"]
        else:
            names = {32: "vps", 33: "sps", 34: "pps"}
            sets = [(names.get(nal[0] >> 1 & 63), base64.b64encode(nal).decode()) for nal in self._first]
            said = ";".join(f"sprop-{name}={text}" for name, text in sets if name)
            lines += ["a=rtpmap:96 H265/90000", f"a=fmtp:96 {said}"]
        if self._sound is not None:
            config = bytes(self._sound.extradata).hex()
            aac = f"streamtype=5;mode=AAC-hbr;config={config};sizelength=13;indexlength=3;indexdeltalength=3"
            lines += [
                "m=audio 0 RTP/AVP 97",
                "a=control:audio",
                f"a=rtpmap:97 MPEG4-GENERIC/{AUDIO_RATE}/1",
                f"a=fmtp:97 {aac}",
            ]
        return "\r\n".join(lines) + "\r\n"


class TestCameras:
    """`plain`: H.264 640x360 with AAC, and a small substream. `modern`: H.265 with an H.264 substream. `alone`: H.265
    and nothing else. `flaky`: H.264 that goes away while `gone()` lasts.
    """

    __test__ = False

    def __init__(self) -> None:
        self._stopping = threading.Event()
        streams = [
            Stream("plain/main", "h264", (640, 360), audio=True),
            Stream("plain/sub", "h264", (320, 180)),
            Stream("modern/main", "h265", (320, 180), fps=10),
            Stream("modern/sub", "h264", (256, 144)),
            Stream("alone/main", "h265", (256, 144), fps=10),
            Stream("flaky/main", "h264", (320, 180)),
        ]
        self._streams = {stream.path: stream for stream in streams}
        self._coders = [Coder(stream, self._stopping) for stream in streams]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.streams = {"plain": 2, "modern": 2, "alone": 1, "flaky": 1}

    def address(self, name: str, stream: str = "main") -> str:
        return f"rtsp://127.0.0.1:{self.port}/{name}/{stream}"

    @contextlib.contextmanager
    def gone(self, path: str = "flaky/main"):
        """Cut a stream's connections and take no new ones."""
        stream = self._streams[path]
        stream.is_open.clear()
        for client in list(stream.clients):
            stream.clients.discard(client)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            stream.is_open.set()

    def __enter__(self) -> Self:
        for thread in [*self._coders, threading.Thread(target=self._accept, daemon=True)]:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.close()
        for coder in self._coders:
            coder.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Answer one connection's requests until it goes."""
        stream: Stream | None = None
        reading = client.makefile("rb")
        try:
            while first := reading.read(1):
                if first == b"$":  # the client's RTCP
                    reading.read(int.from_bytes(reading.read(3)[1:], "big"))
                    continue
                method, url, *_ = (first + reading.readline()).decode("latin-1").split() or ["", ""]
                headers = {}
                while header := reading.readline().decode("latin-1").strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                if not method:
                    continue
                stream = next((one for path, one in self._streams.items() if f"/{path}" in url), stream)
                if stream is None or not stream.is_open.is_set():
                    return
                self._answer(client, stream, method, url, headers)
        except (OSError, ValueError):
            pass
        finally:
            if stream is not None:
                stream.clients.discard(client)
            reading.close()
            client.close()

    def _answer(self, client: socket.socket, stream: Stream, method: str, url: str, headers: dict[str, str]) -> None:
        extra, body = "", ""
        if method == "OPTIONS":
            extra = "Public: DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n"
        elif method == "DESCRIBE":
            body = stream.sdp
            extra = f"Content-Base: {url.rstrip('/')}/\r\nContent-Type: application/sdp\r\n"
        elif method == "SETUP":
            extra = f"Transport: {headers['transport']}\r\n"
        head = f"RTSP/1.0 200 OK\r\nCSeq: {headers.get('cseq', '0')}\r\nSession: 1\r\n"
        said = f"{head}{extra}Content-Length: {len(body)}\r\n\r\n{body}"
        client.sendall(said.encode())
        if method == "PLAY":
            stream.clients.add(client)
