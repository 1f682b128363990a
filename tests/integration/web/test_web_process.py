# SPDX-License-Identifier: Apache-2.0
"""The process itself: quiet, patient only so far, served over TLS where configured, stopped in time."""

import contextlib
import json
import signal
import socket as sockets
import ssl
import subprocess
import sys
import threading
import time

import httpx2
import pytest
import trustme
from websockets.sync.client import connect

from closedcircuit.api import gate
from closedcircuit.api import sockets as api_sockets
from closedcircuit.api.serve import run_web
from closedcircuit.app import DataFolder
from closedcircuit.base import SystemClock, SystemIds
from closedcircuit.base.errors import NetError
from closedcircuit.live.wire import KEY


def test_role_prints_nothing_says_how_it_is_and_ends_on_sigterm(tmp_path, until):
    folder = DataFolder(tmp_path / "data")
    folder.create()
    (folder.run / "port").write_text("0")
    command = [sys.executable, "-m", "closedcircuit.app.role", "web", "--data", str(folder.root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        status = until(lambda: folder.read_status("web"), 30)
        assert (status["role"], status["pid"], status["alive"]) == ("web", process.pid, True)
        assert status["rss_bytes"] > 1 << 20
        assert all(where.startswith(("127.0.0.1:", "[::1]:")) for where in status["listening"])
        port = status["listening"][0].rpartition(":")[2]
        client = httpx2.Client(base_url=f"http://localhost:{port}", trust_env=False)
        with client:
            assert client.get("/api/session").json()["owner"] is False
            assert client.get("/api/cameras").status_code == 401
            assert client.get("/nothing").status_code == 404
        until(lambda: folder.read_status("web")["at_90k"] > status["at_90k"])
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_port_that_is_taken_is_said_in_words(tmp_path):
    with sockets.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        folder = DataFolder(tmp_path)
        folder.create()
        (folder.run / "port").write_text(str(other.getsockname()[1]))
        with pytest.raises(NetError) as refused:
            run_web(tmp_path, SystemClock(), SystemIds(), threading.Event())
        assert refused.value.remedy


def test_tls_with_a_certificate_of_ones_own(tmp_path, until):
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    folder = DataFolder(tmp_path / "data")
    folder.create()
    (folder.run / "port").write_text("0")
    issued.private_key_pem.write_to_path(folder.root / "key.pem")
    (folder.root / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    text = f'[web]\ntls_cert_file = "{folder.root}/cert.pem"\ntls_key_file = "{folder.root}/key.pem"\n'
    (folder.root / "config.toml").write_text(text)
    stop = threading.Event()
    thread = threading.Thread(target=run_web, args=(folder.root, SystemClock(), SystemIds(), stop))
    thread.start()
    try:
        port = until(lambda: folder.read_status("web"))["listening"][0].rpartition(":")[2]
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with httpx2.Client(base_url=f"https://localhost:{port}", verify=context, trust_env=False) as client:
            assert client.get("/api/session").status_code == 200
            refused = client.get("/api/session", headers={"host": "evil.example"})
            assert refused.status_code == 421
        with pytest.raises(Exception, match="401"):
            connect(f"wss://localhost:{port}/api/live", origin=f"https://localhost:{port}", ssl=context, proxy=None)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def raw(site):
    made = sockets.create_connection(("127.0.0.1", site.port))
    made.settimeout(10)
    return made


def test_a_connection_that_asks_nothing_is_closed(monkeypatch, site):
    monkeypatch.setattr(api_sockets, "REQUEST_WITHIN_S", 0.3)
    with raw(site) as silent:
        silent.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert silent.recv(100) == b""
    site.sign_in()
    with site.live() as live:  # an upgraded connection is not one that asks nothing
        time.sleep(0.6)
        assert json.loads(live.recv(timeout=10))["type"] == "state"


def test_a_body_that_does_not_come_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr(gate, "BODY_WITHIN_S", 0.3)
    with raw(site) as slow:
        slow.sendall(
            f"POST /api/login HTTP/1.1\r\nHost: localhost:{site.port}\r\nOrigin: {site.base}\r\n"
            "Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{".encode()
        )
        answer = slow.recv(4000)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"request.slow" in answer + slow.recv(4000)


def test_it_listens_on_both_loopback_addresses(site):
    with httpx2.Client(base_url=f"http://[::1]:{site.port}", trust_env=False) as client:
        assert client.get("/api/session").status_code == 200


def test_stopping_does_not_wait_for_a_viewer_that_takes_nothing(site, caplog):
    site.sign_in()
    with site.recorder(["yard"]) as recorder, site.live(max_size=None, max_queue=1, close_timeout=0) as live:
        live.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        live.send(json.dumps({"watch": [{"camera": "yard", "stream": "main"}]}))
        recorder.call(recorder.until_watched("yard"))
        for _ in range(40):
            recorder.soon(recorder.sample, "yard", bytes(500_000), flags=KEY)
            recorder.call(recorder.drain())
        site.stop()
    assert "graceful shutdown exceeded" not in caplog.text
