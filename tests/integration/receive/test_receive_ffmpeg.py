# SPDX-License-Identifier: Apache-2.0
"""What is not RTSP over TCP: files, streams over HTTP and UDP, pictures that have to be coded anew."""

import functools
import http.server
import socket
import threading
import time
from itertools import pairwise

import av
import pytest

from closedcircuit.base import Secret, SystemClock, SystemIds
from closedcircuit.cameras import probe
from closedcircuit.cameras.fakes import intervals, payload_of
from closedcircuit.media import codecs
from closedcircuit.model import Camera, Cause, Source


def nals_of(path, codec="h264") -> list[bytes]:
    """NAL units of the pictures of a clip, in decoding order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = []
        for packet in container.demux(stream):
            data = bytes(packet)
            split = codecs.split_annexb(data) if data[:4] == b"\0\0\0\1" else list(codecs.split_lengths(data))
            found += split
        return found


def test_a_file_played_as_a_camera_goes_round(watch, clips):
    sink = watch.add(str(clips["h264"]))
    began = time.monotonic()
    assert watch.until(lambda: len(sink.video) >= 160, 15)
    assert 5 < time.monotonic() - began < 10  # in its own time
    assert sink.ends == []
    assert len(sink.runs) == 1
    assert intervals(sink.video) == {3600}
    fed = nals_of(clips["h264"])
    got = [nal for sample in sink.video[:150] for nal in codecs.split_lengths(payload_of(sample))]
    assert got == fed
    assert payload_of(sink.video[150]) == payload_of(sink.video[0])
    track = sink.runs[0][0][0]
    assert (track.codec, track.width, track.height) == ("h264", 320, 240)
    assert watch.health()["state"] == "live"


def test_b_frames_come_in_decoding_order(watch, clips):
    sink = watch.add(str(clips["h264-b"]))
    assert watch.until(lambda: len(sink.video) >= 60)
    times = [sample.pts for sample in sink.video]
    assert times != sorted(times)
    assert {b - a for a, b in pairwise(sorted(times)[:50])} == {3600}


@pytest.mark.parametrize(
    ("clip", "codec", "rate"), [("h264-aac", "aac", 16_000), ("ts-aac", "aac", 16_000), ("mkv-opus", "opus", 48_000)]
)
def test_sound(watch, clips, clip, codec, rate):
    sink = watch.add(str(clips[clip]))
    assert watch.until(lambda: len(sink.video) >= 50 and len(sink.audio) > 20)
    track = sink.runs[0][0][1]
    assert (track.codec, track.timescale, track.channels) == (codec, rate, 1)
    assert abs(sink.audio[-1].pts / rate - sink.video[-1].pts / 90_000) < 1.0
    decoder = av.CodecContext.create("aac" if codec == "aac" else "libopus", "r")
    if codec == "aac":
        decoder.extradata = track.config
        decoder.sample_rate = rate
    frames = [frame for sample in sink.audio[:20] for frame in decoder.decode(av.Packet(payload_of(sample)))]
    assert len(frames) >= 18
    silent = watch.add(str(clips[clip]), name="b", audio=False)
    assert watch.until(lambda: silent.runs)
    assert len(silent.runs[0][0]) == 1


def test_other_pictures_are_coded_anew(watch, clips):
    sink = watch.add(str(clips["mjpeg"]))
    assert watch.until(lambda: len(sink.video) >= 60)
    assert watch.until(lambda: "mjpeg" in watch.health()["why"], 5)
    assert sink.runs[0][0][0].codec == "h264"
    assert sum(sample.key for sample in sink.video[:60]) >= 2
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = sink.runs[0][0][0].config
    frames = [frame for sample in sink.video[:60] for frame in decoder.decode(av.Packet(payload_of(sample)))]
    assert len(frames) > 50


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def web(clips):
    handler = functools.partial(Quiet, directory=str(clips["h264"].parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_http_and_its_errors(watch, web):
    sink, missing = watch.add(f"{web}/both.ts"), watch.add(f"{web}/none.ts", name="b")
    assert watch.until(lambda: sink.ends and missing.ends)
    assert len(sink.video) == 150
    assert "ended" in sink.ends[0][2]
    assert sink.ends[0][1] is Cause.UNREACHABLE
    assert missing.ends[0][1] is Cause.REFUSED


def test_udp(watch, clips, process):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sink = watch.add(f"udp://127.0.0.1:{port}")
    watch.until(lambda: False, 0.5)
    # -re sends in real time; a bitstream filter repeats the parameter sets, as broadcasters do
    command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "3", "-i", str(clips["h264-aac"]), "-c", "copy"]
    process([*command, "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"])
    assert watch.until(lambda: len(sink.video) >= 50)
    assert sink.runs[0][0][1].codec == "aac"


def test_a_name_that_is_no_source(watch):
    odd = {
        "nothing://x": Cause.REFUSED,
        "/no/such/file.mp4": Cause.REFUSED,
        "http://127.0.0.1:1/x": Cause.UNREACHABLE,
        __file__: Cause.BROKEN,
    }
    sinks = {address: watch.add(address, name=f"c{number}") for number, address in enumerate(odd)}
    assert watch.until(lambda: all(sink.ends for sink in sinks.values()))
    assert {address: sink.ends[0][1] for address, sink in sinks.items()} == odd


def test_the_test_of_a_file(clips):
    camera = Camera(id="x", name="X", main=Source(address=str(clips["h265"])))
    result = probe(camera, Secret(""), SystemClock(), SystemIds())
    assert result["ok"]
    assert result["tracks"][0]["codec"] == "h265"
    assert 20 < result["fps"] < 30


def test_threads_end_when_the_stream_is_removed(watch, clips):
    sink = watch.add(str(clips["h264"]))
    assert watch.until(lambda: sink.video)
    watch.receiver.remove(("cam", "main"))
    count = len(sink.samples)
    end = time.monotonic() + 12
    while any(thread.name == "ffmpeg-source" for thread in threading.enumerate()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not [thread for thread in threading.enumerate() if thread.name == "ffmpeg-source"]
    assert len(sink.samples) == count
    assert sink.ends[-1][1] is Cause.PAUSED


def test_hls(watch, clips, tmp_path):
    with (
        av.open(str(clips["h264-aac"])) as source,
        av.open(str(tmp_path / "live.m3u8"), "w", options={"hls_time": "2"}) as target,
    ):
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sink = watch.add(f"http://127.0.0.1:{server.server_address[1]}/live.m3u8")
        assert watch.until(lambda: len(sink.video) >= 100 and sink.audio)
        assert intervals(sink.video[:100]) == {3600}
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("muxer", "serve", "address"),
    [
        ("flv", "rtmp://127.0.0.1:{port}/live/cam", "rtmp://127.0.0.1:{port}/live/cam"),
        ("mpegts", "srt://127.0.0.1:{port}?mode=listener", "srt://127.0.0.1:{port}"),
        ("mpegts", "tcp://127.0.0.1:{port}?listen=1", "tcp://127.0.0.1:{port}"),
    ],
)
def test_other_protocols(watch, clips, process, muxer, serve, address):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-re",
        "-stream_loop",
        "9",
        "-i",
        str(clips["h264-aac"]),
        "-c",
        "copy",
        "-f",
        muxer,
    ]
    command += ["-listen", "1"] if muxer == "flv" else []
    process([*command, serve.format(port=port)])
    sink = watch.add(address.format(port=port))  # it may listen a moment later: attempts never end
    assert watch.until(lambda: len(sink.video) >= 50 and sink.audio, 30), sink.ends
    assert sink.runs[-1][0][1].codec == "aac"
