# SPDX-License-Identifier: Apache-2.0
"""What a recorder, or whoever got hold of its socket, could say to the web process."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import ManualClock, SeededIds
from closedcircuit.base.errors import MediaError
from closedcircuit.live import LiveHub
from closedcircuit.live.link import RecorderLink
from closedcircuit.live.wire import FrameKind, FrameReader

CORPUS = sorted((Path(__file__).parent / "live_frames").iterdir())
WORDS = ["camera", "stream", "cameras", "at_90k", "id", "ok", "yard", "main"]
FINE = {"well", "tested_unasked", "type_of_the_future", "torn"}


class Outlet:
    """Takes everything."""

    def __init__(self):
        self.frames = []

    def write(self, frame):
        self.frames.append(frame)

    def unsent(self):
        return 0

    def close(self, code, reason):
        raise AssertionError((code, reason))


def said(data, step):
    """Feed a hub that somebody watches; return what the viewer was sent, or None where the recorder was hung up on."""
    hub, outlet = LiveHub(ManualClock(), SeededIds()), Outlet()
    hub.watch(hub.join(outlet), [("yard", "main")])
    link, reader = RecorderLink(hub), FrameReader()
    hub.linked(link)
    try:
        for at in range(0, len(data), step):
            for kind, payload in reader.feed(data[at : at + step]):
                hub.heard(link, kind, payload)
    except MediaError:
        hub.unlinked(link)
        return None
    return outlet.frames


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_corpus_is_taken_or_refused_however_it_is_cut(path):
    data = path.read_bytes()
    whole = said(data, len(data))
    assert (whole is not None) == (path.name in FINE)
    assert said(data, 7) == whole
    if path.name == "well":
        assert len(whole) == 6  # states at once, watching, states, config, sample, edge


@given(
    kind=st.sampled_from(FrameKind),
    payload=st.binary(max_size=200) | st.recursive(
        st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["yard", "main", "live"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)  # fmt: skip
def test_any_frame_is_taken_or_refused(kind, payload):
    data = (len(payload) + 1).to_bytes(4, "big") + bytes([kind]) + payload
    said(data, len(data))
