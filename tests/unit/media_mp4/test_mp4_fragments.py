# SPDX-License-Identifier: Apache-2.0
"""Fragments: times, tables, seals."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base.errors import MediaError
from closedcircuit.media.mp4 import FragmentWriter, InitInfo, iter_fragments, open_fragment
from material.boxes import AUDIO, KID, START, VIDEO, Shift, opener, picture, sample_data, small_file, sound

CLEAR = InitInfo(tracks=(VIDEO, AUDIO), kid=None, header=b"", size=0)
SEALED = InitInfo(tracks=(VIDEO, AUDIO), kid=KID, header=b"", size=0)


def write(writer, samples, until=None):
    buffers, info = writer.write(samples, START, until)
    data = b"".join(buffers)
    assert len(data) == info.size
    return data, info


def times(data, track=1, init=CLEAR):
    return [(s.dts, s.pts, s.duration) for s in open_fragment(data, init, None) if s.track == track]


def clear_writer(tracks=(VIDEO, AUDIO)):
    return FragmentWriter(tracks, (None,) * len(tracks))


def test_frames_in_order_with_the_next_one_known():
    data, info = write(clear_writer(), [picture(700, key=True), picture(4300), picture(7800)], until=11_500)
    assert times(data) == [(0, 0, 3600), (3600, 3600, 3500), (7100, 7100, 3700)]
    assert (info.key, info.duration_90k) == (True, 10_800)


def test_the_last_duration_is_repeated_where_nobody_knows_it():
    writer = clear_writer()
    assert times(write(writer, [picture(0, key=True)])[0]) == [(0, 0, 3600)]  # and begins at 25 a second
    assert times(write(writer, [picture(3000), picture(6000)])[0])[-1] == (6000, 6000, 3000)
    assert times(write(writer, [picture(9000)])[0]) == [(9000, 9000, 3000)]
    assert times(write(writer, [picture(12_000)], until=11_000)[0]) == [(12_000, 12_000, 3000)]  # until is nonsense


def test_b_frames():
    """I0 P3 B1 B2 | I4 ...: decoding times are the presentation times, sorted; offsets are signed."""
    writer = clear_writer()
    data, info = write(writer, [picture(n * 3600, key=n == 0) for n in (0, 3, 1, 2)], until=4 * 3600)
    assert times(data) == [(0, 0, 3600), (3600, 10_800, 3600), (7200, 3600, 3600), (10_800, 7200, 3600)]
    assert info.duration_90k == 4 * 3600
    assert times(write(writer, [picture(4 * 3600, key=True)])[0]) == [(14_400, 14_400, 3600)]


def test_an_open_group_of_pictures():
    """The key frame is shown after pictures that follow it: the fragment before must not claim their time."""
    writer = clear_writer()
    data, _ = write(writer, [picture(n * 3600, key=n == 0) for n in (0, 2, 1)], until=5 * 3600)
    assert times(data)[-1][2] == 3600
    assert times(write(writer, [picture(n * 3600, key=n == 5) for n in (5, 3, 4)])[0]) == [
        (10_800, 18_000, 3600),
        (14_400, 10_800, 3600),
        (18_000, 14_400, 3600),
    ]


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=1, max_size=8), min_size=1, max_size=6))
def test_any_timestamps_keep_pts_and_give_rising_dts(fragments):
    writer = clear_writer()
    zero = min(fragments[0])
    last = -1
    for pts in fragments:
        data, _ = write(writer, [picture(at) for at in pts])
        found = times(data)
        assert [at for _, at, _ in found] == [at - zero for at in pts]
        for (dts, _, duration), (after, _, _) in pairwise(found):
            assert after == dts + duration
        assert found[0][0] > last
        assert all(duration > 0 for _, _, duration in found)
        last = found[-1][0]


@given(st.lists(st.lists(st.integers(0, 10**6), max_size=8), min_size=1, max_size=6))
def test_any_sound_gets_rising_times_and_never_begins_before_the_segment(fragments):
    writer = clear_writer()
    last = -1
    for number, pts in enumerate(fragments):
        data, _ = write(writer, [picture(90_000 + number * 3600), *(sound(at) for at in pts)])
        found = times(data, track=2)
        assert len(found) == len(pts)
        if found:
            assert found[0][0] > last
            assert all(dts == at and duration > 0 for dts, at, duration in found)
            last = found[-1][0]


def test_sound_keeps_its_place_beside_the_picture():
    data, _ = write(clear_writer(), [picture(90_000, key=True), sound(48_000 + 100), sound(48_000 + 1124)])
    assert times(data, track=2) == [(100, 100, 1024), (1124, 1124, 1024)]


def test_timestamps_that_jump_by_hours_are_refused_and_the_writer_lives():
    writer = clear_writer()
    write(writer, [picture(0, key=True)])
    for wild in (
        [picture(3600), picture(1 << 40)],
        [picture(1 << 40), picture(3600)],
        [picture(3600), sound(0), sound(1 << 40)],
    ):
        with pytest.raises(MediaError):
            writer.write(wild, START)
    assert times(write(writer, [picture(3600)])[0]) == [(3600, 3600, 3600)]


def test_key_bytes_end_with_the_first_picture():
    data, info = write(clear_writer(), [picture(0, key=True, size=100), sound(0), picture(3600, size=50)])
    first = open_fragment(data, CLEAR, None)[0]
    assert data[: info.key_bytes].endswith(bytes(first.data))
    assert write(clear_writer(), [picture(0)])[1].key_bytes == 0


def test_video_comes_first_then_sound():
    samples = [sound(0, 21), picture(0, key=True), sound(1024, 22), picture(3600), sound(2048, 23)]
    data, _ = write(clear_writer(), samples)
    assert data.endswith(b"".join(sample_data(samples, 1) + sample_data(samples, 2)))


def test_what_the_caller_must_not_do():
    with pytest.raises(ValueError, match="video"):
        clear_writer().write([sound(0)], START)
    with pytest.raises(ValueError, match="size"):
        clear_writer().write([msgspec.structs.replace(picture(0), size=59)], START)
    with pytest.raises(ValueError, match="cannot be sealed"):
        FragmentWriter((msgspec.structs.replace(VIDEO, codec="mjpeg"),), (Shift(),))
    with pytest.raises(ValueError):
        FragmentWriter((VIDEO, AUDIO), (None,))


def test_each_track_is_sealed_by_one_call_and_blocks_are_counted_on():
    ciphers = Shift(b"A" * 16), Shift(b"B" * 8 + bytes(8))
    writer = FragmentWriter((VIDEO, AUDIO), ciphers)
    expected = [int.from_bytes(b"A" * 8, "big"), 0]
    for number in range(4):
        samples = [picture(number * 7200, size=100), picture(number * 7200 + 3600, size=53)]
        samples += [sound(number * 3840 + step * 960, size=17 + step) for step in range(4)]
        data, _ = write(writer, samples)
        assert [cipher.calls for cipher in ciphers] == [number + 1] * 2
        expected[0] += 5 + 3  # 95 and 48 bytes behind the header
        expected[1] += 4 * 2
        assert [cipher.counter for cipher in ciphers] == expected
        opened = open_fragment(data, SEALED, opener)
        for track in (1, 2):
            assert [bytes(s.data) for s in opened if s.track == track] == sample_data(samples, track)


def test_no_plaintext_is_left():
    samples = [picture(0, key=True, size=400, fill=0xEE), sound(0, size=300, fill=0xDD)]
    buffers, _ = FragmentWriter((VIDEO, AUDIO), (Shift(), Shift())).write(samples, START)
    data = b"".join(buffers)
    assert b"\xee" * 20 not in data
    assert b"\xdd" * 4 not in data


def test_the_index_that_is_read_is_the_one_that_was_written():
    out, _, infos = small_file(4)
    data = b"".join(out)
    found = list(iter_fragments(data, len(out[0])))
    assert [(f.size, f.key, f.key_bytes, f.duration_90k) for f in found] == [
        (info.size, info.key, info.key_bytes, info.duration_90k) for info in infos
    ]
    assert [f.start_90k for f in found] == [START + number * 10_800 for number in range(4)]
    assert [f.offset for f in found] == [sum(map(len, out[: number + 1])) for number in range(4)]
