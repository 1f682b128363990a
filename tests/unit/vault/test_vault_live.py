# SPDX-License-Identifier: Apache-2.0
"""Live messages, byte for byte as docs/design/footage.md has them."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base.errors import CannotOpen, KeyError_
from closedcircuit.vault import LiveSealer, open_live

KEY = bytes(range(16))
LIVE_ID = b"live-id!"
WALL = st.integers(-(2**63), 2**63 - 1)


@given(st.integers(0, 255), WALL, WALL, st.lists(st.binary(max_size=50), max_size=5))
def test_round_trip(flags, pts, sealed_at, parts):
    sealer = LiveSealer(KEY, LIVE_ID)
    for sequence in range(3):
        header, plaintext = open_live(KEY, sealer.seal(flags, 0, pts, sealed_at, map(memoryview, parts)))
        assert header == (flags, 0, LIVE_ID, sequence, pts, sealed_at)
        assert plaintext == b"".join(parts)


def test_the_bytes_are_the_contract():
    message = LiveSealer(KEY, LIVE_ID).seal(5, 0, 1, -2, [b"abc"])
    assert message[:32].hex() == (
        "01" "05" "0000" + LIVE_ID.hex() + "00000000" "0000000000000001" "fffffffffffffffe"
    )  # fmt: skip
    assert AESGCM(KEY).decrypt(bytes(12), message[32:], message[:2] + message[4:32]) == b"abc"


def test_the_web_process_may_fill_in_the_channel_and_nothing_else():
    message = LiveSealer(KEY, LIVE_ID).seal(1, 0, 7, 8, [b"picture"])
    header, plaintext = open_live(KEY, message[:2] + b"\x12\x34" + message[4:])
    assert (header.channel, plaintext) == (0x1234, b"picture")
    for at in [0, 1, *range(4, len(message))]:
        changed = bytearray(message)
        changed[at] ^= 1
        with pytest.raises(CannotOpen):
            open_live(KEY, bytes(changed))


def test_another_key_or_a_cut_message(ids):
    message = LiveSealer(KEY, LIVE_ID).seal(1, 0, 7, 8, [b"picture"])
    with pytest.raises(CannotOpen):
        open_live(ids.random(16), message)
    for size in range(len(message)):
        with pytest.raises(CannotOpen):
            open_live(KEY, message[:size])


def test_no_nonce_twice():
    sealer = LiveSealer(KEY, LIVE_ID)
    assert len({sealer.seal(0, 0, 0, 0, [])[12:16] for _ in range(1000)}) == 1000
    sealer._sequence = 0xFFFF_FFFF
    sealer.seal(0, 0, 0, 0, [])
    with pytest.raises(KeyError_):
        sealer.seal(0, 0, 0, 0, [])
