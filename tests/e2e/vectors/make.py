# SPDX-License-Identifier: Apache-2.0
"""Sealed footage for the tests of the browser's code, made at test time by the recorder's own writer.

    python tests/e2e/vectors/make.py FOLDER

writes `vectors.json` (what is in the folder, and the SHA-256 of every sample before sealing), the age key file, sealed
segments of several codings and live messages. Nothing in it is secret, and nothing of it is kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "material"))

from clips import Clip, clip

from closedcircuit.base import TICKS, Secret, SystemIds
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.model import Sample
from closedcircuit.vault import HourKey, Identity, seal_with_passphrase

START_90K = 1_790_000_000 * TICKS
CAMERA = "yard"
PASSPHRASE = "correct horse battery staple"

CLIPS: dict[str, dict[str, Any]] = {
    "h264-aac": {"video": "h264", "audio": "aac"},
    "h264-aac-small": {"video": "h264", "audio": "aac", "size": (256, 144)},
    "h264-b-flac": {"video": "h264", "audio": "flac", "b_frames": 2},
    "h264-slices": {"video": "h264", "audio": None, "slices": 4},
    "h265-opus": {"video": "h265", "audio": "opus"},
}


def main(folder: Path) -> None:
    """Write everything."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = SystemIds()
    identity, stranger = Identity.generate(ids), Identity.generate(ids)
    hour = HourKey(CAMERA, START_90K // (3600 * TICKS), ids)
    (folder / "hour.age").write_bytes(hour.wrapped([identity.recipient]))
    sealed = seal_with_passphrase(identity.text, Secret(PASSPHRASE), ids)
    segments = []
    start = START_90K
    for name, wanted in CLIPS.items():
        row = _segment(folder, name, clip(**wanted), hour, start)
        segments.append(row)
        start = row["end_90k"] + 10 * TICKS  # between them nothing is recorded
    live = _live(folder, clip(**CLIPS["h264-aac"]), hour, ids.random(8))
    facts = {
        "camera": CAMERA,
        "identity": identity.text,
        "recipient": identity.recipient.text,
        "stranger": stranger.text,
        "key_id": segments[0]["key_id"],
        "passphrase": {
            "text": PASSPHRASE,
            "salt": _b64(sealed.salt),
            "auth": _b64(sealed.auth),
            "blob": _b64(sealed.blob),
            "iterations": 600_000,
        },
        "segments": segments,
        "live": live,
    }
    (folder / "vectors.json").write_text(json.dumps(facts, indent=1))


def _segment(folder: Path, name: str, made: Clip, hour: HourKey, start: int) -> dict[str, Any]:
    """Write one sealed segment in fragments of a group of pictures; return its catalogue row, with hashes."""
    kid = hour.new_kid(SystemIds())
    key = hour.segment_key(kid)
    header = json.dumps({"v": 1, "camera": CAMERA, "stream": "main", "run": "00" * 8, "start_90k": start, "before": []})
    file = bytearray(init_segment(made.tracks, kid, header.encode()))
    init_bytes = len(file)
    writer = FragmentWriter(made.tracks, tuple(key.cipher() for _ in made.tracks))
    zero = min(sample.pts for sample in made.video)
    fragments: list[list[Any]] = []
    for group in _groups(made):
        first = min(sample.pts for sample in group if sample.track == 1) - zero
        buffers, info = writer.write(group, start + first)
        fragments.append([start + first, info.duration_90k, len(file), info.size, info.key, info.key_bytes])
        for buffer in buffers:
            file += buffer
    (folder / f"{name}.mp4").write_bytes(file)
    return {
        "name": name,
        "start_90k": start,
        "end_90k": fragments[-1][0] + fragments[-1][1],
        "kid": kid.hex(),
        "key_id": kid[:8].hex(),
        "run": "00" * 8,
        "size_bytes": len(file),
        "init_bytes": init_bytes,
        "sha256": hashlib.sha256(file).hexdigest(),
        "path": f"footage/{CAMERA}/main/{name}.mp4",
        "tracks": [_track(track) for track in made.tracks],
        "fragments": fragments,
        "video": [_hash(sample) for sample in made.video],
        "audio": [_hash(sample) for sample in made.audio],
        "pts": [sample.pts - zero for sample in made.video],
    }


def _groups(made: Clip) -> list[list[Sample]]:
    groups: list[list[Sample]] = []
    for sample in made.samples:
        if not groups or (sample.track == 1 and sample.key and any(one.track == 1 for one in groups[-1])):
            groups.append([])
        groups[-1].append(sample)
    return groups


def _live(folder: Path, made: Clip, hour: HourKey, live_id: bytes) -> dict[str, Any]:
    """Write live messages, each behind a u32 length."""
    sealer = hour.live_sealer(live_id)
    out = bytearray()
    count = 0
    zero = min(sample.pts for sample in made.video)
    for sample in made.samples:
        rate = made.tracks[sample.track - 1].timescale
        pts = START_90K + sample.pts * TICKS // rate - zero
        flags = (1 if sample.key and sample.track == 1 else 0) | (2 if sample.track == 2 else 0)
        message = sealer.seal(flags, 7, pts, pts + 900, sample.parts)
        out += struct.pack(">I", len(message)) + message
        count += 1
    (folder / "live.bin").write_bytes(out)
    return {
        "live_id": live_id.hex(),
        "count": count,
        "tracks": [_track(track) for track in made.tracks],
        "samples": [_hash(sample) for sample in made.samples],
        "audio": [sample.track == 2 for sample in made.samples],
    }


def _track(track: Any) -> dict[str, Any]:
    return {
        "kind": str(track.kind),
        "codec": track.codec,
        "codec_string": track.codec_string,
        "timescale": track.timescale,
        "config": _b64(track.config),
        "width": track.width,
        "height": track.height,
        "channels": track.channels,
    }


def _hash(sample: Sample) -> str:
    return hashlib.sha256(b"".join(sample.parts)).hexdigest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
