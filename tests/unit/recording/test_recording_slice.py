# SPDX-License-Identifier: Apache-2.0
"""One stream, from samples to a sealed file, and that file opened again."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from closedcircuit.base import TICKS, ManualClock, SystemIds
from closedcircuit.blobs import Disks
from closedcircuit.media.mp4 import iter_fragments, open_fragment, read_init
from closedcircuit.model import Camera, Source
from closedcircuit.recording.account import Account
from closedcircuit.recording.chain import Chain, Terms
from closedcircuit.recording.fakes import Acted
from closedcircuit.recording.outlet import DiskOutlet
from closedcircuit.recording.pieces import Outcome, Plan
from closedcircuit.recording.ready import Ready
from closedcircuit.recording.sound import FlacLoader, Sound
from closedcircuit.recording.stream import StreamRecorder
from closedcircuit.recording.writer import DiskWriter, Notes
from closedcircuit.vault import Identity, KeyRing, opening_cipher, segment_key, unwrap_hour_key


def test_a_stream_becomes_sealed_files_that_its_owner_opens(tmp_path: Path) -> None:
    clock, ids = ManualClock(), SystemIds()
    owner = Identity.generate(ids)
    keys = tmp_path / "keys"
    keys.mkdir()
    ring = KeyRing(keys, clock, ids)
    ring.set_recipients([owner.recipient])
    Disks.adopt(tmp_path, disk_id="data")
    disks = Disks([("data", tmp_path, 0)])
    outcomes: list[Outcome] = []
    closed: list[Plan] = []
    ready = Ready(ring, disks, clock)
    camera = Camera(id="door", name="Door", main=Source(address="rtsp://x"), added_90k=clock.now_90k())
    ready.set_cameras({"door": camera})
    ready.look_keys()
    ready.look_places()
    writer = DiskWriter(disks["data"], clock, Notes(outcomes.append, lambda plan: None, closed.append))
    writer.start()
    terms = Terms()
    chain = Chain(camera, "main", DiskOutlet([writer], ready), lambda: ready.keys.get("door"), ids, terms)
    chain.account = Account("door", clock.now_90k())
    recorder = StreamRecorder(chain, ids, terms, Sound(FlacLoader()))
    source = Acted(recorder, audio=True)
    start = clock.now_90k()
    source.start(start)
    for _ in range(70):
        source.frames(25, clock.now_90k())
        clock.advance(1)
        recorder.tick(clock.now_90k())
    recorder.stop()
    writer.stop()

    assert [o.failed for o in outcomes] == [None] * 35
    assert outcomes[0].start_90k == start
    assert outcomes[-1].end_90k == start + 70 * TICKS
    files = sorted(tmp_path.glob("footage/door/main/*/*.mp4"))
    assert len(files) == len(closed) >= 2
    seen = 0
    for file, plan in zip(files, sorted(closed, key=lambda p: p.start_90k), strict=True):
        data = file.read_bytes()
        assert b"PLAINTEXT" not in data
        init = read_init(data)
        assert init.kid == plan.kid
        assert json.loads(init.header)["run"] == plan.run
        hour = unwrap_hour_key((keys / "door" / f"{plan.kid[:8].hex()}.age").read_bytes(), [owner])
        opener = functools.partial(opening_cipher, segment_key(hour, plan.kid))
        fragments = list(iter_fragments(data, init.size))
        assert [f.start_90k for f in fragments] == [f.start_90k for f in plan.fragments]
        assert [(f.offset, f.size, f.key, f.key_bytes) for f in fragments] == [
            (f.offset, f.size, f.key, f.key_bytes) for f in plan.fragments
        ]
        for fragment in fragments:
            for sample in open_fragment(data[fragment.offset : fragment.offset + fragment.size], init, opener):
                if sample.track == 1:
                    assert b"PLAINTEXT %08d" % seen in bytes(sample.data)
                    seen += 1
                else:
                    assert b"PLAINTEXT SOUND" in bytes(sample.data)
    assert seen == 70 * 25
