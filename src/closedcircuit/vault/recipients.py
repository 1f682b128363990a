# SPDX-License-Identifier: Apache-2.0
"""Who can open footage: post-quantum age identities and their recipients (C2SP age.md, "The mlkem768x25519 recipient").

An identity is a 32-byte seed. SHAKE-256 stretches it to an ML-KEM-768 seed (64 bytes) and an X25519 key (32 bytes);
the recipient is both public keys (1184 + 32 bytes). Footage that is stolen today stays shut when either of the two
holds, also against a quantum computer of tomorrow. That is why plain `age1...` recipients are refused: one of them in
a key file would open it to that computer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from closedcircuit.base import Ids
from closedcircuit.base.errors import KeyError_, NotFound
from closedcircuit.vault import bech32

_RECIPIENT_PREFIX: Final = "age1pq"
_IDENTITY_PREFIX: Final = "AGE-SECRET-KEY-PQ-"
_MLKEM_PUBLIC: Final = 1184
_LIST_BYTES_MAX: Final = 1 << 20
_REMEDY: Final = "Copy it again from where it was made, in one piece."


class Recipient:
    """A public key that hour keys are wrapped to. Equal texts are equal recipients. Frozen; safe from any thread."""

    __slots__ = ("public", "text")

    def __init__(self, text: str, public: MLKEM768X25519PublicKey) -> None:
        self.text = text
        self.public = public

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipient) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Recipient({self.text[:16]}...{self.text[-6:]})"


class Identity:
    """The private key of a recipient: whoever has its text can open what was wrapped to it. Frozen."""

    __slots__ = ("_seed", "private", "recipient")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError("an identity's seed has 32 bytes")
        self._seed = seed
        stretched = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(stretched[:64])
        x25519 = X25519PrivateKey.from_private_bytes(stretched[64:])
        self.private = MLKEM768X25519PrivateKey(mlkem, x25519)
        public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.recipient = Recipient(bech32.encode(_RECIPIENT_PREFIX, public), self.private.public_key())

    @classmethod
    def generate(cls, ids: Ids) -> Identity:
        """Make a new one."""
        return cls(ids.random(32))

    @property
    def text(self) -> str:
        """`AGE-SECRET-KEY-PQ-1...`, for the owner's eyes."""
        return bech32.encode(_IDENTITY_PREFIX.lower(), self._seed).upper()

    def __repr__(self) -> str:
        return f"Identity(*** of {self.recipient!r})"


def parse_recipient(text: str) -> Recipient:
    """Read `age1pq1...`. Raises `KeyError_` in words for anything else."""
    text = text.strip()
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise KeyError_(
            "This is a private identity, not a recipient.",
            remedy="Give the line that begins with age1pq1, and keep the identity to yourself.",
        )
    if text.startswith("age1") and not text.startswith("age1pq1"):
        raise KeyError_(
            "This age recipient is not post-quantum.",
            remedy="Make one that begins with age1pq1: age-keygen -pq (age 1.3 or later).",
        )
    try:
        data = _decoded(text, _RECIPIENT_PREFIX, _MLKEM_PUBLIC + 32)
        public = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(data[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(data[_MLKEM_PUBLIC:]),
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyError_(f"This is not an age recipient: {error}.", remedy=_REMEDY) from error
    return Recipient(text, public)


def parse_identity(text: str) -> Identity:
    """Read `AGE-SECRET-KEY-PQ-1...`. Raises `KeyError_` that never repeats the text."""
    text = text.strip()
    try:
        return Identity(_decoded(text, _IDENTITY_PREFIX, 32))
    except ValueError as error:
        raise KeyError_(f"This is not a post-quantum age identity: {error}.", remedy=_REMEDY) from None


def read_recipients(path: Path) -> tuple[Recipient, ...]:
    """Read a recipients file: one a line, `#` comments, blank lines; doubles are dropped, order is kept.

    A missing file is no recipients at all. Raises `KeyError_` that names the line.
    """
    try:
        lines = _lines(path)
    except NotFound:
        return ()
    found: dict[Recipient, None] = {}
    for number, line in lines:
        try:
            found[parse_recipient(line)] = None
        except KeyError_ as error:
            raise KeyError_(f"{path.name}, line {number}: {error}", remedy=error.remedy) from None
    return tuple(found)


def read_identities(path: Path) -> tuple[Identity, ...]:
    """Read an identity file: one a line, `#` comments, blank lines. Raises NotFound, or `KeyError_` naming the line."""
    found = []
    for number, line in _lines(path):
        try:
            found.append(parse_identity(line))
        except KeyError_ as error:
            raise KeyError_(f"{path.name}, line {number}: {error}", remedy=error.remedy) from None
    if not found:
        raise KeyError_(f"{path.name} holds no identity.", remedy="It needs a line AGE-SECRET-KEY-PQ-1...")
    return tuple(found)


def _decoded(text: str, wanted: str, size: int) -> bytes:
    """Bytes of a Bech32 text whose prefix, in its case, is `wanted`. Raises ValueError in words, never the text."""
    prefix, data = bech32.decode(text)
    if not text.startswith(wanted) or prefix != wanted.lower() or len(data) != size:
        raise ValueError(f"it does not begin with {wanted}1, or has the wrong length")
    return data


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        with path.open("rb") as file:
            data = file.read(_LIST_BYTES_MAX + 1)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.", remedy="Check the path.") from None
    if len(data) > _LIST_BYTES_MAX:
        raise KeyError_(f"{path.name} is too long to be a list of keys.", remedy="Check the path.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise KeyError_(f"{path.name} is not a text file.", remedy="Check the path.") from None
    numbered = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, line) for number, line in numbered if line and not line.startswith("#")]
