# SPDX-License-Identifier: Apache-2.0
"""The ledger of a real recording, and the one that an index made from its files alone has: equal, span by span."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from closedcircuit.app import DataFolder
from closedcircuit.base import TICKS, Secret, SystemClock, SystemIds
from closedcircuit.blobs import Disks
from closedcircuit.cameras import Registry
from closedcircuit.catalogue import Catalogue, Ledger, rebuild
from closedcircuit.db import Database
from closedcircuit.media.encode import VideoCoding, make_clip
from closedcircuit.model import Camera, Cause, Segment, Source, SpanKind
from closedcircuit.pretend.load import LoadServer
from closedcircuit.pretend.outages import OutageHabit
from closedcircuit.vault import Identity

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
CAMERAS = ["cam1", "cam3", "cam5"]  # whose first segments are shortest
SECONDS_MIN, SECONDS_MAX = 15, 60


class Recorded:
    """What a recorder left after it was stopped."""

    def __init__(self, root: Path) -> None:
        self.folder, self.clock = DataFolder(root), SystemClock()
        self.begin_90k = self.clock.now_90k()
        self.ends: dict[str, int] = {}

    def open(self) -> Catalogue:
        return Catalogue(Database(self.folder.facts), self.clock)

    def rebuild(self) -> Catalogue:
        rebuild(Disks([("data", self.folder.root, 0)]), self.folder.facts, self.clock)
        return self.open()

    def is_enough(self) -> bool:
        """Whether every camera has dropped out, and some run has several segments."""
        catalogue = self.open()
        try:
            runs = [[row.run for row in segments(catalogue, camera)] for camera in CAMERAS]
        finally:
            catalogue.db.close()
        return all(len(set(of)) > 1 for of in runs) and sum(len(of) - len(set(of)) for of in runs) > 2

    def ledgers(self, catalogue: Catalogue, from_90k: int = 0) -> list[Ledger]:
        """Up to the last moment of footage, which is all that files can tell of."""
        return [catalogue.ledger(camera, from_90k, self.ends[camera]) for camera in CAMERAS]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    site = Recorded(tmp_path_factory.mktemp("recorded"))
    site.folder.create()
    clock, ids = SystemClock(), SystemIds()
    (site.folder.root / "config.toml").write_text("[footage]\nsegment_s = 10\nfragment_s = 1\n")
    site.folder.recipients.write_text(Identity.generate(ids).recipient.text + "\n")
    # 30 pictures a second: an interval that is not a round number of milliseconds.
    coding = VideoCoding(codec="h264", width=320, height=192, interval_90k=3003, gop=15, quality=30, kbps_max=200)
    clip = make_clip(coding, 2)
    habit = OutageHabit(every_s=(9.0, 12.0), length_s=(0.5, 1.5), stalls=0.0)
    load = LoadServer(clock, ids, clip, 6, outages=habit)
    load.start()
    recorder: subprocess.Popen[bytes] | None = None
    try:
        registry = Registry(site.folder.root)
        for camera in CAMERAS:
            source = Source(address=f"rtsp://127.0.0.1:{load.port}/{camera}")
            registry.save(Camera(id=camera, name=camera, main=source, added_90k=site.begin_90k), Secret(""))
        role = [sys.executable, "-m", "closedcircuit.app.role", "recorder", "--data", str(site.folder.root)]
        recorder = subprocess.Popen(role)
        until_s = time.monotonic() + SECONDS_MAX
        time.sleep(SECONDS_MIN)
        while not site.is_enough() and time.monotonic() < until_s:
            time.sleep(0.5)
        recorder.send_signal(signal.SIGTERM)
        assert recorder.wait(30) == 0
    finally:
        if recorder is not None:
            recorder.kill()
            recorder.wait()
        load.close()
    catalogue = site.open()
    site.ends = {camera: catalogue.newest_end(camera, "main") or 0 for camera in CAMERAS}
    return site


def segments(catalogue: Catalogue, camera: str) -> list[Segment]:
    return catalogue.segments(camera, "main", 0, 1 << 60)


def test_a_recorders_rows_touch_to_the_tick_within_a_run(recorded: Recorded) -> None:
    catalogue = recorded.open()
    met = 0
    for camera in CAMERAS:
        rows = segments(catalogue, camera)
        assert len({row.run for row in rows}) > 1, "there were drop-outs"
        for row in rows:
            assert row.end_90k == row.fragments[-1].start_90k + row.fragments[-1].duration_90k
            assert all(a.start_90k + a.duration_90k == b.start_90k for a, b in itertools.pairwise(row.fragments))
        for one, after in itertools.pairwise(rows):
            if one.run == after.run:
                met += 1
                assert one.end_90k == after.start_90k
            else:
                assert one.end_90k <= after.start_90k
    assert met


def test_an_index_made_from_the_files_alone_has_the_same_ledger(recorded: Recorded) -> None:
    catalogue = recorded.open()
    first = {camera: segments(catalogue, camera)[0].start_90k for camera in CAMERAS}
    before = recorded.ledgers(catalogue)
    rows = [segments(catalogue, camera) for camera in CAMERAS]
    assert all(Cause.UNKNOWN not in ledger.by_cause for ledger in before), before
    assert all(
        ledger.from_90k == recorded.begin_90k < start for ledger, start in zip(before, first.values(), strict=True)
    )
    catalogue.db.close()

    again = recorded.rebuild()  # the old index tells when cameras were added, what was said of the end, and hashes
    assert recorded.ledgers(again) == before
    assert [segments(again, camera) for camera in CAMERAS] == rows
    again.db.close()

    for file in recorded.folder.root.glob("facts.db*"):
        file.unlink()
    alone = recorded.rebuild()
    after = recorded.ledgers(alone)
    assert after == before  # also from when they were added on: the first file accounts for the time before it
    for ledger in after:
        assert sum(s.kind is SpanKind.RECORDED for s in ledger.spans) > 1
        assert Cause.UNKNOWN not in ledger.by_cause
        assert ledger.recorded_90k + ledger.off_90k + ledger.lost_90k == ledger.total_90k > SECONDS_MIN // 2 * TICKS
