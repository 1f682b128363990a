# SPDX-License-Identifier: Apache-2.0
"""What every request passes and every answer carries, asked of every route there is."""

import re
import subprocess
import sys

import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.websockets import WebSocketDisconnect

from closedcircuit.api import openapi
from closedcircuit.api.application import ROUTERS, build_routes
from closedcircuit.api.gate import BODY_BYTES_MAX, OPEN, SECURITY_HEADERS, host_name
from closedcircuit.api.shapes import Problem

ROUTES = sorted(
    (method, route.path)
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)
SOCKETS = [route.path for router in ROUTERS for route in router.routes if isinstance(route, APIWebSocketRoute)]
CSP = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


def filled(path):
    return re.sub(r"\{[^}]*\}", "x", path)


def is_dressed(answer):
    assert answer.headers["content-security-policy"] == CSP
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert "server" not in answer.headers
    assert "cache-control" in answer.headers


def is_problem(answer, status, code=None):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == status
    assert problem.detail
    assert problem.remedy
    if code:
        assert problem.code == code
    is_dressed(answer)
    return problem


def test_there_are_routes_and_the_description_has_the_same():
    assert len(ROUTES) > 20
    described = {(method.upper(), path) for path, methods in openapi()["paths"].items() for method in methods}
    assert described == set(ROUTES)
    assert set(ROUTES) >= OPEN
    assert all(path.startswith("/api/") for _, path in ROUTES)
    assert SOCKETS == ["/api/live"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_stranger_gets_401_everywhere_but_where_it_is_open(bare, method, path):
    answer = bare.stranger.request(method, filled(path))
    if (method, path) in OPEN:
        assert answer.status_code != 401
        is_dressed(answer)
    else:
        is_problem(answer, 401, "access.denied")


@pytest.mark.parametrize("path", ["/api/", "/api/nothing", "/api/cameras/x/y", "/api/session/", "/api/../api/cameras"])
def test_a_stranger_does_not_learn_what_there_is(bare, path):
    answer = bare.stranger.get(path)
    assert answer.status_code in {401, 404}
    if path.startswith("/api/") and ".." not in path:
        assert answer.status_code == 401


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 5000, '"', "é", "a; b=c"])
def test_a_made_up_session_opens_nothing(site, token):
    cookie = f"cc_session={token}".encode("utf-8", "surrogateescape")
    answer = site.stranger.get("/api/cameras", headers=[(b"cookie", cookie)])
    is_problem(answer, 401)


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[0] != "GET"])
@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://localhost.evil.example", "http://localhost:81", "localhost"]
)
def test_what_changes_something_must_come_from_our_own_page(site, method, path, origin):
    site.owner.headers.pop("origin")
    headers = {} if origin is None else {"origin": origin}
    is_problem(site.owner.request(method, filled(path), headers=headers), 403, "access.origin")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_is_dressed(site, method, path):
    is_dressed(site.owner.request(method, filled(path)))


@pytest.mark.parametrize("path", ["/", "/nothing", "/assets/console-abc123.js", "/docs", "/redoc", "/openapi.json"])
def test_pages_are_dressed_and_there_are_no_documentation_pages(bare, path):
    answer = bare.stranger.get(path)
    is_dressed(answer)
    assert (answer.status_code == 404) == (path not in {"/", "/assets/console-abc123.js"})
    assert "cdn" not in answer.text


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost", True),
        ("LOCALHOST:8470", True),
        ("127.0.0.1:8470", True),
        ("[::1]:8470", True),
        ("nvr.example", True),
        ("nvr.lan", True),
        ("nvr.lan.:80", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("192.168.1.1", False),
        ("", False),
        ("[::1", True),
        ("[", False),
    ],
)
def test_only_names_of_ours_are_answered(bare, host, known):
    answer = bare.stranger.get("/api/session", headers={"host": host})
    if known:
        assert answer.status_code == 200
    else:
        is_problem(answer, 421, "request.host")


def test_the_address_that_a_connection_came_in_at_is_a_name_of_ours(bare):
    browser = bare.browser("http://192.168.1.20:8470")
    assert browser.get("/api/session").status_code == 200


@pytest.mark.parametrize(
    ("host", "name"),
    [("A.B.:1", "a.b"), ("[::1]:1", "::1"), ("[::1]", "::1"), (" x ", "x"), ("[", ""), (":80", "")],
)
def test_names_of_hosts(host, name):
    assert host_name(host) == name


def test_bodies_are_bounded_announced_or_not(site):
    is_problem(site.owner.post("/api/holds", content=b"x" * (BODY_BYTES_MAX + 1)), 413, "request.too-large")

    def endless():
        for _ in range(10_000):
            yield b"x" * 65_536

    answer = site.owner.post("/api/holds", content=endless(), headers={"content-type": "application/json"})
    is_problem(answer, 413)
    is_problem(site.owner.post("/api/holds", headers={"content-length": "-5"}), 400)
    is_problem(site.owner.post("/api/holds", headers={"content-length": "9" * 50}), 413)


def test_a_bug_is_a_problem_and_says_nothing_about_itself(site, monkeypatch):
    def burst(*_):
        raise ZeroDivisionError("the secret reason")

    monkeypatch.setattr(type(site.parts.catalogue), "holds", burst)
    answer = site.owner.get("/api/holds")
    is_problem(answer, 500, "bug")
    assert "secret" not in answer.text


def test_methods_that_are_not_there(site):
    is_problem(site.owner.put("/api/cameras"), 405)
    is_problem(site.owner.get("/api/nothing"), 404, "not-found")
    is_problem(site.owner.post("/assets/console-abc123.js"), 405)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"origin": "http://evil.example"}, 403), ({"host": "evil.example"}, 421), ({}, 401)],
)
def test_websockets_pass_the_same_gate(bare, headers, status):
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        bare.stranger.websocket_connect("ws://localhost/api/live", headers=headers),
    ):
        pass
    is_problem(refused.value, status)


def test_telemetry_is_off_even_where_the_environment_asks_for_it(monkeypatch):
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    app = build_routes()
    config = app._telemetry
    assert not any(config[name] for name in ("tracing", "metrics", "logs", "operation_spans", "auto_configure"))
    assert not app._native_telemetry.enabled()


def test_web_process_loads_no_media_and_no_arrays():
    program = (
        "import sys, closedcircuit.api.serve as s; print(*(m for m in ('av', 'numpy', 'typer') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_description_is_whole():
    described = openapi()
    assert described["openapi"].startswith("3.1")
    for path, methods in described["paths"].items():
        for method, what in methods.items():
            assert what.get("description"), (method, path)
            assert any(code.startswith("2") for code in what["responses"]), (method, path)
