# SPDX-License-Identifier: Apache-2.0
"""Servers that we did not write: GStreamer, VLC, aio-rtsp-toolkit. What they were fed is what arrives, by SHA-256."""

import hashlib
import importlib.util
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import pytest
import trustme

from closedcircuit.base import Secret, SystemClock, SystemIds
from closedcircuit.cameras import probe
from closedcircuit.cameras.fakes import payload_of
from closedcircuit.media import codecs
from closedcircuit.model import Camera, Cause, Source

pytestmark = [pytest.mark.judge, pytest.mark.slow]

SERVER = Path(__file__).with_name("gstreamer_server.py")
SYSTEM_PYTHON = "/usr/bin/python3"


def has_gstreamer() -> bool:
    check = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", check], capture_output=True, check=False).returncode == 0


needs_gstreamer = pytest.mark.skipif(
    not has_gstreamer(), reason="GStreamer's RTSP server is missing (Debian: gir1.2-gst-rtsp-server-1.0, python3-gi)"
)
needs_vlc = pytest.mark.skipif(shutil.which("cvlc") is None, reason="VLC is missing (Debian: vlc-bin)")


@pytest.fixture
def gstreamer(process):
    def start(clip: Path, codec: str, *options: str) -> str:
        server = process([SYSTEM_PYTHON, str(SERVER), str(clip), codec, *options])
        ready, _, _ = select.select([server.stdout], [], [], 20)
        assert ready, "GStreamer did not start"
        port = server.stdout.readline().strip()
        assert port.isdigit(), port + server.stdout.read(2000)
        scheme = "rtsps" if "--tls" in options else "rtsp"
        return f"{scheme}://127.0.0.1:{port}/cam"

    return start


def is_picture(nal: bytes, codec: str) -> bool:
    """A slice: servers may add and remove parameter sets, delimiters and SEI, slices they must not touch."""
    return (nal[0] & 31) in (1, 5) if codec == "h264" else (nal[0] >> 1 & 63) < 32


def digests_fed(path: Path, codec: str) -> list[str]:
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(container.streams.video[0])]
    nals = [nal for data in packets for nal in codecs.split_lengths(data)]
    return [hashlib.sha256(nal).hexdigest() for nal in nals if is_picture(nal, codec)]


def digests_received(sink, codec: str) -> list[str]:
    nals = [nal for sample in sink.video for nal in codecs.split_lengths(payload_of(sample))]
    return [hashlib.sha256(nal).hexdigest() for nal in nals if is_picture(nal, codec)]


@needs_gstreamer
@pytest.mark.parametrize(
    ("clip", "codec", "options"),
    [
        ("h264", "h264", ()),
        ("h264", "h264", ("--mtu", "200")),
        ("h264-b", "h264", ()),
        ("h265", "h265", ()),
        ("h264-aac", "h264", ("--audio", "aac")),
        ("h264", "h264", ("--audio", "pcma")),
        ("h264", "h264", ("--audio", "opus")),
    ],
)
def test_gstreamer(watch, gstreamer, clips, clip, codec, options):
    address = gstreamer(clips[clip], codec, *options)
    sink = watch.add(address)
    assert watch.until(lambda: sink.ends or len(sink.video) >= 149, 25), sink.ends
    fed, got = digests_fed(clips[clip], codec), digests_received(sink, codec)
    # A server may begin at its second key frame, and ends when the file does: what came is one run of what was fed.
    assert len(got) >= 100
    assert got == fed[fed.index(got[0]) :][: len(got)]
    assert sink.losses == []
    # In decoding order the last pictures may still be under way: one that is shown before others may not be here yet.
    steps = sorted(sample.pts for sample in sink.video)[:-4]
    assert all(abs(after - before - 3600) <= 2 for before, after in pairwise(steps))
    tracks = sink.runs[0][0]
    assert (tracks[0].codec, tracks[0].width, tracks[0].height) == (codec, 320, 240)
    if options[:1] == ("--audio",):
        assert tracks[1].codec == options[1]
        seconds = (sink.audio[-1].pts - sink.audio[0].pts) / tracks[1].timescale
        assert 3 < seconds < 8
        assert abs(sink.audio[0].pts) / tracks[1].timescale < 1.0
    if options == ("--audio", "aac"):
        with av.open(str(clips[clip])) as container:
            fed_sound = [bytes(packet) for packet in container.demux(container.streams.audio[0])]
        heard = [payload_of(sample) for sample in sink.audio]
        at = fed_sound.index(heard[0])
        assert heard == fed_sound[at : at + len(heard)]
    assert sink.reports  # GStreamer sends RTCP


@needs_gstreamer
@pytest.mark.parametrize("basic", [(), ("--basic",)])
def test_gstreamers_sign_in(watch, gstreamer, clips, basic):
    address = gstreamer(clips["h264"], "h264", "--user", "viewer:sécret", *basic)
    wrong = watch.add(address, "viewer", "wrong", name="b")
    none = watch.add(address, name="c")
    right = watch.add(address, "viewer", "sécret")
    assert watch.until(lambda: right.video and wrong.ends and none.ends)
    assert wrong.ends[0][1] is Cause.REFUSED
    assert "password" in wrong.ends[0][2]
    assert "asks for a name" in none.ends[0][2]


@needs_gstreamer
def test_gstreamers_tls(watch, gstreamer, clips, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    files = [str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")]
    address = gstreamer(clips["h264"], "h264", "--user", "u:p", "--tls", *files)
    result = probe(Camera(id="x", name="X", main=Source(address=address)), Secret(""), SystemClock(), SystemIds())
    assert not result["ok"]
    pin = re.search(r"[0-9a-f]{64}", result["error"]["message"])
    assert pin is not None
    by_pin = watch.add(address, "u", "p", pin_sha256=pin[0])
    by_ca = watch.add(address, "u", "p", name="b", ca_file=str(tmp_path / "ca.pem"))
    assert watch.until(lambda: by_pin.video and by_ca.video)


@needs_gstreamer
def test_gstreamers_missing_path(clips, gstreamer):
    address = gstreamer(clips["h264"], "h264").replace("/cam", "/other")
    result = probe(Camera(id="x", name="X", main=Source(address=address)), Secret(""), SystemClock(), SystemIds())
    assert result["error"]["code"] == "camera.refused"
    assert "/other" in result["error"]["message"]


needs_toolkit = pytest.mark.skipif(
    importlib.util.find_spec("aio_rtsp_toolkit") is None, reason="aio-rtsp-toolkit is missing (PyPI, group judge)"
)


@pytest.fixture
def toolkit(process, clips):
    """The file server of aio-rtsp-toolkit, from PyPI."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    serve = "import sys, server_demo; server_demo.main()"
    where = ["-d", str(clips["h264"].parent), "-H", "127.0.0.1", "-p", str(ports[0]), "-cp", str(ports[1])]
    server = process([sys.executable, "-c", serve, *where])
    # What it prints is read away, or the pipe would fill and stop it.
    threading.Thread(target=lambda: [None for _ in server.stdout], daemon=True).start()
    wait_for(ports[0])
    return f"rtsp://127.0.0.1:{ports[0]}"


@needs_toolkit
@pytest.mark.parametrize(("clip", "codec"), [("h264-aac", "h264"), ("h265", "h265")])
def test_aio_rtsp_toolkit(watch, toolkit, clips, clip, codec):
    sink = watch.add(f"{toolkit}/{clip}.mp4")
    assert watch.until(lambda: sink.ends or len(sink.video) >= 100, 25), sink.ends
    fed, got = digests_fed(clips[clip], codec), digests_received(sink, codec)
    at = fed.index(got[0])
    assert got[:100] == (fed + fed)[at : at + 100]
    assert sink.losses == []
    assert sink.runs[0][0][0].codec == codec


def wait_for(port: int) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


@pytest.fixture
def vlc(process, clips, tmp_path):
    """VLC refuses to run as root, so there it runs as nobody, from a place that nobody can read."""
    clip = Path("/tmp") / f"closedcircuit-vlc-{os.getpid()}.mp4"
    shutil.copy(clips["h264-aac"], clip)
    clip.chmod(0o644)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["cvlc", "-I", "dummy", "--no-dbus", "--vout", "none", "--aout", "none", "--loop", str(clip)]
    command += ["--sout", f"#rtp{{sdp=rtsp://127.0.0.1:{port}/cam}}", "--sout-keep"]
    if os.getuid() == 0:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    process(command, env={**os.environ, "HOME": "/tmp"})
    wait_for(port)
    yield f"rtsp://127.0.0.1:{port}/cam"
    clip.unlink()


@needs_vlc
def test_vlc(watch, vlc, clips):
    """VLC sends over UDP only: our own receiver says so, and FFmpeg takes it."""
    refused = watch.add(vlc, name="b")
    assert watch.until(lambda: refused.ends)
    assert "does not send over TCP" in refused.ends[0][2]
    assert refused.ends[0][1] is Cause.REFUSED
    watch.receiver.remove(("b", "main"))
    sink = watch.add(vlc.replace("rtsp://", "rtsp+udp://"))
    assert watch.until(lambda: len(sink.video) >= 60 and len(sink.audio) >= 20, 30), sink.ends
    fed = set(digests_fed(clips["h264-aac"], "h264"))
    got = digests_received(sink, "h264")
    assert len(fed & set(got)) >= 55
    assert set(got) <= fed
    assert sink.runs[0][0][1].codec == "aac"


def test_the_servers_script_is_alone():
    """It must run without Closed Circuit, or it would not be a foreign server."""
    assert "closedcircuit" not in SERVER.read_text().replace("Closed Circuit", "")
    assert importlib.util.find_spec("closedcircuit") is not None
