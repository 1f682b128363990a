# SPDX-License-Identifier: Apache-2.0
"""Any fragments survive being stored, and damage is told."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base.errors import CatalogueError
from closedcircuit.catalogue._fragments import pack, unpack
from closedcircuit.model import Fragment

NUMBER = st.integers(0, 1 << 50)
ANY = st.builds(
    Fragment,
    start_90k=NUMBER,
    duration_90k=NUMBER,
    offset=NUMBER,
    size=NUMBER,
    key=st.booleans(),
    key_bytes=NUMBER,
)


@st.composite
def following(draw, pauses: st.SearchStrategy[int]) -> tuple[list[Fragment], int, int]:
    """Fragments one after another in the file, and with pauses in time."""
    start = at = draw(NUMBER)
    init = offset = draw(st.integers(0, 100_000))
    made = []
    for duration, size, key_bytes, key, pause in draw(
        st.lists(
            st.tuples(
                st.integers(0, (1 << 32) - 1),
                st.integers(0, (1 << 32) - 1),
                st.integers(0, (1 << 31) - 1),
                st.booleans(),
                pauses,
            ),
            max_size=40,
        )
    ):
        at += pause
        made.append(Fragment(at, duration, offset, size, key, key_bytes))
        at += duration
        offset += size
    return made, start, init


@given(st.lists(ANY, max_size=10), NUMBER, NUMBER)
def test_anything_survives(fragments: list[Fragment], start: int, init: int) -> None:
    assert unpack(pack(fragments, start, init), start, init) == tuple(fragments)


@given(following(st.just(0)))
def test_the_usual_takes_twelve_bytes_each(made: tuple[list[Fragment], int, int]) -> None:
    fragments, start, init = made
    blob = pack(fragments, start, init)
    assert len(blob) == 1 + 12 * len(fragments)
    assert unpack(blob, start, init) == tuple(fragments)


@given(following(st.integers(-100_000, 100_000)))
def test_pauses_take_four_more(made: tuple[list[Fragment], int, int]) -> None:
    fragments, start, init = made
    blob = pack(fragments, start, init)
    assert len(blob) <= 1 + 16 * len(fragments)
    assert unpack(blob, start, init) == tuple(fragments)


@given(st.binary(max_size=60))
def test_damage_is_told_or_read_but_never_anything_else(blob: bytes) -> None:
    with contextlib.suppress(CatalogueError):
        assert isinstance(unpack(blob, 0, 0), tuple)


@pytest.mark.parametrize("blob", [b"", b"\x09", b"\x02abc", b"\x00\xff", b"\x01abc"])
def test_damaged_blobs(blob: bytes) -> None:
    with pytest.raises(CatalogueError):
        unpack(blob, 0, 0)
