# SPDX-License-Identifier: Apache-2.0
"""Passwords, wrong ones too; certificates; being sent elsewhere."""

import time

import pytest
import trustme

from closedcircuit.base import Secret
from closedcircuit.cameras import probe
from closedcircuit.model import Camera, Cause, Source
from closedcircuit.net import TlsIdentity


@pytest.mark.parametrize("sign_in", ["digest", "sha-256", "basic"])
def test_signing_in(stage, sign_in):
    camera = stage.camera(username="Jürgen", password='p"ä@ss', sign_in=sign_in)
    sink = stage.watch(camera.address, "Jürgen", 'p"ä@ss')
    stage.run(3)
    assert len(sink.video) > 60
    assert camera.connections == 1


def test_credentials_in_the_address(stage):
    camera = stage.camera(username="u", password="p/w")
    sink = stage.watch(camera.address.replace("://", "://u:p%2Fw@"))
    stage.run(3)
    assert len(sink.video) > 60


@pytest.mark.parametrize("sign_in", ["digest", "sha-256", "basic"])
def test_a_wrong_password_is_refused_once_per_attempt(stage, sign_in):
    camera = stage.camera(username="u", password="right", sign_in=sign_in)
    sink = stage.watch(camera.address, "u", "wrong")
    stage.run(0.6)
    assert [(cause, "password" in detail) for _, cause, detail in sink.ends] == [(Cause.REFUSED, True)]
    assert camera.requests == ["OPTIONS", "OPTIONS"]
    assert stage.health()["state"] == "gone"


def test_no_password_and_an_unknown_sign_in(stage):
    camera, other = (
        stage.camera(username="u", password="p"),
        stage.camera(username="u", password="p", sign_in="unknown"),
    )
    first, second = stage.watch(camera.address), stage.watch(other.address, "u", "p", name="b")
    stage.run(0.6)
    assert "asks for a name and a password" in first.ends[0][2]
    assert "kind of sign-in" in second.ends[0][2]


def test_a_stale_nonce_is_renewed_in_mid_stream(stage):
    camera = stage.camera(
        username="u", password="p", sign_in="sha-256", nonce_uses=3, timeout_s=4, public="OPTIONS, GET_PARAMETER"
    )
    sink = stage.watch(camera.address, "u", "p")
    stage.run(10)
    assert sink.ends == []
    assert camera.requests.count("GET_PARAMETER") > 4
    assert len(sink.video) > 240


def redirect(url: str) -> str:
    return f"RTSP/1.0 302 Moved Temporarily\r\nCSeq: {{cseq}}\r\nLocation: {url}"


def test_being_sent_elsewhere(stage):
    there = stage.camera()
    here = stage.camera(answers={"DESCRIBE": redirect(there.address)})
    sink = stage.watch(here.address)
    stage.run(3)
    assert len(sink.video) > 60
    assert sink.ends == []


def test_being_sent_round_and_round(stage):
    here = stage.camera()
    here.manners.answers["OPTIONS"] = redirect(here.address)
    sink = stage.watch(here.address)
    stage.run(0.7)
    assert "address to address" in sink.ends[0][2]
    assert here.connections == 6


def test_no_password_in_clear_for_another_host(stage):
    there = stage.camera(username="u", password="p", sign_in="basic")
    here = stage.camera(answers={"DESCRIBE": redirect(there.address.replace("127.0.0.1", "localhost"))})
    sink = stage.watch(here.address, "u", "p")
    # The name is looked up in a thread: real time has to pass as well.
    stage.until(lambda: time.sleep(0.01) or sink.ends)
    assert "another host" in sink.ends[0][2]


# ---------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return TlsIdentity(str(folder / "cert.pem"), str(folder / "key.pem"))


def test_rtsps_with_a_ca_and_with_a_pin(stage, identity):
    camera = stage.camera(tls=identity)
    by_ca = stage.watch(camera.address, ca_file=identity.certificate_file.replace("cert.pem", "ca.pem"))
    untrusted = stage.watch(camera.address, name="b")
    stage.run(3)
    assert len(by_ca.video) > 55
    assert untrusted.ends[0][1] is Cause.REFUSED
    result = try_(stage, camera.address)
    assert result["error"]["code"] == "net.certificate"
    pin = result["error"]["message"].rsplit(" ", 1)[1]
    assert len(pin) == 64
    by_pin = stage.watch(camera.address, name="c", pin_sha256=pin)
    wrong = stage.watch(camera.address, name="d", pin_sha256="1" * 64)
    stage.run(3)
    assert len(by_pin.video) > 55
    assert pin in wrong.ends[0][2]
    assert stage.health("d")["state"] == "gone"


def test_not_from_tls_to_none(stage, identity):
    plain = stage.camera()
    camera = stage.camera(tls=identity, answers={"OPTIONS": redirect(plain.address)})
    sink = stage.watch(camera.address, ca_file=identity.certificate_file.replace("cert.pem", "ca.pem"))
    stage.until(lambda: sink.ends)
    assert "without TLS" in sink.ends[0][2]
    assert plain.connections == 0


# ---------------------------------------------------------------------------------------------------- trying one


def try_(stage, address: str, username="", password="", timeout_s=10.0, **source) -> dict:
    """`probe`, with the fake cameras swept whenever it sleeps."""
    clock = stage.clock
    plain = clock.sleep

    def sleep(seconds: float) -> None:
        for camera in stage.cameras:
            camera.sweep()
        plain(seconds)

    clock.sleep = sleep
    try:
        camera = Camera(id="new", name="New", main=Source(address=address, **source), username=username)
        return probe(camera, Secret(password), clock, stage.receiver._ids, timeout_s)
    finally:
        del clock.sleep


def test_the_test_of_a_good_camera(stage):
    camera = stage.camera(audio="m=audio 0 RTP/AVP 0", username="u", password="p")
    result = try_(stage, camera.address, "u", "p")
    assert result["ok"]
    assert result["error"] is None
    assert [track["codec"] for track in result["tracks"]] == ["h264", "pcmu"]
    assert result["tracks"][0]["width"] == 320
    assert isinstance(result["tracks"][0]["config"], str)
    assert 20 <= result["fps"] <= 30
    assert 0 <= result["first_picture_ms"] < 1000
    assert result["kbps"] > 100


@pytest.mark.parametrize(
    ("manners", "code", "words"),
    [
        ({"username": "u", "password": "other"}, "camera.refused", "password"),
        ({"answers": {"DESCRIBE": "RTSP/1.0 404 Not Found\r\nCSeq: {cseq}"}}, "camera.refused", "/stream"),
        ({"answers": {"DESCRIBE": "RTSP/1.0 403 Forbidden\r\nCSeq: {cseq}"}}, "camera.refused", "forbids"),
        ({"answers": {"SETUP": "RTSP/1.0 461 Unsupported Transport\r\nCSeq: {cseq}"}}, "camera.refused", "TCP"),
        ({"answers": {"SETUP": "RTSP/1.0 453 Not Enough Bandwidth\r\nCSeq: {cseq}"}}, "camera.refused", "bandwidth"),
        ({"answers": {"PLAY": "RTSP/1.0 503 Busy\r\nCSeq: {cseq}"}}, "camera.broken", "trouble"),
        ({"close_at": "accept"}, "camera.unreachable", "connection"),
        ({"answers": {"OPTIONS": ""}}, "camera.unreachable", "within 3 s"),
        (
            {
                "answers": {
                    "DESCRIBE": "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nContent-Length: 35\r\n\r\n"
                    "v=0\r\ns=x\r\nm=audio 0 RTP/AVP 0\r\na=x:y\r\n"
                }
            },
            "camera.broken",
            "no video",
        ),
    ],
)
def test_the_test_of_a_bad_camera_says_what_to_do(stage, manners, code, words):
    result = try_(stage, stage.camera(**manners).address, "u", "p", timeout_s=3)
    assert not result["ok"]
    assert result["error"]["code"] == code
    assert words in result["error"]["message"]
    assert result["error"]["remedy"]


def test_nothing_there(stage):
    camera = stage.camera()
    camera.close()
    stage.cameras.clear()
    result = try_(stage, camera.address)
    assert result["error"]["code"] == "camera.unreachable"
    assert "nothing listens there" in result["error"]["message"]
    assert try_(stage, "rtsp:///x")["error"]["code"] == "config.invalid"
