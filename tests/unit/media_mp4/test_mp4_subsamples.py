# SPDX-License-Identifier: Apache-2.0
"""Which bytes are sealed: everything of a picture, nothing of what a player needs first, and never past a sample."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.media.mp4.subsamples import ENTRIES_MAX, H264, H265, seal_plan

IV = bytes(range(8)) + (1000).to_bytes(8, "big")


def nal(first, size, second=b"\1"):
    """A NAL unit of `size` bytes with its length before it."""
    return size.to_bytes(4, "big") + (bytes((first,)) + second + bytes(size))[:size]


def parse(record):
    iv, count = record[:16], int.from_bytes(record[16:18], "big")
    pairs = list(struct.iter_unpack(">HI", record[18:]))
    assert len(pairs) == count
    assert len(record) <= 255  # saiz counts it in a byte
    return iv, pairs


def check(data, sizes, coding):
    """Whatever the bytes: the tables fit the samples, the ranges are whole blocks inside them, the IVs run on."""
    ranges, records = seal_plan(bytearray(data), sizes, coding, IV)
    assert len(records) == len(sizes)
    counter = int.from_bytes(IV[8:], "big")
    expected = []
    start = 0
    for size, record in zip(sizes, records, strict=True):
        iv, pairs = parse(record)
        assert iv == IV[:8] + counter.to_bytes(8, "big")
        assert sum(map(sum, pairs)) == size
        at = start
        for clear, sealed in pairs:
            at += clear
            assert sealed % 16 == 0
            if sealed:
                expected.append((at, sealed))
            at += sealed
            counter += sealed // 16
        start += size
    assert ranges == expected
    return ranges, [parse(record)[1] for record in records]


@pytest.mark.parametrize(("coding", "header", "slice_type"), [(H264, 1, 0x41), (H265, 2, 0x02)])
@pytest.mark.parametrize("size", [1, 2, 16, 17, 18, 19, 31, 32, 33, 34, 35, 1000, 70_000])
def test_one_slice(coding, header, slice_type, size):
    data = nal(slice_type, size)
    _, [pairs] = check(data, [len(data)], coding)
    sealed = size - header & ~15 if size - header >= 16 else 0
    assert pairs == [(len(data) - sealed, sealed)]
    assert sealed == 0 or len(data) - sealed < 4 + header + 16


@pytest.mark.parametrize(
    ("coding", "clear"),
    [
        (H264, {7, 8, 9, 10, 11, 12, 13, 15}),
        (H265, set(range(32, 39))),
    ],
)
def test_what_a_player_needs_first_stays_clear_and_all_else_is_sealed(coding, clear):
    for kind in range(32 if coding is H264 else 64):
        data = nal(kind if coding is H264 else kind << 1, 100)
        _, [pairs] = check(data, [len(data)], coding)
        assert any(sealed for _, sealed in pairs) == (kind not in clear), kind


def test_a_key_frame_of_a_camera():
    sample = nal(9, 2) + nal(0x67, 24) + nal(0x68, 5) + nal(6, 40) + nal(0x65, 5000) + nal(0x65, 4001)
    ranges, [pairs] = check(sample, [len(sample)], H264)
    assert [sealed for _, sealed in pairs] == [32, 4992, 4000]
    assert len(ranges) == 3


def test_clear_runs_are_split():
    sample = nal(12, 200_000) + nal(0x41, 100)
    _, [pairs] = check(sample, [len(sample)], H264)
    assert pairs[:3] == [(65_535, 0)] * 3
    assert pairs[-1][1] == 96


def test_a_sample_with_more_slices_than_its_table_holds_is_sealed_as_one():
    most = nal(0x41, 100) * ENTRIES_MAX
    _, [pairs] = check(most, [len(most)], H264)
    assert len(pairs) == ENTRIES_MAX
    more = nal(0x41, 100) * (ENTRIES_MAX + 1)
    _, [pairs] = check(more, [len(more)], H264)
    assert len(pairs) == 1
    assert pairs[0][1] > len(more) - 4 - 1 - 16


def test_a_megabyte_of_empty_nal_units_is_sealed_and_not_walked():
    sample = bytes(1 << 20)
    _, [pairs] = check(sample, [len(sample)], H264)
    assert len(pairs) == 1
    assert pairs[0][1] > (1 << 20) - 32


@pytest.mark.parametrize("length", [101, 5000, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("first", [0x41, 0x67, 0x00])
def test_a_length_past_the_end_seals_the_rest_and_not_the_neighbour(length, first):
    lying = length.to_bytes(4, "big") + bytes((first,)) + bytes(99)
    data = lying + nal(0x67, 50)
    _, [pairs, neighbour] = check(data, [len(lying), 54], H264)
    assert pairs == [(104 - 96, 96)]
    assert neighbour == [(54, 0)]


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=6), st.sampled_from([H264, H265]))
def test_any_bytes_are_planned(samples, coding):
    check(b"".join(samples), [len(sample) for sample in samples], coding)


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 255), st.integers(0, 300)), min_size=1, max_size=50), min_size=1, max_size=4
    ),
    st.sampled_from([H264, H265]),
)
def test_any_nal_units_are_planned(samples, coding):
    joined = [b"".join(nal(first, size) for first, size in sample) for sample in samples]
    check(b"".join(joined), [len(sample) for sample in joined], coding)
