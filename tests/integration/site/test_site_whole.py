# SPDX-License-Identifier: Apache-2.0
"""The whole site as its owner meets it: started by one command, keyed, watched recording, hurt, stopped, opened."""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import signal
import subprocess

import av
import pytest

from closedcircuit.media.mp4 import INIT_BYTES_MAX, iter_fragments, open_fragment, read_init
from closedcircuit.vault import opening_cipher, read_identities, segment_key, unwrap_hour_key
from material.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.start()
    (made.data / "pw").write_text(PASSPHRASE + "\n")
    yield made
    if made.process.poll() is None:
        made.stop()


@pytest.fixture(scope="module")
def recorded(site, tmp_path_factory):
    """The site's story, told once: keyed, recorded, recorder killed, recorded again, stopped."""
    keys = tmp_path_factory.mktemp("usb")
    greeting = "\n".join(site.lines)
    site.command(
        "key",
        "create",
        "--identity",
        keys / "id.txt",
        "--recovery",
        keys / "rec.txt",
        "--passphrase-file",
        site.data / "pw",
    )
    first = site.wait_recorded(8)
    killed = next(p["status"]["pid"] for p in first["processes"] if p["role"] == "recorder")
    os.kill(killed, signal.SIGKILL)
    site.wait_recorded(first["cameras"][0]["last_day"]["recorded_s"] + 8)
    code = site.stop()
    ledgers = {
        camera["id"]: json.loads(site.command("footage", "ledger", camera["id"], "--json"))
        for camera in first["cameras"]
    }
    return {"keys": keys, "greeting": greeting, "first": first, "killed": killed, "ledgers": ledgers, "code": code}


def test_it_says_in_at_most_six_lines_where_it_is(recorded):
    assert "http://localhost:" in recorded["greeting"]
    assert "#setup=" in recorded["greeting"]
    assert len(recorded["greeting"].splitlines()) <= 6


def test_it_is_a_pretend_site_of_at_least_four_cameras_with_every_kind_of_picture(recorded):
    cameras = recorded["first"]["cameras"]
    assert len(cameras) >= 4
    streams = [stream for camera in cameras for stream in camera["streams"].values()]
    assert {"h264", "h265"} <= {stream["codec"] for stream in streams}
    assert any("sub" in camera["streams"] for camera in cameras)
    assert any(stream["audio"] for stream in streams)


def test_it_stops_cleanly_and_leaves_no_process(recorded, site):
    assert recorded["code"] == 0
    assert not site.status()["running"]
    left = subprocess.run(
        ["pgrep", "-f", f"app.role .* {site.data}$"], capture_output=True, text=True, check=False
    ).stdout
    assert not left


def test_every_second_is_accounted_for_and_the_killed_recorders_absence_has_its_cause(recorded):
    for camera, ledger in recorded["ledgers"].items():
        assert ledger["recorded_90k"] + ledger["off_90k"] + ledger["lost_90k"] == ledger["total_90k"]
        for before, after in itertools.pairwise(ledger["spans"]):
            assert before["to"] == after["from"]
        causes = ledger["by_cause_90k"]
        assert causes.get("process-down", 0) > 0, (camera, causes)
        assert causes.get("no-key", 0) > 0
        inside = [span for span in ledger["spans"][:-1] if span["cause"] == "unknown"]
        assert not inside, (camera, inside)


def test_a_killed_recorder_costs_its_fragment_and_its_restart_no_more(recorded):
    for camera, ledger in recorded["ledgers"].items():
        assert ledger["by_cause_90k"]["process-down"] / 90_000 < 12, camera  # a fragment, a second of patience, a start


def test_the_owner_opens_everything_with_either_identity(recorded, site, tmp_path):
    for name, identity in (("own", "id.txt"), ("recovery", "rec.txt")):
        for camera in recorded["ledgers"]:
            report = json.loads(
                site.command(
                    "footage", "unlock", camera, "2020-01-01T00:00Z", "2100-01-01T00:00Z",
                    "--identity", recorded["keys"] / identity, "--out", tmp_path / name, "--json",
                )
            )  # fmt: skip
            assert not report["problems"]
            seconds = sum(file["seconds"] for file in report["files"])
            assert seconds == pytest.approx(recorded["ledgers"][camera]["recorded_90k"] / 90_000, abs=3.5)
            for file in report["files"]:
                with av.open(file["path"]) as opened:
                    assert sum(1 for _ in opened.decode(video=0)) > 5


def test_a_stranger_opens_nothing(recorded, site, tmp_path):
    from closedcircuit.base import SystemIds
    from closedcircuit.vault import Identity

    (tmp_path / "other.txt").write_text(Identity.generate(SystemIds()).text)
    camera = next(iter(recorded["ledgers"]))
    site.command(
        "footage", "unlock", camera, "2020-01-01T00:00Z", "2100-01-01T00:00Z",
        "--identity", tmp_path / "other.txt", "--out", tmp_path, code=7,
    )  # fmt: skip
    assert not list(tmp_path.glob("*.mp4"))


def test_what_was_changed_or_lost_is_said_and_the_rest_opens(recorded, site, tmp_path):
    copy = Site(tmp_path / "site")
    shutil.copytree(site.data, copy.data, ignore=shutil.ignore_patterns("live.sock"))
    files = sorted(copy.data.glob("footage/till/main/*/*.mp4"))
    assert len(files) >= 2
    data = bytearray(files[0].read_bytes())
    data[len(data) // 2] ^= 1
    files[0].write_bytes(data)
    request = ["footage", "unlock", "till", "2020-01-01T00:00Z", "2100-01-01T00:00Z", "--json"]
    report = json.loads(copy.command(*request, "--identity", recorded["keys"] / "id.txt", "--out", tmp_path / "clips"))
    assert [problem for problem in report["problems"] if "SHA-256" in problem and files[0].name in problem]
    assert report["files"]
    assert {gap["cause"] for gap in report["gaps"]} >= {"process-down"}
    for key in copy.data.glob("keys/till/*.age"):
        key.unlink()
    report = json.loads(copy.command(*request, "--identity", recorded["keys"] / "id.txt", "--out", tmp_path / "none"))
    assert not report["files"]
    assert all("is gone" in problem or "SHA-256" in problem for problem in report["problems"])


def test_the_index_can_be_made_anew_from_the_footage(recorded, site, tmp_path):
    copy = Site(tmp_path / "site")
    shutil.copytree(site.data, copy.data, ignore=shutil.ignore_patterns("live.sock"))
    for name in ("facts.db", "facts.db-wal", "facts.db-shm"):
        (copy.data / name).unlink(missing_ok=True)
    copy.command("footage", "rebuild")
    for camera, before in recorded["ledgers"].items():
        # What came after the last footage is in no file: the next one would have told.
        last = [found["to"] for found in before["spans"] if found["kind"] == "recorded"][-1]
        span = before["spans"][0]["from"], last
        old = json.loads(site.command("footage", "ledger", camera, *span, "--json"))
        new = json.loads(copy.command("footage", "ledger", camera, *span, "--json"))
        # A hole of less than a second inside a file is a row of the index; a file cannot tell it from a slow camera.
        holes = old["by_cause_90k"].pop("broken", 0) - new["by_cause_90k"].pop("broken", 0)
        assert new["recorded_90k"] == old["recorded_90k"] + holes
        assert holes >= 0
        assert new["by_cause_90k"] == old["by_cause_90k"]


def test_no_key_and_no_plaintext_is_on_the_disk(recorded, site):
    """Everything that was sealed is opened here, and then looked for in every file of the site."""
    identities = read_identities(recorded["keys"] / "id.txt")
    needles: dict[str, bytes] = {"identity": identities[0].text.encode(), "passphrase": PASSPHRASE.encode()}
    for path in site.data.glob("keys/*/*.age"):
        hour = unwrap_hour_key(path.read_bytes(), identities)
        needles[f"{path.name} raw"], needles[f"{path.name} hex"] = hour, hour.hex().encode()
    pictures = 0
    for path in site.data.glob("footage/*/*/*/*.mp4"):
        data = path.read_bytes()
        init = read_init(data[:INIT_BYTES_MAX])
        hour = unwrap_hour_key((site.data / f"keys/{path.parts[-4]}/{init.kid[:8].hex()}.age").read_bytes(), identities)
        key = segment_key(hour, init.kid)
        needles[f"{path.name} key"], needles[f"{path.name} key hex"] = key, key.hex().encode()
        for fragment in iter_fragments(data, init.size):
            piece = data[fragment.offset : fragment.offset + fragment.size]
            longest = max(open_fragment(piece, init, functools.partial(opening_cipher, key)), key=lambda s: len(s.data))
            middle = len(longest.data) // 2
            window = bytes(longest.data[middle : middle + 48])
            if len(set(window)) > 16:  # a run of padding would be found anywhere
                pictures += 1
                needles[f"{path.name} at {fragment.offset}"] = window
    assert pictures > 20
    del needles["passphrase"]  # this test's own file has it
    for path in site.data.rglob("*"):
        if path.is_file():
            haystack = path.read_bytes()
            for name, needle in needles.items():
                assert needle not in haystack, f"{name} is in {path}"
