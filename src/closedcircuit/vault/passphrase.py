# SPDX-License-Identifier: Apache-2.0
"""What the browser does with a passphrase (docs/design/http.md, "The owner"), for setting up without a browser."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from closedcircuit.base import Ids, Secret
from closedcircuit.base.errors import CannotOpen

ITERATIONS: Final = 600_000
"""PBKDF2-HMAC-SHA256 rounds (OWASP's figure of 2023 and since)."""


class SealedIdentity(msgspec.Struct, frozen=True):
    """An identity under a passphrase: `blob` is for the server to keep, `auth` signs in; neither tells it."""

    salt: bytes  # 16
    auth: bytes  # 32
    blob: bytes  # 12-byte nonce, AES-256-GCM ciphertext, tag


def seal_with_passphrase(identity_text: str, passphrase: Secret, ids: Ids) -> SealedIdentity:
    """Seal an identity as the setup page does. Takes about half a second on purpose."""
    salt, nonce = ids.random(16), ids.random(12)
    auth, key = _stretch(passphrase, salt)
    return SealedIdentity(salt, auth, nonce + AESGCM(key).encrypt(nonce, identity_text.encode(), None))


def open_with_passphrase(sealed: SealedIdentity, passphrase: Secret) -> str:
    """Return the identity's text. Raises CannotOpen where the passphrase is another."""
    _, key = _stretch(passphrase, sealed.salt)
    try:
        return AESGCM(key).decrypt(sealed.blob[:12], sealed.blob[12:], None).decode()
    except (InvalidTag, ValueError):
        raise CannotOpen("That passphrase does not open it.", remedy="Try again, or use the recovery sheet.") from None


def _stretch(passphrase: Secret, salt: bytes) -> tuple[bytes, bytes]:
    text = unicodedata.normalize("NFKC", passphrase.reveal())  # keyboards differ in how they compose letters
    both = hashlib.pbkdf2_hmac("sha256", text.encode(), salt, ITERATIONS, 64)
    return both[:32], both[32:]
