# SPDX-License-Identifier: Apache-2.0
"""Anything at all, sent by somebody who is signed in, to every route: never a crash, always a problem with a remedy."""

import json
import re
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from closedcircuit.api import bodies
from closedcircuit.api.application import ROUTERS
from closedcircuit.api.shapes import Problem

ROUTES = sorted(
    (method, route.path, tuple(field.alias for field in route.dependant.query_params))
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)
FIELDS = sorted({
    name
    for model in vars(bodies).values()
    if isinstance(model, type) and issubclass(model, bodies.Body)
    for name in model.model_fields
})  # fmt: skip
odd_text = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["", "yard", "main", "sub", "near", "key", "..", "../x", "\0", "0", "-1", "1e99", "9" * 400, "null"]
    ),
    st.sampled_from(["0" * 32, "0" * 16, "rtsp://u:p@h/1", "rtsp://[", "passphrase", "AAAA", "continuous", "é" * 50]),
)
number = st.one_of(st.integers(-(2**70), 2**70), st.integers(0, 2**53), st.floats(allow_nan=False))
scalar = st.one_of(st.none(), st.booleans(), number, odd_text)
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3), max_leaves=8
)
body = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), value, max_size=8).map(lambda found: json.dumps(found).encode()),
    value.map(lambda found: json.dumps(found).encode()),
    st.binary(max_size=60),
    st.just(b"[" * 50_000),
)


def test_the_fields_are_known():
    assert {"token", "address", "keep_days", "start_90k"} <= set(FIELDS)


@pytest.mark.parametrize(("method", "path", "queries"), ROUTES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_crashes(site, method, path, queries, data):
    site.clock.advance(61)  # so that the limit on guessing does not hide what is behind it
    names = re.findall(r"\{([^}]*)\}", path)
    parts = {name: quote(data.draw(odd_text, label=name) or "x", safe="", errors="replace") for name in names}
    url = path.format(**parts)
    query = [(name, data.draw(odd_text, label=name)) for name in queries if data.draw(st.booleans(), label=f"{name}?")]
    content = data.draw(body, label="body") if method in {"POST", "PATCH"} else None
    kind = data.draw(st.sampled_from(["application/json", "text/plain", ""]), label="type")
    url += "?" + "&".join(f"{name}={quote(text, safe='', errors='replace')}" for name, text in query)
    answer = site.owner.request(method, url, content=content, headers={"content-type": kind} if kind else {})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.headers["content-type"].startswith("application/problem+json"):
        problem = Problem.model_validate_json(answer.content)
        assert problem.remedy
        assert problem.status == answer.status_code
    elif answer.status_code >= 400:
        assert "/" in url.partition("/api/")[2]  # a path of no route, answered by the pages
    if path == "/api/logout":
        site.owner.cookies.set("cc_session", site.parts.sessions.open(1, "again"))
