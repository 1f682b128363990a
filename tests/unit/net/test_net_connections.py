# SPDX-License-Identifier: Apache-2.0
"""Connections over real loopback sockets: opening, bounds, errors in words, TLS with pin, CA and neither."""

import hashlib
import ssl
import stat
import tempfile
import time
from pathlib import Path

import pytest
import trustme

from closedcircuit.base import ManualClock
from closedcircuit.base.errors import CertificateRefused, ConfigError, NetError
from closedcircuit.net import (
    Connection,
    Listener,
    TlsIdentity,
    TlsPolicy,
    live_socket_path,
    unix_listen,
)
from closedcircuit.net import dial as really_dial
from closedcircuit.net import listen_tcp as really_listen_tcp
from closedcircuit.net import unix_connect as really_unix_connect

KEPT: list[Connection | Listener] = []


def keep(what):
    KEPT.append(what)
    return what


def dial(*args, **kwargs) -> Connection:
    return keep(really_dial(*args, **kwargs))


def listen_tcp(*args, **kwargs) -> Listener:
    return keep(really_listen_tcp(*args, **kwargs))


def unix_connect(path: Path) -> Connection:
    return keep(really_unix_connect(path))


@pytest.fixture(autouse=True)
def close_all():
    yield
    while KEPT:
        KEPT.pop().close()


def meet(client: Connection, listener: Listener) -> Connection:
    """Drive both ends until both are open; give the server's."""
    server: Connection | None = None
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if server is None:
            server = listener.accept()
        ours = client.progress()
        if server is not None and server.progress() and ours:
            return keep(server)
        time.sleep(0.001)
    raise AssertionError("they did not meet")


def read(connection: Connection, size: int) -> bytes:
    got, buffer = b"", bytearray(65536)
    end = time.monotonic() + 10
    while len(got) < size and time.monotonic() < end:
        count = connection.recv_into(buffer)
        if count is None:
            time.sleep(0.001)
            continue
        if count == 0:
            break
        got += buffer[:count]
    return got


def until_fails(connection: Connection) -> NetError:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            connection.progress()
        except NetError as error:
            return error
        time.sleep(0.001)
    raise AssertionError("it did not fail")


@pytest.fixture
def listener():
    made = listen_tcp()
    yield made
    made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_bytes_pass_both_ways(listener, host):
    client = dial(host, listener.port)
    client.send(b"early")  # before it is open
    server = meet(client, listener)
    client.flush()
    assert read(server, 5) == b"early"
    assert server.send(b"answer")
    assert read(client, 6) == b"answer"
    assert client.recv_into(bytearray(10)) is None
    server.close()
    assert read(client, 1) == b""
    client.close()
    assert client.recv_into(bytearray(1)) == 0
    assert client.fileno() == -1


def test_nothing_listens_is_said_in_words():
    gone = listen_tcp()
    port = gone.port
    gone.close()
    error = until_fails(dial("127.0.0.1", port))
    assert "nothing listens there" in str(error)
    assert "port" in error.remedy


def test_a_name_that_is_none():
    error = until_fails(dial("no-such-host.invalid", 554))
    assert "no such name" in str(error)


def test_the_deadline_is_kept(listener):
    clock = ManualClock()
    # 192.0.2.0/24 is for documentation (RFC 5737): where there is a route at all, nobody answers.
    client = dial("192.0.2.1", 554, clock=clock, timeout_s=5)
    try:
        client.progress()
    except NetError:
        return  # this machine says at once that there is no way
    clock.advance(5.1)
    assert "no answer in time" in str(until_fails(client))


def test_the_out_buffer_is_bounded_and_takes_whole_messages(listener):
    client = dial("127.0.0.1", listener.port, out_limit=100_000)
    server = meet(client, listener)
    sent = []
    for number in range(10_000):
        message = bytes([number % 256]) * 10_000
        if not client.send(message):
            break
        sent.append(message)
    assert client.unsent <= 100_000 + 10_000
    assert not client.send(b"x" * 200_000)
    wanted = b"".join(sent)
    got, buffer = bytearray(), bytearray(1 << 20)
    end = time.monotonic() + 10
    while len(got) < len(wanted) and time.monotonic() < end:
        client.flush()
        count = server.recv_into(buffer)
        got += buffer[: count or 0]
    assert bytes(got) == wanted
    assert client.unsent == 0


def test_a_broken_connection_is_an_error_of_ours(listener):
    client = dial("127.0.0.1", listener.port)
    server = meet(client, listener)
    server.close()
    with pytest.raises(NetError):  # noqa: PT012 - how many sends it takes is the kernel's business
        for _ in range(1000):
            client.send(b"x" * 100_000)
            client.flush()


def test_a_port_can_be_taken_only_once(listener):
    with pytest.raises(NetError, match="cannot listen"):
        listen_tcp("127.0.0.1", listener.port)


# ---------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def identity(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return TlsIdentity(str(folder / "cert.pem"), str(folder / "key.pem"))


@pytest.fixture
def secure(identity):
    made = listen_tcp(tls=identity)
    yield made
    made.close()


def fingerprint(identity: TlsIdentity) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(identity.certificate_file).read_text())).hexdigest()


def test_tls_by_pin_and_by_ca(secure, identity):
    ca_file = str(Path(identity.certificate_file).with_name("ca.pem"))
    pin = ":".join(fingerprint(identity)[i : i + 2] for i in range(0, 64, 2)).upper()
    for policy in (TlsPolicy(pin_sha256=pin), TlsPolicy(ca_file=ca_file)):
        client = dial("127.0.0.1", secure.port, tls=policy)
        server = meet(client, secure)
        big = bytes(range(256)) * 2000
        assert server.send(big[:200_000])
        assert read(client, 200_000) == big[:200_000]
        client.close()
        server.close()


def fail_against(secure: Listener, policy: TlsPolicy) -> NetError:
    client = dial("127.0.0.1", secure.port, tls=policy)
    server = None
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if server is None and (server := secure.accept()) is not None:
            keep(server)
        try:
            if server is not None:
                server.progress()
        except NetError:
            pass  # the client left
        try:
            client.progress()
        except NetError as error:
            return error
    raise AssertionError("it did not fail")


def test_another_certificate_than_the_pinned_one_is_shown(secure, identity):
    error = fail_against(secure, TlsPolicy(pin_sha256="0" * 64))
    assert isinstance(error, CertificateRefused)
    assert error.sha256 == fingerprint(identity)
    assert error.sha256 in str(error)


def test_an_unknown_authority_is_refused(secure):
    assert isinstance(fail_against(secure, TlsPolicy()), CertificateRefused)


def test_a_pin_that_is_none_is_refused_at_once():
    with pytest.raises(ConfigError):
        dial("127.0.0.1", 1, tls=TlsPolicy(pin_sha256="abc"))
    with pytest.raises(ConfigError):
        dial("127.0.0.1", 1, tls=TlsPolicy(ca_file="/no/such/file"))


def test_no_tls_at_the_other_end(listener):
    client = dial("127.0.0.1", listener.port, tls=TlsPolicy(pin_sha256="0" * 64))
    end = time.monotonic() + 10
    server = None
    with pytest.raises(NetError, match="no TLS there"):  # noqa: PT012 - a handshake takes turns
        while time.monotonic() < end:
            if server is None:
                server = listener.accept()
                if server is not None:
                    keep(server).send(b"RTSP/1.0 400 Bad Request\r\n\r\n")
            client.progress()


# ---------------------------------------------------------------------------------------------------- Unix sockets


def test_unix_sockets(tmp_path):
    path = tmp_path / "live.sock"
    with pytest.raises(NetError, match="nobody there"):
        unix_connect(path)
    listener = unix_listen(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client = unix_connect(path)
    server = meet(client, listener)
    client.send(b"hello")
    assert read(server, 5) == b"hello"
    with pytest.raises(NetError, match="already"):
        unix_listen(path)
    listener.socket.close()  # as a crash: the name stays
    again = unix_listen(path)
    keep(again)
    assert unix_connect(path).is_open
    again.close()
    assert not path.exists()


def test_the_live_socket_lies_in_the_data_folder():
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        path = live_socket_path(Path(short))
        assert path == Path(short) / "run" / "live.sock"
        assert path.parent.is_dir()


def test_the_live_socket_has_a_place_even_when_the_data_folder_is_deep(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    deep = tmp_path / ("d" * 100)
    path = live_socket_path(deep)
    assert len(str(path)) <= 100
    assert path == live_socket_path(deep)
    assert path != live_socket_path(tmp_path / ("e" * 100))
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.chmod(0o755)
    with pytest.raises(NetError, match="not ours"):
        live_socket_path(deep)
    path.parent.rmdir()
