# SPDX-License-Identifier: Apache-2.0
"""Clients that we did not write play the pretend cameras."""

from __future__ import annotations

import shutil
import subprocess
import threading
from itertools import pairwise
from pathlib import Path

import av
import pytest

from closedcircuit.base import Clock, ManualClock, SystemClock, SystemIds
from closedcircuit.media.encode import VideoCoding, make_clip
from closedcircuit.model import Camera
from closedcircuit.net import Connection, dial
from closedcircuit.pretend import SHOP, PretendServer, pretend_cameras, pretend_passwords, read_bar
from closedcircuit.pretend.fakes import small_camera
from closedcircuit.pretend.load import LoadServer, load_clip, main, save_clip
from closedcircuit.pretend.outages import OutageHabit
from closedcircuit.pretend.rtsp import Login
from closedcircuit.pretend.studio import AudioCoding

QUICK = {"rtsp_transport": "tcp", "analyzeduration": "300000", "probesize": "200000"}
LOGIN = Login("digest", "admin", "se/cret")


def address(camera: Camera, login: Login | None = None, stream: str = "main") -> str:
    source = camera.main if stream == "main" or camera.sub is None else camera.sub
    if login is None:
        return source.address
    return source.address.replace("rtsp://", f"rtsp://{login.username}:{login.password.replace('/', '%2F')}@")


CASES = [
    ("h264", AudioCoding("aac", 16_000), "aac", None),
    ("h265", AudioCoding("pcmu", 8_000), "pcm_mulaw", LOGIN),
    ("h264", AudioCoding("opus", 48_000), "opus", Login("basic", "admin", "se/cret")),
    ("h264", None, None, None),
]


@pytest.mark.parametrize(("codec", "audio", "heard", "login"), CASES)
def test_pyav_sees_every_frame_and_hears(codec: str, audio: AudioCoding | None, heard: str | None, login: Login | None):
    camera = small_camera("yard", codec=codec, audio=audio, login=login)
    with PretendServer(SystemClock(), SystemIds(), cameras=(camera,)) as server:
        read: list[tuple[int, int]] = []
        sounds = 0
        with av.open(address(server.cameras()[0], login), options=QUICK, timeout=15) as stream:
            assert stream.streams.video[0].codec_context.name == {"h264": "h264", "h265": "hevc"}[codec]
            assert [s.codec_context.name for s in stream.streams.audio] == ([heard] if heard else [])
            for frame in stream.decode():
                if isinstance(frame, av.VideoFrame):
                    told = read_bar(frame.to_ndarray(format="rgb24"))
                    assert told is not None
                    read.append(told)
                else:
                    sounds += frame.samples
                if len(read) >= 30:
                    break
    numbers = [frame for frame, _ in read]
    assert numbers == sorted(set(numbers))
    millis = [at for _, at in read]
    assert millis == sorted(millis)
    # The strip says when a frame was drawn: 80 ms a number, give or take a busy machine.
    assert abs((millis[-1] - millis[0]) - 80 * (numbers[-1] - numbers[0])) < 1000
    assert (sounds > 0) == (audio is not None)


def test_main_and_sub_show_the_same_frames():
    camera = small_camera("yard", sub=True)
    with PretendServer(SystemClock(), SystemIds(), cameras=(camera,)) as server:
        seen: dict[str, dict[int, int]] = {"main": {}, "sub": {}}

        def watch(name: str) -> None:
            with av.open(address(server.cameras()[0], stream=name), options=QUICK, timeout=15) as stream:
                for frame in stream.decode(video=0):
                    told = read_bar(frame.to_ndarray(format="rgb24"))
                    if told:
                        seen[name][told[0]] = told[1]
                    if len(seen[name]) >= 40:
                        break

        threads = [threading.Thread(target=watch, args=(name,)) for name in seen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    both = seen["main"].keys() & seen["sub"].keys()
    assert both
    assert all(seen["main"][number] == seen["sub"][number] for number in both)


def test_a_wrong_password_is_refused():
    camera = small_camera("yard", login=LOGIN)
    with PretendServer(SystemClock(), SystemIds(), cameras=(camera,)) as server:
        wrong = address(server.cameras()[0], Login("digest", "admin", "guess"))
        with pytest.raises(av.error.HTTPUnauthorizedError):
            av.open(wrong, options=QUICK, timeout=15)


def test_an_unknown_path_is_not_found():
    with (
        PretendServer(SystemClock(), SystemIds(), cameras=(small_camera("yard"),)) as server,
        pytest.raises(av.error.HTTPNotFoundError),
    ):
        av.open(f"rtsp://127.0.0.1:{server.port}/garden/main", options=QUICK, timeout=15)


class Caller:
    """A client that says what a test tells it to."""

    def __init__(self, port: int, clock: Clock) -> None:
        self.real = SystemClock()
        self.conn: Connection = dial("127.0.0.1", port, clock=self.real, timeout_s=5.0)
        self.until(self.conn.progress)
        self.heard = bytearray()
        self.closed = False

    def until(self, done) -> None:
        deadline = self.real.monotonic_s() + 10
        while not done():
            assert self.real.monotonic_s() < deadline, "nothing happened"
            self.real.sleep(0.005)

    def listen(self) -> None:
        buffer = bytearray(65536)
        while (count := self.conn.recv_into(buffer)) is not None:
            if count == 0:
                self.closed = True
                return
            self.heard += buffer[:count]

    def ask(self, method: str, url: str, more: str = "") -> str:
        before = len(self.heard)
        self.conn.send(f"{method} {url} RTSP/1.0\r\nCSeq: 9\r\n{more}\r\n".encode())

        def answered() -> bool:
            self.listen()
            return self.closed or b"\r\n\r\n" in self.heard[before:]

        self.until(answered)
        return bytes(self.heard[before:]).decode("latin-1")

    def play(self, url: str) -> None:
        assert "200 OK" in self.ask("SETUP", f"{url}/track1", "Transport: RTP/AVP/TCP;interleaved=0-1\r\n")
        assert "200 OK" in self.ask("PLAY", url)


def test_a_camera_drops_out_and_comes_back_by_the_clock(clock: ManualClock):
    habit = OutageHabit(every_s=(100.0, 100.0), length_s=(10.0, 10.0), stalls=0.0)
    camera = small_camera("gate", outages=habit)
    with PretendServer(clock, SystemIds(), cameras=(camera,)) as server:
        url = server.cameras()[0].main.address
        first = Caller(server.port, clock)
        first.play(url)
        clock.advance(30.0)
        assert "200 OK" in first.ask("OPTIONS", url)
        clock.advance(30.0)
        assert "200 OK" in first.ask("OPTIONS", url)
        clock.advance(45.0)  # 105 s: gone until 110 s
        first.until(lambda: first.listen() or first.closed)
        refused = Caller(server.port, clock)
        assert refused.ask("OPTIONS", url) == ""
        assert refused.closed
        clock.advance(6.0)
        again = Caller(server.port, clock)
        again.play(url)
        for caller in (first, refused, again):
            caller.conn.close()


def test_who_says_nothing_is_let_go(clock: ManualClock):
    with PretendServer(clock, SystemIds(), cameras=(small_camera("yard"),)) as server:
        url = server.cameras()[0].main.address
        silent = Caller(server.port, clock)
        assert "timeout=60" in silent.ask("SETUP", f"{url}/track1", "Transport: RTP/AVP/TCP;interleaved=0-1\r\n")
        clock.advance(50.0)
        assert "200 OK" in silent.ask("GET_PARAMETER", url)
        clock.advance(50.0)
        assert "200 OK" in silent.ask("OPTIONS", url)
        clock.advance(80.0)
        silent.until(lambda: silent.listen() or silent.closed)
        silent.conn.close()


def test_the_protocol_is_kept(clock: ManualClock):
    with PretendServer(clock, SystemIds(), cameras=(small_camera("yard"),)) as server:
        url = server.cameras()[0].main.address
        caller = Caller(server.port, clock)
        assert "DESCRIBE" in caller.ask("OPTIONS", url)
        assert "455" in caller.ask("PLAY", url).splitlines()[0]
        assert "461" in caller.ask("SETUP", f"{url}/track1", "Transport: RTP/AVP;unicast;client_port=1-2\r\n")
        assert "404" in caller.ask("SETUP", f"{url}/track7", "Transport: RTP/AVP/TCP\r\n")
        assert "454" in caller.ask("GET_PARAMETER", url, "Session: other\r\n")
        told = caller.ask("SETUP", f"{url}/track1", "Transport: RTP/AVP/TCP;interleaved=6-7\r\n")
        assert "interleaved=6-7" in told
        assert "200 OK" in caller.ask("TEARDOWN", url)
        assert "455" in caller.ask("PLAY", url).splitlines()[0]
        caller.conn.close()


def test_the_shop_tells_where_its_cameras_are():
    with PretendServer(SystemClock(), SystemIds()) as site:
        cameras = site.cameras()
        assert site.is_whole
    assert cameras == pretend_cameras(site.port)
    assert len(cameras) >= 4
    assert {camera.id for camera in cameras if camera.username} == set(pretend_passwords())
    assert {drawn.main.codec for drawn in SHOP} == {"h264", "h265"}
    assert any(drawn.outages for drawn in SHOP)
    assert all(camera.sub and camera.pretend for camera in cameras)
    assert not site.is_whole


@pytest.fixture(scope="module")
def clip():
    coding = VideoCoding(codec="h264", width=320, height=180, interval_90k=3600, gop=25, quality=24, kbps_max=500)
    return make_clip(coding, 2, audio=True)


@pytest.mark.parametrize("paced", [False, True])
def test_the_load_simulator_serves_all_its_cameras(clip, paced: bool):
    server = LoadServer(SystemClock(), SystemIds(), clip, 30, paced=paced)
    server.start()
    try:
        for number in (0, 7, 29):
            with av.open(f"rtsp://127.0.0.1:{server.port}/cam{number}", options=QUICK, timeout=15) as stream:
                assert len(stream.streams) == 2
                pts = []
                for packet in stream.demux(video=0):
                    pts.append(packet.pts)
                    if len(pts) > 60:  # longer than the clip: the loop is seamless
                        break
                steps = {b - a for a, b in pairwise(pts[2:]) if a is not None and b is not None}
                assert steps == {3600}
        assert server.dropped == 0
    finally:
        server.close()


def test_a_clip_is_kept_and_told_apart(clip, tmp_path: Path):
    kept = tmp_path / "clip"
    save_clip(kept, clip)
    assert load_clip(kept) == clip
    assert len(clip.pictures) == 50
    assert [number for number, (key, _) in enumerate(clip.pictures) if key] == [0, 25]


def test_the_load_command_explains_itself(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--dropouts" in capsys.readouterr().out


@pytest.mark.judge
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_ffmpeg_plays_without_a_complaint(codec: str):
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("no ffmpeg on PATH")
    camera = small_camera("yard", codec=codec, audio=AudioCoding("aac", 16_000), login=LOGIN)
    with PretendServer(SystemClock(), SystemIds(), cameras=(camera,)) as server:
        url = address(server.cameras()[0], LOGIN)
        command = [ffmpeg, "-v", "error", "-rtsp_transport", "tcp", "-i", url, "-t", "2", "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
