# SPDX-License-Identifier: Apache-2.0
"""docs/design/footage.md, "Opening", step by step, with none of our code: what a stranger does with our files."""

from __future__ import annotations

import hashlib
import subprocess

import av
import pytest

from closedcircuit.base import SystemClock, SystemIds
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.vault import Identity, KeyRing
from material.clips import clip
from material.judges import age_js, ffmpeg, openssl

pytestmark = pytest.mark.judge

OPEN = """
const decrypter = new age.Decrypter();
decrypter.addIdentity(fs.readFileSync(args[0], "utf8").trim());
process.stdout.write(await decrypter.decrypt(fs.readFileSync(args[1])));
"""


@pytest.mark.parametrize(("video", "audio"), [("h264", "aac"), ("h265", "flac")])
def test_age_openssl_and_ffmpeg_open_it(tmp_path, video, audio):
    ids = SystemIds()
    owner, recovery = Identity.generate(ids), Identity.generate(ids)
    ring = KeyRing(tmp_path / "keys", SystemClock(), ids)
    ring.set_recipients([owner.recipient, recovery.recipient])
    hour = ring.hour_key("door")
    key = hour.segment_key(hour.new_kid(ids))
    material = clip(video, audio)
    writer = FragmentWriter(material.tracks, tuple(key.cipher() for _ in material.tracks))
    sealed = tmp_path / f"20261121T120000.000Z_{key.kid.hex()}.mp4"
    with sealed.open("wb") as file:
        file.write(init_segment(material.tracks, key.kid, b'{"v":1}'))
        group = []
        for sample in material.samples:
            if sample.track == 1 and sample.key and any(s.track == 1 for s in group):
                file.writelines(writer.write(group, 0)[0])
                group = []
            group.append(sample)
        file.writelines(writer.write(group, 0)[0])
    (tmp_path / "identity.txt").write_text(recovery.text + "\n")
    ring.forget_all()

    # 1. The kid is in the file's name; its first 16 digits name the key file.
    kid = sealed.stem.partition("_")[2]
    key_file = tmp_path / "keys" / "door" / f"{kid[:16]}.age"
    hour_key = age_js(OPEN, str(tmp_path / "identity.txt"), str(key_file)).decode()
    assert hour_key.endswith("\n")
    # 2. The segment key.
    options = ["digest:SHA256", f"hexkey:{hour_key.strip()}", f"info:closedcircuit segment v1 {kid}"]
    derived = subprocess.run(
        [openssl(), "kdf", "-keylen", "16", *(word for option in options for word in ("-kdfopt", option)), "HKDF"],
        capture_output=True,
        text=True,
        check=True,
    )
    segment_key = derived.stdout.strip().replace(":", "").lower()
    # 3. An ordinary MP4.
    subprocess.run(
        [ffmpeg(), "-v", "error", "-decryption_key", segment_key, "-i", sealed, "-map", "0", "-c", "copy", "out.mp4"],
        cwd=tmp_path,
        check=True,
    )
    found = {}
    with av.open(str(tmp_path / "out.mp4")) as container:
        for packet in container.demux():
            if packet.size:
                found.setdefault(packet.stream.type, []).append(hashlib.sha256(bytes(packet)).digest())
    for kind, samples in (("video", material.video), ("audio", material.audio)):
        assert found[kind] == [hashlib.sha256(b"".join(sample.parts)).digest() for sample in samples]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(material.video)
