# SPDX-License-Identifier: Apache-2.0
"""The keystream: no block twice, samples on whole blocks, and the same bytes from a plain AES."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from closedcircuit.base import SeededIds, SystemIds
from closedcircuit.vault import opening_cipher
from closedcircuit.vault.keys import HourKey, SegmentKey

KEY, KID = bytes(range(16)), bytes(16)


def plain_ctr(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


@given(st.lists(st.lists(st.integers(0, 70), max_size=4), min_size=1, max_size=8), st.integers(0, 2**40))
def test_each_sample_is_plain_aes_ctr_from_its_own_iv(samples, counter):
    cipher = SegmentKey(KEY, KID, SeededIds()).cipher(b"PREFIXES", counter)
    for lengths in samples:
        clear = SeededIds(bytes(lengths)).random(sum(lengths) + 5 * len(lengths))
        work = bytearray(clear)
        ranges, at = [], 0
        for length in lengths:
            ranges.append((at + 5, length))
            at += 5 + length
        iv = cipher.begin()
        cipher.apply(memoryview(work), ranges)
        sealed = b"".join(clear[at : at + size] for at, size in ranges)
        got = b"".join(work[at : at + size] for at, size in ranges)
        assert got == plain_ctr(KEY, iv, sealed)
        for at, _ in ranges:
            assert work[at - 5 : at] == clear[at - 5 : at]
        opening_cipher(KEY, iv).apply(memoryview(work), ranges)
        assert bytes(work) == clear


# A run of the recorder: cameras, each with segments, each with tracks, each with samples of some protected bytes.
TRACK = st.lists(st.integers(0, 100), max_size=6)
RUNS = st.lists(  # restarts
    st.lists(  # cameras' hours
        st.lists(st.lists(TRACK, min_size=1, max_size=2), min_size=1, max_size=3), min_size=1, max_size=3
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60)
@given(RUNS)
def test_no_key_and_counter_block_comes_twice(runs):
    """Over cameras, restarts, segments and tracks: the thing that AES-CTR must never do."""
    ids = SystemIds()
    seen = set()
    blocks = 0
    for hours in runs:
        for hour in hours:
            hour_key = HourKey("door", 0, ids)
            for segment in hour:
                key = hour_key.segment_key(hour_key.new_kid(ids))
                for sizes in segment:
                    cipher = key.cipher()
                    for size in sizes:
                        iv = int.from_bytes(cipher.begin(), "big")
                        cipher.apply(memoryview(bytearray(size)), [(0, size)])
                        used = [(key.key, iv + block) for block in range((size + 15) // 16)]
                        seen.update(used)
                        blocks += len(used)
    assert len(seen) == blocks


def test_tracks_never_share_a_prefix_even_if_the_dice_do():
    class Dice:
        def __init__(self):
            self.throws = [b"A" * 8, b"A" * 8, b"A" * 8, b"B" * 8]

        def random(self, _size):
            return self.throws.pop(0)

    key = SegmentKey(KEY, KID, Dice())
    assert key.cipher().begin() == b"A" * 8 + bytes(8)
    assert key.cipher().begin() == b"B" * 8 + bytes(8)


def test_segments_of_an_hour_have_keys_of_their_own():
    ids = SystemIds()
    hour = HourKey("door", 0, ids)
    assert len({hour.segment_key(hour.new_kid(ids)).key for _ in range(50)}) == 50
