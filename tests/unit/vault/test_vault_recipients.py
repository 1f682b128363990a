# SPDX-License-Identifier: Apache-2.0
"""Recipients and identities as text and in files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import SeededIds
from closedcircuit.base.errors import KeyError_, NotFound
from closedcircuit.vault import Identity, bech32, parse_identity, parse_recipient, read_identities, read_recipients

# BIP 173, test vectors: valid Bech32 whose data are whole bytes.
VALID = ["abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw", "A12UEL5L"]
INVALID = [
    "split1cheo2y9e2w",
    "s lit1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "1",
    "10a06t8",
    "A1G7SGD8",
]


@given(st.binary(max_size=300))
def test_bech32_round_trip(data):
    text = bech32.encode("age1pq", data)
    assert bech32.decode(text) == ("age1pq", data)
    assert bech32.decode(text.upper()) == ("age1pq", data)


@pytest.mark.parametrize("text", VALID)
def test_bech32_takes_the_vectors_of_the_standard(text):
    prefix, data = bech32.decode(text)
    assert bech32.encode(prefix, data) == text.lower()


@pytest.mark.parametrize("text", INVALID)
def test_bech32_refuses_the_bad_vectors_of_the_standard(text):
    with pytest.raises(ValueError):
        bech32.decode(text)


@given(st.data())
def test_any_one_changed_letter_is_noticed(data):
    text = Identity(bytes(range(32))).text
    at = data.draw(st.integers(len("AGE-SECRET-KEY-PQ-1"), len(text) - 1))
    letter = data.draw(st.sampled_from("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L").filter(lambda new: new != text[at]))
    with pytest.raises(KeyError_) as caught:
        parse_identity(text[:at] + letter + text[at + 1 :])
    assert text[30:] not in str(caught.value)


def test_identity_and_recipient_round_trip(ids):
    identity = Identity.generate(ids)
    assert identity.text.startswith("AGE-SECRET-KEY-PQ-1")
    assert identity.recipient.text.startswith("age1pq1")
    assert parse_identity(identity.text).recipient == identity.recipient == parse_recipient(identity.recipient.text)
    assert parse_recipient(f"  {identity.recipient.text}\n") == identity.recipient
    assert identity.text not in repr(identity)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "post-quantum"),
        ("age1pq1qqqqqqqq", "not an age recipient"),
        ("", "not an age recipient"),
        ("x" * 100_000, "too long"),
    ],
)
def test_what_is_no_recipient_is_refused_in_words(text, said):
    with pytest.raises(KeyError_, match=said) as caught:
        parse_recipient(text)
    assert caught.value.remedy


def test_an_identity_given_as_recipient_is_not_repeated(ids):
    secret = Identity.generate(ids).text
    with pytest.raises(KeyError_, match="private identity") as caught:
        parse_recipient(secret)
    assert secret not in str(caught.value)


@given(st.text(max_size=200))
def test_no_text_breaks_the_parsers(text):
    for parse in (parse_recipient, parse_identity):
        with pytest.raises(KeyError_):
            parse(text)


def test_recipients_file(tmp_path, ids):
    one, two = Identity.generate(ids).recipient, Identity.generate(ids).recipient
    path = tmp_path / "recipients.txt"
    path.write_text(f"\ufeff# owner\r\n{one.text}\r\n\r\n  {two.text}  \n# again\n{one.text}\n")
    assert read_recipients(path) == (one, two)
    assert read_recipients(tmp_path / "none.txt") == ()
    path.write_text(f"{one.text}\nnonsense\n")
    with pytest.raises(KeyError_, match=r"recipients\.txt, line 2"):
        read_recipients(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(KeyError_, match="not a text file"):
        read_recipients(path)
    path.write_bytes(b"#" * (1 << 21))
    with pytest.raises(KeyError_, match="too long"):
        read_recipients(path)


def test_identity_file(tmp_path, ids):
    identity = Identity.generate(ids)
    path = tmp_path / "identity.txt"
    path.write_text(f"# created today\n# public key: {identity.recipient.text}\n{identity.text}\n")
    (found,) = read_identities(path)
    assert found.recipient == identity.recipient
    path.write_text("# nothing\n")
    with pytest.raises(KeyError_, match="no identity"):
        read_identities(path)
    path.write_text(f"\n{identity.text[:-1]}\n")
    with pytest.raises(KeyError_, match="line 2") as caught:
        read_identities(path)
    assert identity.text[:-1] not in str(caught.value)
    with pytest.raises(NotFound):
        read_identities(tmp_path / "none.txt")


def test_the_same_seed_is_the_same_key():
    assert Identity(bytes(32)).recipient == Identity(bytes(32)).recipient
    assert Identity.generate(SeededIds(b"a")).recipient != Identity.generate(SeededIds(b"b")).recipient
