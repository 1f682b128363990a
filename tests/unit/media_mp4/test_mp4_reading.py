# SPDX-License-Identifier: Apache-2.0
"""Files that end anywhere, lie, or hold zeros where data should be."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base.errors import MediaError
from closedcircuit.media.mp4 import FragmentWriter, clear_segment, iter_fragments, open_fragment, read_init
from material.boxes import AUDIO, START, VIDEO, opener, picture, sample_data, small_file, sound

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "mp4"
OUT, SAMPLES, _ = small_file(3)
DATA = b"".join(OUT)
INIT = len(OUT[0])
ENDS = [INIT + sum(map(len, OUT[1 : number + 1])) for number in range(len(OUT))]


@pytest.mark.parametrize("tail", [b"", b"\0" * 7, b"\0" * 5000], ids=["cut", "a few zeros", "a page of zeros"])
def test_cut_at_every_byte_only_whole_fragments_come_back(tail):
    for size in range(INIT, len(DATA) + 1):
        torn = DATA[:size] + tail
        found = list(iter_fragments(torn, INIT))
        whole = sum(end <= size for end in ENDS[1:])
        filled = tail and size < len(DATA) and whole < 3 and len(torn) >= ENDS[whole + 1]
        if filled:  # zeros took the place of data: only its length can be seen here, `check_data` looks closer
            continue
        assert len(found) == whole, size
        assert INIT + sum(f.size for f in found) == ENDS[whole]


def test_a_file_is_read_as_its_bytes_are():
    for size in range(INIT, len(DATA) + 1, 13):
        torn = DATA[:size]
        assert list(iter_fragments(io.BytesIO(torn), INIT)) == list(iter_fragments(memoryview(torn), INIT))


def test_zeros_in_the_place_of_data_are_found():
    """After a power cut a file may have its length, and not its data."""
    writer = FragmentWriter((VIDEO,), (None,))
    fragments = [b"".join(writer.write([picture(n * 3600, key=True, size=30_000)], START)[0]) for n in range(3)]
    data = b"".join(fragments)
    last = len(data) - len(fragments[2])
    for hole in (slice(last + 8192, last + 20_480), slice(len(data) - 5000, len(data)), slice(last + 4096, len(data))):
        holed = bytearray(data)
        holed[hole] = bytes(len(holed[hole]))
        assert len(list(iter_fragments(bytes(holed), 0))) == 3
        assert [f.offset + f.size for f in iter_fragments(bytes(holed), 0, check_data=True)][-1] == last
    assert len(list(iter_fragments(data, 0, check_data=True))) == 3
    assert len(list(iter_fragments(io.BytesIO(data), 0, check_data=True))) == 3


def test_samples_come_back():
    info = read_init(DATA)
    opened = [
        s for f in iter_fragments(DATA, INIT) for s in open_fragment(DATA[f.offset : f.offset + f.size], info, opener)
    ]
    for track in (1, 2):
        assert [bytes(s.data) for s in opened if s.track == track] == sample_data(SAMPLES, track)
    assert [s.pts for s in opened if s.track == 1] == [n * 3600 for n in range(9)]
    assert [s.key for s in opened if s.track == 1] == [True, False, False] * 3


def test_a_sealed_fragment_needs_a_key_and_a_torn_one_is_refused():
    info = read_init(DATA)
    fragment = DATA[ENDS[0] : ENDS[1]]
    with pytest.raises(MediaError, match="sealed"):
        open_fragment(fragment, info, None)
    for size in range(len(fragment)):
        with pytest.raises(MediaError):
            open_fragment(fragment[:size], info, opener)


def test_unsealed_it_is_the_file_that_would_have_been_written_clear():
    clear = clear_segment(DATA, opener)
    assert len(clear) == len(DATA)
    info = read_init(clear)
    assert (info.kid, info.tracks, info.header) == (None, (VIDEO, AUDIO), b'{"v":1}')
    opened = [
        s for f in iter_fragments(clear, INIT) for s in open_fragment(clear[f.offset : f.offset + f.size], info, None)
    ]
    for track in (1, 2):
        assert [bytes(s.data) for s in opened if s.track == track] == sample_data(SAMPLES, track)
    for word in (b"encv", b"enca", b"sinf", b"pssh", b"senc", b"saiz", b"saio"):
        assert word not in clear


def test_unsealing_leaves_a_torn_tail_out():
    assert len(clear_segment(DATA[:-1], opener)) == ENDS[2]
    assert len(clear_segment(DATA[: ENDS[1] - 1], opener)) == INIT


def test_ivs_that_do_not_follow_one_another_open_as_well():
    """Another writer may restart a counter: each sample then has its own run of keystream."""
    info = read_init(DATA)
    jumping = bytearray(DATA[ENDS[0] : ENDS[1]])
    at = jumping.index(b"senc") + 12  # the first record: 16 bytes of IV, count, one pair
    second = at + 24 + 8
    assert jumping[at : at + 7] == bytes(7)
    clear = sample_data(SAMPLES, 1)[1]
    # Seal the second picture anew, far away in the keystream.
    body = jumping.index(b"mdat") + 4
    place = body + len(sample_data(SAMPLES, 1)[0])
    jumping[second : second + 8] = (5000).to_bytes(8, "big")
    jumping[place : place + len(clear)] = clear
    sealed = len(clear) - 5 & ~15
    start = place + len(clear) - sealed
    cipher = opener(jumping[at : at + 8] + (5000).to_bytes(8, "big"))
    cipher.sign = 1
    cipher.apply(memoryview(jumping), [(start, sealed)])
    opened = open_fragment(bytes(jumping), info, opener)
    assert [bytes(s.data) for s in opened if s.track == 1] == sample_data(SAMPLES, 1)[:3]


@settings(max_examples=300)
@given(st.integers(0, len(DATA) - 1), st.binary(min_size=1, max_size=12), st.booleans())
def test_no_damage_raises_out_of_the_walk(at, junk, insert):
    damaged = DATA[:at] + junk + DATA[at if insert else at + len(junk) :]
    end = INIT
    for found in iter_fragments(damaged, INIT):
        assert found.offset == end
        end += found.size
        assert 0 <= found.key_bytes <= found.size
        assert found.duration_90k >= 0
    assert end <= len(damaged)
    info = read_init(DATA)
    with contextlib.suppress(MediaError):
        open_fragment(damaged[INIT : INIT + len(OUT[1])], info, opener)
    with contextlib.suppress(MediaError):
        clear_segment(damaged, opener)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_walk(data):
    assert list(iter_fragments(data, 0)) == []
    assert list(iter_fragments(OUT[1][:32] + data, 0)) == []


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.bin")), ids=lambda path: path.name)
def test_the_corpus_is_walked_and_refused(path):
    data = path.read_bytes()
    assert list(iter_fragments(data, 0, check_data=True)) == []
    assert list(iter_fragments(data, 0)) == [] or path.name.startswith("senc-")
    with pytest.raises(MediaError):
        open_fragment(data, read_init(OUT[0]), opener)


def test_the_corpus_is_there():
    assert len(list(CORPUS.glob("*.bin"))) >= 8


def test_sound_alone_or_a_third_track_is_no_fragment():
    buffers, _ = FragmentWriter((VIDEO, AUDIO), (None, None)).write([picture(0, key=True), sound(0)], START)
    data = b"".join(buffers)
    changed = data.replace(b"tfhd\0\2\0\0\0\0\0\1", b"tfhd\0\2\0\0\0\0\0\2")
    assert changed != data
    assert list(iter_fragments(changed, 0)) == []
    with pytest.raises(MediaError, match="does not declare"):
        open_fragment(data, read_init(DATA).__class__(tracks=(VIDEO,), kid=None, header=b"", size=0), None)
