# SPDX-License-Identifier: Apache-2.0
"""Killed at every durable step of the way from a camera to the disk, and of the way back: is what is left whole?

The steps are found by a dry run, so that a new one is tested without anybody thinking of it; and the names in the
source are held against those, so that one that the run does not pass is noticed.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import closedcircuit
from closedcircuit.base import TICKS, ManualClock, SystemIds, durable
from closedcircuit.blobs import Disk
from closedcircuit.catalogue import Limits, Policy, repair
from closedcircuit.media.mp4 import iter_fragments, open_fragment, read_init
from closedcircuit.model import Camera, Cause, Fragment, Hold, Source
from closedcircuit.recording.fakes import Site
from closedcircuit.vault import Identity, opening_cipher, segment_key, unwrap_hour_key

START = 1_800_000_000 * TICKS + 1800 * TICKS
OWNER = Identity.generate(SystemIds())
CAMERA = Camera(id="cam0", name="Camera", main=Source(address="rtsp://x"), added_90k=START)
ROOMS = ("recording", "blobs", "vault")
LENGTH_S, LATER_S = 70, 20
FRAGMENT_90K = 2 * TICKS
KEEP = Policy(Limits(keep_90k=45 * TICKS))
NEVER = Policy()
KILLED = 77


def prepare(root: Path) -> None:
    (root / "keys").mkdir(parents=True)
    (root / "keys" / "recipients.txt").write_text(OWNER.recipient.text + "\n")


def live(root: Path, policy: Policy) -> Site:
    """Record, stop as on SIGTERM; then, hours later, keep."""
    clock = ManualClock(START)
    site = Site(root, clock, [CAMERA], SystemIds())
    site.run(LENGTH_S)
    site.stop()
    if policy is KEEP:
        stray = root / "keys" / "cam0" / f"{'ee' * 8}.age"
        stray.write_bytes(b"opens nothing")
        clock.advance(5 * 3600)
        old_s = clock.now_90k() / TICKS - 2 * 86_400
        os.utime(stray, (old_s, old_s))
        # Listed for deletion, and then somebody holds the first of it: it is spared until he lets go.
        listed = site.catalogue.doom(site.catalogue.segments("cam0", "main", 0, 1 << 60))
        first = listed[0]
        site.catalogue.add_hold(
            Hold(id="h", camera="cam0", start_90k=first.start_90k, end_90k=first.end_90k, reason="theft", made_90k=0)
        )
        site.keeper.round(policy)
        assert len(list(root.glob("footage/**/*.mp4"))) == 1
        site.catalogue.remove_hold("h")
        site.keeper.round(policy)
    return site


def steps_of(act: Callable[[], object]) -> list[str]:
    """Names of the durable steps that something passes, in order, one entry a passage."""
    seen: list[str] = []
    durable.hook = seen.append
    try:
        act()
    finally:
        durable.hook = None
    return [plain(step) for step in seen]


def plain(step: str) -> str:
    """Without what is random in a name."""
    return re.sub(r"[0-9a-f]{16}\.age", "KEY.age", step)


def in_child(act: Callable[[], object], step: str, passage: int) -> int:
    """Do it in a child that dies, as by kill -9, at the given passage of a step; return its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        left = passage

        def die(name: str) -> None:
            nonlocal left
            if plain(name) == step:
                left -= 1
                if left == 0:
                    os._exit(KILLED)

        durable.hook = die
        act()
    except BaseException:
        os._exit(1)
    os._exit(0)


def opened(site: Site) -> list[int]:
    """Numbers of the pictures that the owner can open; every file on the disk is whole and in the index."""
    rows = {s.kid: s for s in site.catalogue.segments("cam0", "main", 0, 1 << 60)}
    numbers: list[int] = []
    for name, size in site.disks["data"].walk("cam0", "main"):
        row = rows.pop(name.kid)
        assert row.size_bytes == size
        with site.disks["data"].open(name) as file:
            data = file.pread(0, size)
        init = read_init(data)
        hour = unwrap_hour_key((site.root / "keys" / "cam0" / f"{name.key_id}.age").read_bytes(), [OWNER])
        opener = functools.partial(opening_cipher, segment_key(hour, name.kid))
        found = list(iter_fragments(data, init.size, check_data=True))
        assert found
        assert found[-1].offset + found[-1].size == size
        for fragment in found:
            samples = open_fragment(data[fragment.offset : fragment.offset + fragment.size], init, opener)
            numbers += [int(bytes(sample.data)[34:42]) for sample in samples]
    assert not rows
    return numbers


def nothing_in_clear(root: Path) -> None:
    """No plaintext, no key in any file of the site."""
    keys = [
        unwrap_hour_key(path.read_bytes(), [OWNER])
        for path in root.glob("keys/cam0/*.age")
        if path.read_bytes() != b"opens nothing"
    ]
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"PLAINTEXT" not in data, path
            for key in keys:
                assert key not in data, path
                assert key.hex().encode() not in data, path


@pytest.fixture(scope="module")
def passages(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    root = tmp_path_factory.mktemp("dry")
    prepare(root)
    return Counter(steps_of(lambda: live(root, KEEP)))


def chosen(count: int) -> list[int]:
    """First, second, a middle and the last passage of a step."""
    return sorted({1, min(2, count), (count + 1) // 2, count})


def test_every_step_in_the_source_is_passed(passages: Counter[str]) -> None:
    source = Path(closedcircuit.__file__).parent
    named = {
        name
        for room in ROOMS
        for path in (source / room).rglob("*.py")
        for name in re.findall(r'checkpoint\("([^"]+)"\)', path.read_text())
    }
    repairing = {"blobs.truncate"}  # passed by start-up only: `test_a_torn_tail`
    assert named - set(passages) == repairing
    assert {"durable.write:KEY.age", "durable.rename:KEY.age", "durable.fsync-dir:KEY.age"} <= set(passages)


def test_killed_while_recording_at_every_step(tmp_path: Path) -> None:
    prepare(tmp_path / "dry")
    passed = Counter(steps_of(lambda: live(tmp_path / "dry", NEVER)))
    assert len(passed) >= 12
    for step, count in sorted(passed.items()):
        for passage in chosen(count):
            root = tmp_path / f"{step}-{passage}".replace(":", "-").replace("/", "-")
            prepare(root)
            assert in_child(lambda root=root: live(root, NEVER), step, passage) == KILLED, (step, passage)
            check_after_crash(root, f"{step} {passage}")


def check_after_crash(root: Path, what: str) -> None:
    """Start again later: everything is whole, at most one fragment is lost, and the sum is exact."""
    clock = ManualClock(START + (LENGTH_S + LATER_S) * TICKS)
    site = Site(root, clock, [CAMERA], SystemIds())
    site.run(20)
    site.stop()
    numbers = opened(site)
    assert len(numbers) == len(set(numbers)) or numbers.count(0) == 2, what
    nothing_in_clear(root)
    total = (LENGTH_S + LATER_S + 20) * TICKS
    ledger = site.catalogue.ledger("cam0", START, clock.now_90k())
    assert ledger.recorded_90k + ledger.off_90k + ledger.lost_90k == total, what
    assert not ledger.off_90k, what
    causes = [span.cause for span in ledger.spans if span.cause]
    assert causes == [Cause.PROCESS_DOWN], (what, ledger.spans)
    assert ledger.spans[-1].end_90k - ledger.spans[-1].start_90k == 20 * TICKS, what
    # What was recorded before the crash is one run from the first picture on, without a hole.
    before = [span for span in ledger.spans[:-2] if span.cause is None]
    assert len(before) <= 1


def test_at_most_one_fragment_is_lost(tmp_path: Path) -> None:
    """Killed in the middle of each fragment's write: all fragments before it are there."""
    prepare(tmp_path / "dry")
    count = Counter(steps_of(lambda: live(tmp_path / "dry", NEVER)))["blobs.append"]
    assert count == LENGTH_S // 2
    for passage in (1, 2, 10, count):
        root = tmp_path / str(passage)
        prepare(root)
        assert in_child(lambda root=root: live(root, NEVER), "blobs.append", passage) == KILLED
        clock = ManualClock(START + (LENGTH_S + LATER_S) * TICKS)
        site = Site(root, clock, [], SystemIds())
        recorded = site.catalogue.ledger("cam0", START, clock.now_90k()).recorded_90k
        assert recorded == (passage - 1) * FRAGMENT_90K


def test_killed_while_deleting_at_every_step(tmp_path: Path, passages: Counter[str]) -> None:
    prepare(tmp_path / "dry")
    recording = Counter(steps_of(lambda: live(tmp_path / "dry", NEVER)))
    deleting = passages - recording
    assert {"recording.doom", "recording.unlink", "blobs.unlink", "recording.key-removed", "recording.deleted"} <= set(
        deleting
    )
    for step, extra in sorted(deleting.items()):
        count = passages[step]
        for passage in sorted({count - extra + 1, count}):
            root = tmp_path / f"{step}-{passage}".replace(":", "-")
            prepare(root)
            assert in_child(lambda root=root: live(root, KEEP), step, passage) == KILLED, (step, passage)
            clock = ManualClock(START + 6 * 3600 * TICKS)
            site = Site(root, clock, [], SystemIds())
            for hold in site.catalogue.holds():
                site.catalogue.remove_hold(hold.id)
            site.keeper.round(KEEP)
            assert not list(root.glob("footage/**/*.mp4")), step
            assert not list(root.glob("keys/cam0/*.age")), step
            assert site.catalogue.doomed() == [], step
            spans = site.catalogue.ledger("cam0", START, START + LENGTH_S * TICKS).spans
            assert {span.cause for span in spans} == {Cause.DELETED}, (step, spans)


def test_a_torn_tail(tmp_path: Path) -> None:
    """Truncated at every byte of the last fragment: the whole fragments before it stay, and nothing else."""
    site, path, data, last = growing(tmp_path, size=60)
    assert "blobs.truncate" in steps_of(lambda: tear(site, path, data[: last.offset + last.size // 2]))
    for end in range(last.offset, len(data)):
        tear(site, path, data[:end])
        assert path.read_bytes() == data[: last.offset], end


def test_a_tail_of_zeros(tmp_path: Path) -> None:
    """What some file systems leave at a power cut: the length is there, pages of the data are not."""
    site, path, data, last = growing(tmp_path, size=3000)
    pages = range(-(-last.offset // 4096) * 4096, len(data), 4096)
    assert len(pages) > 5
    for page in pages:
        tear(site, path, data[:page] + bytes(len(data) - page))
        assert path.read_bytes() == data[: last.offset], page


def growing(root: Path, size: int) -> tuple[Site, Path, bytes, Fragment]:
    """A segment of three fragments that nobody finished: its site, file, bytes and last fragment."""
    prepare(root)
    site = Site(root, ManualClock(START), [CAMERA], SystemIds(), size=size)
    site.run(7)
    (path,) = root.glob("footage/**/*.mp4")
    data = path.read_bytes()
    fragments = list(iter_fragments(data, read_init(data).size))
    assert len(fragments) == 3
    return site, path, data, fragments[-1]


def tear(site: Site, path: Path, torn: bytes) -> None:
    """Let a crash leave these bytes and no row, and start again.

    A disk of its own: the one that writes leaves its file alone.
    """
    path.write_bytes(torn)
    site.catalogue.forget(site.catalogue.segments("cam0", "main", 0, 1 << 60))
    repair(Disk("data", site.root), site.catalogue)
