# SPDX-License-Identifier: Apache-2.0
"""A whole recorder in one thread: what is on the disk, in the index and in the ledger after things went wrong."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from closedcircuit.base import TICKS, ManualClock, SystemIds
from closedcircuit.base.errors import Busy, CannotOpen
from closedcircuit.catalogue import Ledger, Limits, Policy, rebuild
from closedcircuit.media.mp4 import iter_fragments, open_fragment, read_init
from closedcircuit.model import Camera, Cause, Hold, Mode, Recording, Segment, Source, SpanKind
from closedcircuit.recording.fakes import Site
from closedcircuit.vault import Identity, opening_cipher, segment_key, unwrap_hour_key

START = 1_800_000_000 * TICKS + 1800 * TICKS  # half past: no hour turns by chance
OWNER = Identity.generate(SystemIds())


def cameras(count: int = 2, **recording: Any) -> list[Camera]:
    return [
        Camera(
            id=f"cam{n}", name=f"Camera {n}", main=Source(address="rtsp://x"), added_90k=START,
            recording=Recording(**recording),
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "recipients.txt").write_text(OWNER.recipient.text + "\n")
    return tmp_path


@pytest.fixture
def site(root: Path) -> Site:
    return Site(root, ManualClock(START), cameras(), SystemIds())


def ledger(site: Site, camera: str = "cam0") -> Ledger:
    return site.catalogue.ledger(camera, START, site.clock.now_90k())


def story(site: Site, camera: str = "cam0") -> list[tuple[float, float, str]]:
    return [
        ((s.start_90k - START) / TICKS, (s.end_90k - START) / TICKS, str(s.cause or "recorded"))
        for s in ledger(site, camera).spans
    ]


def frames_of(site: Site, camera: str) -> list[int]:
    """Numbers of all pictures that the owner can open, in order; checks every file against its row."""
    seen: list[int] = []
    for segment in site.catalogue.segments(camera, "main", 0, 1 << 60):
        with site.disks[segment.disk].open(segment) as file:
            data = file.pread(0, file.size())
        assert b"PLAINTEXT" not in data
        init = read_init(data)
        hour = unwrap_hour_key((site.root / "keys" / camera / f"{segment.kid[:8].hex()}.age").read_bytes(), [OWNER])
        opener = functools.partial(opening_cipher, segment_key(hour, segment.kid))
        found = list(iter_fragments(data, init.size))
        assert [(f.start_90k, f.offset, f.size) for f in found] == [
            (f.start_90k, f.offset, f.size) for f in segment.fragments
        ]
        assert found[-1].offset + found[-1].size == len(data)
        for fragment in found:
            samples = open_fragment(data[fragment.offset : fragment.offset + fragment.size], init, opener)
            seen += [int(bytes(sample.data)[34:42]) for sample in samples]
    return seen


def test_the_account_of_an_eventful_day_adds_up(site: Site) -> None:
    site.run(40)
    site.sources.gone = {"cam0"}
    site.run(25)
    site.sources.gone = set()
    site.run(41)
    site.stop()
    assert story(site) == [(0, 40, "recorded"), (40, 65, "unreachable"), (65, 106, "recorded")]
    assert story(site, "cam1") == [(0, 106, "recorded")]
    done = ledger(site)
    assert done.recorded_90k + done.off_90k + done.lost_90k == 106 * TICKS
    assert frames_of(site, "cam1") == list(range(106 * 5))


def test_the_index_is_made_again_from_the_footage_alone(site: Site) -> None:
    site.run(40)
    site.sources.gone = {"cam0"}
    site.run(25)
    site.sources.gone = set()
    site.run(1)
    site.sources.acts["cam0", "main"].slow_ppm = 300  # wall time bends, and the files must tell the same time
    site.run(140)
    site.stop()
    before = story(site), story(site, "cam1"), site.catalogue.segments("cam0", "main", 0, 1 << 60)
    site.catalogue.db.close()
    rebuild(site.disks, site.root / "facts.db", site.clock)
    for camera in cameras():
        site.catalogue.announce(camera)
    after = story(site), story(site, "cam1"), site.catalogue.segments("cam0", "main", 0, 1 << 60)
    assert after[:2] == before[:2]
    assert [(s.kid, s.start_90k, s.end_90k, s.size_bytes) for s in after[2]] == [
        (s.kid, s.start_90k, s.end_90k, s.size_bytes) for s in before[2]
    ]


def test_a_restart_is_process_down_and_nothing_else(root: Path) -> None:
    clock = ManualClock(START)
    site = Site(root, clock, cameras(), SystemIds())
    site.run(20)
    site.stop()
    clock.advance(30)
    site = Site(root, clock, cameras(), SystemIds())
    site.run(20)
    site.stop()
    assert story(site) == [(0, 20, "recorded"), (20, 50, "process-down"), (50, 70, "recorded")]
    first = site.catalogue.at("cam0", "main", START + 50 * TICKS)
    assert first is not None
    with site.disks["data"].open(first) as file:
        assert b'"process-down"' in file.pread(0, 4096)  # the footage itself says so


def test_a_locked_database_stops_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run(10)
    real: Callable[..., None] = site.catalogue.upsert

    def locked(segments: list[Segment]) -> None:
        raise Busy("locked")

    monkeypatch.setattr(site.catalogue, "upsert", locked)
    site.run(30)
    report = site.indexer.report()
    assert report["behind_rows"] > 0
    assert report["waiting_since_90k"] is not None
    monkeypatch.setattr(site.catalogue, "upsert", real)
    site.run(5)
    site.stop()
    assert site.indexer.report()["behind_rows"] == 0
    assert story(site) == [(0, 45, "recorded")]
    assert frames_of(site, "cam0") == list(range(45 * 5))


def test_an_index_that_is_away_for_very_long_is_repaired_from_the_disk(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("closedcircuit.recording.index.PENDING_MAX", 3)
    repaired: list[int] = []
    site.indexer._repair = lambda: repaired.append(1)
    real = site.catalogue.upsert

    def locked(segments: list[Segment]) -> None:
        raise Busy("locked")

    monkeypatch.setattr(site.catalogue, "upsert", locked)
    site.run(400)
    assert len(site.indexer._plans) <= 3
    monkeypatch.setattr(site.catalogue, "upsert", real)
    site.run(1)
    assert repaired == [1]


def test_the_hour_turns_without_a_gap_and_the_old_key_is_forgotten(root: Path) -> None:
    hour = 3600 * TICKS
    clock = ManualClock(START // hour * hour + hour - 20 * TICKS)
    site = Site(root, clock, [msgspec.structs.replace(c, added_90k=clock.now_90k()) for c in cameras(1)], SystemIds())
    begun = clock.now_90k()
    site.run(60)
    old = site.outlet.writers["data"]
    site.stop()
    del old
    segments = site.catalogue.segments("cam0", "main", 0, 1 << 60)
    assert len({segment.kid[:8] for segment in segments}) == 2
    assert all(a.end_90k == b.start_90k for a, b in itertools.pairwise(segments))
    assert segments[0].start_90k == begun
    assert segments[-1].end_90k == begun + 60 * TICKS
    assert frames_of(site, "cam0") == list(range(300))


def test_new_recipients_get_new_keys(site: Site) -> None:
    site.run(10)
    other = Identity.generate(SystemIds())
    site.ring.set_recipients([OWNER.recipient, other.recipient])
    site.run(10)
    site.stop()
    keys = {segment.kid[:8].hex() for segment in site.catalogue.segments("cam0", "main", 0, 1 << 60)}
    opens = 0
    for key_id in keys:
        data = (site.root / "keys" / "cam0" / f"{key_id}.age").read_bytes()
        unwrap_hour_key(data, [OWNER])
        with contextlib.suppress(CannotOpen):
            unwrap_hour_key(data, [other])
            opens += 1
    assert (len(keys), opens) == (2, 1)


def test_no_recipients_no_files(root: Path) -> None:
    (root / "keys" / "recipients.txt").write_text("")
    site = Site(root, ManualClock(START), cameras(1), SystemIds())
    site.run(30)
    site.stop()
    assert not list(root.glob("footage/**/*.mp4"))
    assert ledger(site).by_cause == {Cause.NO_KEY: ledger(site).total_90k}
    assert ledger(site).total_90k > 0


def test_a_camera_that_is_paused_and_goes_on(site: Site) -> None:
    site.run(20)
    site.take_up([msgspec.structs.replace(cameras()[0], recording=Recording(mode=Mode.PAUSED)), cameras()[1]])
    site.run(20)
    assert site.recorder.last_state["cameras"]["cam0"]["main"]["state"] == "paused"
    assert ("cam0", "main") not in site.sources.acts
    site.take_up(cameras())
    site.run(20)
    site.stop()
    assert story(site) == [(0, 20, "recorded"), (20, 40, "paused"), (40, 60, "recorded")]
    assert story(site, "cam1") == [(0, 60, "recorded")]


def test_a_camera_that_is_edited_or_removed(site: Site) -> None:
    site.run(10)
    moved = msgspec.structs.replace(cameras()[0], main=Source(address="rtsp://elsewhere"))
    site.take_up([moved])
    site.run(10)
    site.stop()
    assert list(site.recorder.streams) == [("cam0", "main")]
    assert story(site) == [(0, 20, "recorded")]
    assert all(s.sha256 is not None for s in site.catalogue.segments("cam1", "main", 0, 1 << 60))


def test_the_clock_is_set_forward_while_recording(site: Site) -> None:
    site.run(20)
    site.clock.step(600)
    site.run(20)
    site.stop()
    assert story(site) == [(0, 20, "recorded"), (20, 620, "clock-stepped"), (620, 640, "recorded")]


def test_the_clock_is_set_back_while_recording(site: Site) -> None:
    site.run(40)
    site.clock.step(-20)
    site.run(40)
    site.stop()
    assert story(site) == [(0, 60, "recorded")]
    assert len(frames_of(site, "cam0")) == 80 * 5


def test_the_substream_is_kept_beside_the_main_one(root: Path) -> None:
    camera = msgspec.structs.replace(cameras(1)[0], sub=Source(address="rtsp://x/sub"))
    site = Site(root, ManualClock(START), [camera], SystemIds())
    site.run(20)
    site.take_up([msgspec.structs.replace(camera, recording=Recording(record_sub=False))])
    site.run(20)
    site.stop()
    assert sum(s.end_90k - s.start_90k for s in site.catalogue.segments("cam0", "sub", 0, 1 << 60)) == 20 * TICKS
    assert story(site) == [(0, 40, "recorded")]


# -------------------------------------------------------------------------------------------- keeper


def test_old_footage_goes_with_its_keys_and_held_footage_stays(root: Path) -> None:
    clock = ManualClock(START)
    site = Site(root, clock, cameras(1), SystemIds())
    site.run(130)
    site.stop()
    held = site.catalogue.segments("cam0", "main", 0, 1 << 60)[1]
    site.catalogue.add_hold(
        Hold(id="h", camera="cam0", start_90k=held.start_90k, end_90k=held.end_90k, reason="theft", made_90k=0)
    )
    clock.advance(4 * 3600)
    site.keeper.round(Policy(Limits(keep_90k=3600 * TICKS)))
    left = site.catalogue.segments("cam0", "main", 0, 1 << 60)
    assert [s.kid for s in left] == [held.kid]
    assert len(list(root.glob("footage/**/*.mp4"))) == 1
    assert len(list(root.glob("keys/cam0/*.age"))) == 1  # the held segment needs it
    site.catalogue.remove_hold("h")
    site.keeper.round(Policy(Limits(keep_90k=3600 * TICKS)))
    assert not list(root.glob("footage/**/*.mp4"))
    assert not list(root.glob("keys/cam0/*.age"))
    spans = ledger(site).spans
    assert (spans[0].cause, spans[0].kind) == (Cause.DELETED, SpanKind.OFF)
    facts = site.keeper.facts(Policy())
    assert (facts["state"], facts["doomed"]) == ("ok", 0)


class SmallDisk:
    """A disk that says it is full."""

    def __init__(self, free: int) -> None:
        self.free = free


def _shrink(site: Site, monkeypatch: pytest.MonkeyPatch, free: Callable[[], int]) -> None:
    from closedcircuit.blobs import Space

    disk = site.disks["data"]
    monkeypatch.setattr(type(disk), "free", lambda self: Space(1 << 30, free()))
    disk.reserve_bytes = 100 << 20


def test_a_full_disk_of_held_footage_is_said_loudly_and_never_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run(130)
    site.stop()
    for camera in ("cam0", "cam1"):
        site.catalogue.add_hold(
            Hold(id=camera, camera=camera, start_90k=0, end_90k=1 << 60, reason="evidence", made_90k=0)
        )
    files = len(list(site.root.glob("footage/**/*.mp4")))
    _shrink(site, monkeypatch, lambda: 1 << 20)
    site.keeper.round(Policy())
    assert len(list(site.root.glob("footage/**/*.mp4"))) == files
    facts = site.keeper.facts(Policy())
    assert facts["state"] == "full"
    assert "held" in facts["sentence"]
    assert facts["disks"][0].state == "full"
    site.catalogue.remove_hold("cam0")
    site.keeper.round(Policy())
    assert not list(site.root.glob("footage/cam0/**/*.mp4"))
    assert list(site.root.glob("footage/cam1/**/*.mp4"))


def test_room_is_made_oldest_first_and_only_as_much_as_needed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.run(130)
    site.stop()
    every = sorted(
        (s for c in ("cam0", "cam1") for s in site.catalogue.segments(c, "main", 0, 1 << 60)), key=lambda s: s.start_90k
    )
    total = sum(s.size_bytes for s in every)

    def free() -> int:
        there = sum(f.stat().st_size for f in site.root.glob("footage/**/*.mp4"))
        return (
            (100 << 20) + (1 << 30) // 50 + total - there - every[0].size_bytes
        )  # lacks as much as the oldest segment takes

    _shrink(site, monkeypatch, free)
    site.keeper.round(Policy())
    left = {s.kid for c in ("cam0", "cam1") for s in site.catalogue.segments(c, "main", 0, 1 << 60)}
    assert {s.kid for s in every} - left == {every[0].kid}
    assert site.keeper.full == ""


def test_a_full_disk_is_a_gap_and_recording_goes_on_when_there_is_room(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.run(20)
    room = [0]
    _shrink(site, monkeypatch, lambda: room[0])
    site.run(60)
    room[0] = 900 << 20
    site.run(20)
    site.stop()
    told = story(site)
    assert [cause for _, _, cause in told] == ["recorded", "disk-full", "recorded"]
    assert told[-1][1] == 100
    assert ledger(site).total_90k == 100 * TICKS


def test_stray_keys_go_after_a_day_but_never_while_footage_needs_them(site: Site) -> None:
    import os

    site.run(20)
    site.stop()
    folder = site.root / "keys" / "cam0"
    needed = next(folder.glob("*.age"))
    stray, young = folder / f"{'ab' * 8}.age", folder / f"{'cd' * 8}.age"
    stray.write_bytes(b"x")
    young.write_bytes(b"x")
    now_s = site.clock.now_90k() / TICKS
    for path, age_s in ((needed, 90_000), (stray, 90_000), (young, 10)):
        os.utime(path, (now_s - age_s, now_s - age_s))
    rebuildable = site.catalogue.segments("cam0", "main", 0, 1 << 60)
    site.catalogue.forget(rebuildable)  # the index knows nothing of the footage: the disk does
    assert site.keeper.remove_strays() == 1
    assert needed.exists()
    assert young.exists()
    assert not stray.exists()


def test_sweeps_are_as_rare_as_the_fastest_stream_allows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    health = site.sources.health
    for kbps, expected in ((100, 0.2), (4000, 0.2), (8000, 0.1), (50_000, 0.04)):
        monkeypatch.setattr(site.sources, "health", lambda key, kbps=kbps: {**health(key), "kbps": kbps})
        site.run(2)
        assert site.recorder.sweep_s == pytest.approx(expected)
        before = site.clock.monotonic_s()
        site.recorder.wait()
        site.recorder.sweep()
        site.recorder.wait()
        assert site.clock.monotonic_s() - before <= 2 * expected + 0.001
    site.recorder._watched.add(("cam0", "main"))
    assert site.recorder.sweep_s == pytest.approx(0.02)
