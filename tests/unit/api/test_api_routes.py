# SPDX-License-Identifier: Apache-2.0
"""What each route answers, held against the shapes that the API's description names."""

import base64
import hashlib
import os
import re

import msgspec
import pytest

from closedcircuit.api import shapes
from closedcircuit.base import TICKS, SeededIds
from closedcircuit.blobs.disk import MARKER
from closedcircuit.live import failed
from closedcircuit.model import Fragment, Mode, Segment, Track, TrackKind
from closedcircuit.vault import Identity

AUTH = bytes(range(32))
CAMERA = {"name": "Front door, left", "address": "rtsp://camera.invalid/1"}
TRACKS = (Track(kind=TrackKind.VIDEO, codec="h264", codec_string="avc1.640028", timescale=90_000, config=b"c"),)


def b64(data):
    return base64.b64encode(data).decode()


def record(site, camera, start_90k, *, stream="main", size=1000, sha256=b"h" * 32):
    kid = hashlib.sha256(f"{camera}{stream}{start_90k}".encode()).digest()[:16]
    segment = Segment(
        camera=camera,
        stream=stream,
        start_90k=start_90k,
        end_90k=start_90k + 60 * TICKS,
        run="00" * 8,
        kid=kid,
        disk="data",
        size_bytes=size,
        init_bytes=100,
        sha256=sha256,
        tracks=msgspec.msgpack.encode(TRACKS),
        fragments=(Fragment(start_90k, 60 * TICKS, 100, size - 100, True, 50),),
    )
    data = hashlib.shake_256(kid).digest(size)
    file = site.parts.disks["data"].create(segment)
    file.append([data])
    file.close()
    site.parts.catalogue.upsert([segment])
    return segment, data


# ------------------------------------------------------------------------------------------------ the owner


def setup_body(site, **changes):
    own, sheet = (Identity.generate(SeededIds(seed)).recipient.text for seed in (b"own", b"sheet"))
    return {
        "token": site.token,
        "name": "Ada",
        "recipient": own,
        "recovery_recipient": sheet,
        "blob": b64(bytes(60)),
        "login": {"kind": "passphrase", "salt": b64(bytes(16)), "iterations": 600_000, "auth": b64(AUTH)},
        **changes,
    }


def test_setup_signs_in_and_login_does(bare):
    browser = bare.stranger
    assert shapes.SessionFacts.model_validate_json(browser.get("/api/session").content).owner is False
    answer = browser.post("/api/setup", json=setup_body(bare))
    shapes.SignedIn.model_validate_json(answer.content)
    identity = shapes.IdentityFacts.model_validate_json(browser.get("/api/identity").content)
    assert (identity.iterations, identity.salt) == (600_000, b64(bytes(16)))
    assert browser.post("/api/logout").status_code == 204
    assert browser.get("/api/identity").status_code == 401
    question = shapes.PassphraseQuestion.model_validate_json(browser.get("/api/login").content)
    assert question.kind == "passphrase"
    wrong = browser.post("/api/login", json={"kind": "passphrase", "auth": b64(bytes(32))})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "access.denied")
    right = browser.post("/api/login", json={"kind": "passphrase", "auth": b64(AUTH)})
    assert right.json()["blob"] == b64(bytes(60))
    assert browser.get("/api/identity").status_code == 200
    again = browser.post("/api/setup", json=setup_body(bare))
    assert (again.status_code, again.json()["code"]) == (403, "access.forbidden")


def test_guessing_is_slowed_down(site):
    for _ in range(5):
        site.stranger.post("/api/login", json={"kind": "passphrase", "auth": b64(bytes(32))})
    answer = site.stranger.post("/api/login", json={"kind": "passphrase", "auth": b64(AUTH)})
    assert (answer.status_code, answer.json()["code"]) == (429, "access.too-many")
    assert 0 < int(answer.headers["retry-after"]) <= 61
    site.clock.advance(61)
    assert site.stranger.post("/api/login", json={"kind": "passphrase", "auth": b64(AUTH)}).status_code == 200


def test_cookie_is_secure_behind_https(bare):
    browser = bare.browser("https://nvr.example")
    answer = browser.post("/api/setup", json=setup_body(bare))
    assert answer.status_code == 200
    assert "secure" in answer.headers["set-cookie"].lower()


def test_passkey_options_are_for_the_name_asked(bare):
    browser = bare.browser("https://nvr.example")
    answer = browser.post("/api/setup/passkey", json={"token": bare.token, "name": "Ada"})
    options = shapes.Options.model_validate_json(answer.content).options
    assert options["rp"]["id"] == "nvr.example"
    assert options["extensions"]["prf"]
    wrong = browser.post("/api/setup/passkey", json={"token": "0" * 32, "name": "Ada"})
    assert wrong.status_code == 403


def test_sessions_are_listed_and_can_be_ended(site):
    other = site.browser()
    other.post("/api/login", json={"kind": "passphrase", "auth": b64(AUTH)}, headers={"user-agent": "Phone"})
    rows = shapes.SessionList.model_validate_json(site.owner.get("/api/sessions").content).sessions
    assert sorted((row.agent, row.this) for row in rows) == [("Phone", False), ("test", True)]
    phone = next(row.id for row in rows if not row.this)
    assert site.owner.delete(f"/api/sessions/{phone}").status_code == 204
    assert other.get("/api/sessions").status_code == 401
    assert site.owner.delete(f"/api/sessions/{phone}").status_code == 404


# ------------------------------------------------------------------------------------------------ cameras


def test_adding_takes_the_password_out_of_the_address(site):
    body = {**CAMERA, "address": "rtsp://viewer:p%40ss@camera.invalid:8554/1", "sub_address": "rtsp://camera.invalid/2"}
    answer = site.owner.post("/api/cameras", json=body)
    assert answer.status_code == 201
    camera = shapes.Camera.model_validate_json(answer.content)
    assert (camera.id, camera.username, camera.has_password) == ("front-door-left", "viewer", True)
    assert camera.address == "rtsp://camera.invalid:8554/1"
    assert "p@ss" not in answer.text
    assert site.parts.registry.password("front-door-left").reveal() == "p@ss"
    assert site.parts.registry.get("front-door-left").sub.audio is False
    assert set(camera.streams) == {"main", "sub"}
    assert camera.added_90k == site.clock.now_90k()
    assert site.owner.post("/api/cameras", json=CAMERA).json()["id"] == "front-door-left-2"
    listed = shapes.CameraList.model_validate_json(site.owner.get("/api/cameras").content)
    assert len(listed.cameras) == 2


def test_a_new_camera_never_takes_over_the_footage_of_one_that_was_removed(site):
    site.owner.post("/api/cameras", json=CAMERA)
    record(site, "front-door-left", site.clock.now_90k() - 600 * TICKS)
    assert site.owner.delete("/api/cameras/front-door-left?footage=keep").status_code == 204
    assert site.owner.post("/api/cameras", json=CAMERA).json()["id"] == "front-door-left-2"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 81},
        {"address": ""},
        {"address": "/etc/passwd"},
        {"address": "file:///etc/passwd"},
        {"address": "concat:/etc/passwd|x"},
        {"address": "/dev/video0/../../etc/passwd"},
        {"sub_address": "/etc/passwd"},
        {"pin_sha256": "zz"},
        {"recording": {"mode": "sometimes"}},
        {"recording": {"unknown": 1}},
        {"recording": {"pre_roll_s": "x"}},
        {"recording": {"pre_roll_s": 1e9}},
        {"recording": {"keep_days": 0}},
        {"recording": {"keep_days": -1}},
        {"recording": {"keep_gb": 0}},
        {"recording": {"mode": "schedule"}},
        {"recording": {"schedule": [{"days": ["monday"], "from": "08:00", "to": "18:00"}]}},
        {"recording": {"schedule": [{"days": [], "from": "08:00", "to": "18:00"}]}},
        {"recording": {"schedule": [{"days": ["mon"], "from": "8", "to": "18:00"}]}},
        {"recording": {"schedule": [{"days": ["mon"], "from": "08:00", "to": "25:00"}]}},
        {"disk": "nowhere"},
        {"unknown": 1},
        {"audio": "yes"},
        {"id": "mine"},
        {"pretend": True},
    ],
)
def test_cameras_that_make_no_sense_are_refused_with_a_remedy(site, changes):
    answer = site.owner.post("/api/cameras", json={**CAMERA, **changes})
    assert answer.status_code == 422, answer.text
    assert answer.json()["remedy"]
    assert site.parts.registry.list() == []


def test_changing_pausing_and_going_on(site):
    site.owner.post("/api/cameras", json={**CAMERA, "password": "old", "username": "u"})
    url = "/api/cameras/front-door-left"
    pin = "AA:" * 31 + "AA"
    schedule = [{"days": ["mon"], "from": "08:00", "to": "18:00"}]
    changes = {
        "name": "Gate",
        "pin_sha256": pin,
        "audio": False,
        "recording": {"keep_days": 3, "schedule": schedule, "mode": "schedule"},
        "disk": "data",
    }
    camera = shapes.Camera.model_validate_json(site.owner.patch(url, json=changes).content)
    assert (camera.name, camera.pin_sha256, camera.audio, camera.disk) == ("Gate", "aa" * 32, False, "data")
    assert (camera.recording.keep_days, camera.recording.record_sub) == (3.0, True)
    assert (camera.username, camera.has_password) == ("u", True)
    assert site.owner.patch(url, json={"paused": True}).json()["recording"]["mode"] == Mode.PAUSED
    assert site.owner.patch(url, json={"paused": False}).json()["recording"]["mode"] == Mode.SCHEDULE
    assert site.owner.patch(url, json={"recording": {"schedule": [], "mode": "paused"}}).status_code == 200
    assert site.owner.patch(url, json={"paused": False}).json()["recording"]["mode"] == Mode.CONTINUOUS
    assert site.owner.patch(url, json={"sub_address": "rtsp://camera.invalid/2"}).json()["sub_address"]
    assert site.owner.patch(url, json={"sub_address": ""}).json()["sub_address"] is None
    assert site.owner.patch("/api/cameras/nobody", json={"name": "x"}).status_code == 404
    assert site.owner.patch("/api/cameras/..%2Fx", json={"name": "x"}).status_code == 405  # no route has such a path


def test_a_password_is_not_carried_to_another_host(site):
    site.owner.post("/api/cameras", json={**CAMERA, "password": "hunter2"})
    url = "/api/cameras/front-door-left"
    assert site.owner.patch(url, json={"address": "rtsp://camera.invalid/other"}).json()["has_password"] is True
    moved = site.owner.patch(url, json={"address": "rtsp://evil.invalid/1"}).json()
    assert moved["has_password"] is False
    assert site.parts.registry.password("front-door-left").reveal() == ""


def test_trying_a_camera_without_a_recorder_says_so(site):
    result = shapes.TestResult.model_validate_json(site.owner.post("/api/cameras/test", json=CAMERA).content)
    assert (result.ok, result.error.code) == (False, "recorder.down")
    answer = site.owner.post("/api/cameras/test", json={**CAMERA, "address": "nonsense"})
    assert answer.status_code == 200
    assert answer.json()["error"]["remedy"]


def test_what_is_tried_reaches_the_recorder_with_the_password_only_for_its_own_host(site, monkeypatch):
    site.owner.post("/api/cameras", json={**CAMERA, "password": "hunter2"})
    asked = []

    async def test(camera, password):
        asked.append((camera.main.address, password.reveal()))
        return failed("x", "y", "z")

    monkeypatch.setattr(site.parts.hub, "test", test)
    url = "/api/cameras/test?camera=front-door-left"
    site.owner.post(url, json=CAMERA)
    site.owner.post(url, json={**CAMERA, "address": "rtsp://evil.invalid/1"})
    site.owner.post(url, json={**CAMERA, "password": "typed"})
    assert asked == [
        ("rtsp://camera.invalid/1", "hunter2"),
        ("rtsp://evil.invalid/1", ""),
        ("rtsp://camera.invalid/1", "typed"),
    ]


def test_removing_asks_what_becomes_of_the_footage(site):
    site.owner.post("/api/cameras", json=CAMERA)
    now = site.clock.now_90k()
    held, _ = record(site, "front-door-left", now - 600 * TICKS)
    record(site, "front-door-left", now - 400 * TICKS)
    record(site, "front-door-left", now - 400 * TICKS, stream="sub")
    hold = {"camera": "front-door-left", "start_90k": held.start_90k, "end_90k": held.end_90k, "reason": "case 7"}
    assert site.owner.post("/api/holds", json=hold).status_code == 201
    url = "/api/cameras/front-door-left"
    assert site.owner.delete(url).status_code == 422
    assert site.owner.delete(f"{url}?footage=maybe").status_code == 422
    assert site.parts.registry.list()
    assert site.owner.delete(f"{url}?footage=delete").status_code == 204
    assert site.parts.registry.list() == []
    assert len(site.parts.catalogue.doomed()) == 2  # all but what is held
    site.clock.advance(86_400)
    assert site.parts.catalogue.ledger("front-door-left", 0, 1 << 60).to_90k == now  # and there it ends
    assert site.owner.delete(f"{url}?footage=delete").status_code == 404


def test_deleting_waits_for_the_recorder_to_close_its_file(site, monkeypatch):
    site.owner.post("/api/cameras", json=CAMERA)
    segment, _ = record(site, "front-door-left", site.clock.now_90k() - 60 * TICKS, sha256=None)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            site.parts.catalogue.upsert([msgspec.structs.replace(segment, sha256=b"h" * 32)])

    monkeypatch.setattr(site.clock, "sleep", sleep)
    assert site.owner.delete("/api/cameras/front-door-left?footage=delete").status_code == 204
    assert len(waits) == 3
    assert len(site.parts.catalogue.doomed()) == 1


def test_one_damaged_camera_file_does_not_hide_the_others(site):
    site.owner.post("/api/cameras", json=CAMERA)
    (site.folder.cameras / "broken.toml").write_text("name = ")
    assert len(site.owner.get("/api/cameras").json()["cameras"]) == 1
    assert site.owner.get("/api/session").status_code == 200


# ------------------------------------------------------------------------------------------------ footage


def test_footage_routes_answer_their_shapes(site):
    start = site.clock.now_90k() - 600 * TICKS
    record(site, "yard", start)
    span = f"from={start}&to={start + 600 * TICKS}"
    timeline = site.owner.get(f"/api/timeline?camera=yard&camera=..&{span}&px=100")
    assert list(shapes.Timeline.model_validate_json(timeline.content).cameras) == ["yard"]
    ledger = shapes.Ledger.model_validate_json(site.owner.get(f"/api/ledger?camera=yard&{span}").content)
    assert ledger.recorded_90k + ledger.off_90k + ledger.lost_90k == ledger.total_90k > 0
    listed = shapes.SegmentList.model_validate_json(
        site.owner.get(f"/api/segments?camera=yard&stream=main&{span}").content
    )
    assert listed.segments[0].tracks[0].config == b64(b"c")


def test_nothing_there_says_where_there_is_something(site):
    start = site.clock.now_90k() - 600 * TICKS
    record(site, "yard", start)
    answer = site.owner.get(f"/api/at?camera=yard&stream=main&at={start - 5}")
    assert answer.status_code == 404
    problem = answer.json()
    assert (problem["code"], problem["next_90k"], problem["prev_90k"]) == ("not-found", start, None)
    assert site.owner.get(f"/api/at?camera=yard&stream=main&at={start - 5}&dir=near").status_code == 200


@pytest.mark.parametrize(
    ("range_", "status", "start", "end"),
    [
        (None, 200, 0, 1000),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-", 206, 100, 1000),
        ("bytes=-10", 206, 990, 1000),
        ("bytes=-5000", 206, 0, 1000),
        ("bytes=990-5000", 206, 990, 1000),
        ("BYTES= 5-6", 206, 5, 7),
        ("bytes=0-1,5-6", 200, 0, 1000),
        ("bytes=6-5", 200, 0, 1000),
        ("bytes=-", 200, 0, 1000),
        ("lines=0-1", 200, 0, 1000),
        ("bytes=999999999999999999999-", 200, 0, 1000),
        ("bytes=1000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
def test_ranges(site, range_, status, start, end):
    segment, data = record(site, "yard", site.clock.now_90k() - 600 * TICKS)
    headers = {} if range_ is None else {"range": range_}
    answer = site.owner.get(f"/api/footage/yard/main/{segment.kid.hex()}", headers=headers)
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["content-range"] == "bytes */1000"
        return
    assert answer.content == data[start:end]
    assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
    assert answer.headers["accept-ranges"] == "bytes"
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1000"


def test_what_grows_is_not_kept_by_browsers_and_ends_where_the_index_says(site):
    segment, data = record(site, "yard", site.clock.now_90k() - 60 * TICKS, sha256=None)
    answer = site.owner.get(f"/api/footage/yard/main/{segment.kid.hex()}")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == data


def test_keys_are_handed_out_as_they_are(site):
    (site.folder.keys / "yard").mkdir()
    (site.folder.keys / "yard" / ("ab" * 8 + ".age")).write_bytes(b"wrapped")
    answer = site.owner.get("/api/keys/yard/" + "ab" * 8)
    assert (answer.content, answer.headers["cache-control"]) == (b"wrapped", "private, max-age=86400, immutable")
    for path in ("/api/keys/yard/" + "cd" * 8, "/api/keys/..%2Fsecrets/x", "/api/keys/yard/..%2F..%2Ffacts.db"):
        assert site.owner.get(path).status_code == 404


def test_holds(site):
    site.owner.post("/api/cameras", json={**CAMERA, "name": "yard"})
    hold = {"camera": "yard", "start_90k": 5, "end_90k": 10, "reason": " case "}
    made = shapes.Hold.model_validate_json(site.owner.post("/api/holds", json=hold).content)
    assert made.reason == "case"
    assert shapes.HoldList.model_validate_json(site.owner.get("/api/holds").content).holds == [made]
    assert site.owner.post("/api/holds", json={**hold, "end_90k": 5}).status_code == 422
    assert site.owner.post("/api/holds", json={**hold, "camera": "nobody"}).status_code == 404
    assert site.owner.post("/api/holds", json={**hold, "camera": "../x"}).status_code == 404
    assert site.owner.delete(f"/api/holds/{made.id}").status_code == 204
    assert site.owner.delete(f"/api/holds/{made.id}").status_code == 404


# ------------------------------------------------------------------------------------------------ storage, system


def test_storage_and_how_long_footage_stays(site):
    site.owner.post("/api/cameras", json={**CAMERA, "name": "yard"})
    record(site, "yard", site.clock.now_90k() - 60 * TICKS)
    facts = shapes.Storage.model_validate_json(site.owner.get("/api/storage").content)
    assert (facts.keep_days, facts.cameras[0].bytes) == (14.0, 1000)
    assert (facts.disks[0].state, facts.disks[0].footage_bytes) == ("ok", 1000)
    assert site.owner.patch("/api/storage", json={"keep_days": 30}).json()["keep_days"] == 30.0
    assert site.owner.get("/api/storage").json()["keep_days"] == 30.0
    for wrong in (0, -1, "x", 1e9):
        assert site.owner.patch("/api/storage", json={"keep_days": wrong}).status_code == 422


def test_a_disk_that_is_gone_is_said_so(site):
    (site.folder.root / MARKER).unlink()
    (disk,) = site.owner.get("/api/storage").json()["disks"]
    assert (disk["state"], disk["total_bytes"]) == ("missing", 0)
    assert site.owner.get("/api/metrics").status_code == 200


def test_system_tells_each_process(site):
    site.folder.write_status("recorder", {"role": "recorder", "pid": os.getpid(), "cpu_s": 1.5, "rss_bytes": 7})
    site.folder.write_status(
        "supervisor", {"pid": os.getpid(), "roles": {"recorder": {"pid": 1, "restarts": 2}, "web": {}}}
    )
    facts = shapes.System.model_validate_json(site.owner.get("/api/system").content)
    assert [(p.role, p.alive, p.restarts) for p in facts.processes] == [("recorder", True, 2), ("web", False, 0)]


SAMPLE = re.compile(r'closedcircuit_[a-z_]+(\{([a-z_]+="([^"\\]|\\.)*",?)*\})? [0-9.e+-]+')


def test_metrics_are_prometheus_text(site):
    site.owner.post("/api/cameras", json={**CAMERA, "name": "yard"})
    record(site, "yard", site.clock.now_90k() - 60 * TICKS)
    site.folder.write_status("recorder", {"pid": 1, "writer": {"written_bytes": 5, "queue_bytes": 0}})
    answer = site.owner.get("/api/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)
    assert 'closedcircuit_cameras{state="gone"} 1' in lines
    assert 'closedcircuit_footage_bytes{camera="yard"} 1000' in lines
    assert "closedcircuit_written_bytes 5" in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


# ------------------------------------------------------------------------------------------------ pages


def test_pages_and_their_caching(bare):
    index = bare.stranger.get("/")
    assert index.headers["cache-control"] == "no-store"
    assert index.headers["content-type"].startswith("text/html")
    script = bare.stranger.get("/assets/console-abc123.js")
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["content-encoding"] == "gzip"
    plain = bare.stranger.get("/assets/console-abc123.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == script.text
    assert bare.stranger.get("/icon.svg").headers["content-type"].startswith("image/svg+xml")


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../../../outside.txt",
        "/assets/..%2f..%2f..%2foutside.txt",
        "/%2e%2e/outside.txt",
        "//etc/passwd",
        "/assets/link.txt",
        "/.stamp",
        "/assets/",
        "/index.html%00",
        "/assets",
    ],
)
def test_no_address_leads_out_of_the_pages(bare, path):
    answer = bare.stranger.get(path)
    assert answer.status_code == 404
    assert "not for you" not in answer.text
    assert "secret" not in answer.text
    assert "/" in answer.text


def test_pages_of_a_new_build_are_noticed_and_missing_ones_explained(bare, static):
    (static / "index.html").write_text("new")
    os.utime(static / "index.html", ns=(1, 1))
    assert bare.stranger.get("/").text == "new"
    (static / "assets" / "late-1.js").write_text("late")
    assert bare.stranger.get("/assets/late-1.js").text == "late"
    for path in sorted(static.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    answer = bare.stranger.get("/")
    assert answer.status_code == 503
    assert "./dev run" in answer.text
