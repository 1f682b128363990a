# SPDX-License-Identifier: Apache-2.0
"""age files: what we write we open, nobody else's key does, and no bytes break the reader."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import SeededIds
from closedcircuit.base.errors import CannotOpen, NoRecipients
from closedcircuit.vault import Identity, age_decrypt, age_encrypt

CORPUS = Path(__file__).resolve().parents[2] / "fuzz" / "age"
ONE, TWO, OTHER = (Identity(bytes([seed]) * 32) for seed in (1, 2, 3))


@pytest.mark.parametrize("size", [0, 1, 65, 65_535, 65_536, 65_537, 131_072, 200_000])
def test_each_recipient_opens_it_and_nobody_else(ids, size):
    data = ids.random(size)
    sealed = age_encrypt(data, [ONE.recipient, TWO.recipient], ids)
    assert age_decrypt(sealed, [ONE]) == data
    assert age_decrypt(sealed, [OTHER, TWO]) == data
    with pytest.raises(CannotOpen, match="None of these identities"):
        age_decrypt(sealed, [OTHER])
    assert data == b"" or size < 16 or data[:16] not in sealed


def test_without_recipients_nothing_is_sealed(ids):
    with pytest.raises(NoRecipients):
        age_encrypt(b"x", [], ids)


def test_every_single_bit_is_guarded(ids):
    sealed = age_encrypt(b"hour key", [ONE.recipient], ids)
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        with pytest.raises(CannotOpen):
            age_decrypt(bytes(changed), [ONE])


def test_cut_anywhere_it_does_not_open(ids):
    sealed = age_encrypt(b"hour key", [ONE.recipient], ids)
    for size in range(0, len(sealed), 7):
        with pytest.raises(CannotOpen):
            age_decrypt(sealed[:size], [ONE])
    with pytest.raises(CannotOpen):
        age_decrypt(sealed + b"\0", [ONE])


def test_a_whole_last_part_cannot_be_dropped(ids):
    sealed = age_encrypt(bytes(131_072), [ONE.recipient], ids)
    with pytest.raises(CannotOpen):
        age_decrypt(sealed[: -(65_536 + 16)], [ONE])


def test_stanzas_of_other_kinds_are_passed_over(ids):
    # A file whose header names a kind that we do not know has a MAC over it: only the search for ours is tested here.
    sealed = age_encrypt(b"x", [ONE.recipient], ids)
    head, _, rest = sealed.partition(b"\n")
    with pytest.raises(CannotOpen, match="header was changed"):
        age_decrypt(head + b"\n-> grease a b\nAAAA\n" + rest, [ONE])
    with pytest.raises(CannotOpen, match="no post-quantum recipient"):
        age_decrypt(b"age-encryption.org/v1\n-> X25519 abc\nAAAA\n--- AAAA\n" + bytes(32), [ONE])


@given(st.binary(max_size=400))
def test_no_bytes_break_it(data):
    for start in (b"", b"age-encryption.org/v1\n", b"age-encryption.org/v1\n-> mlkem768x25519 "):
        with pytest.raises(CannotOpen):
            age_decrypt(start + data, [ONE])


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
def test_no_damage_breaks_it(at, junk):
    sealed = age_encrypt(b"hour key", [ONE.recipient], SeededIds())
    at %= len(sealed)
    damaged = sealed[:at] + junk + sealed[at + len(junk) :]
    if damaged != sealed:
        with pytest.raises(CannotOpen):
            age_decrypt(damaged, [ONE])


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.age")), ids=lambda path: path.name)
def test_the_corpus_is_refused_in_words(path):
    with pytest.raises(CannotOpen) as caught:
        age_decrypt(path.read_bytes(), [ONE])
    assert str(caught.value).endswith(".")
    assert caught.value.remedy


def test_the_corpus_is_there():
    assert len(list(CORPUS.glob("*.age"))) >= 6
