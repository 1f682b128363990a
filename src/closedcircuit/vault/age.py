# SPDX-License-Identifier: Apache-2.0
"""age files (C2SP age.md, age-encryption.org/v1, binary) to `mlkem768x25519` recipients.

Small: key files have one line of plaintext, the longest thing sealed this way is an export of settings. So a file is
handled in memory as a whole, and what comes in is limited to `FILE_BYTES_MAX`.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from closedcircuit.base import Ids
from closedcircuit.base.errors import CannotOpen, NoRecipients
from closedcircuit.vault.recipients import Identity, Recipient

FILE_BYTES_MAX: Final = 16 << 20
_VERSION: Final = b"age-encryption.org/v1"
_STANZA: Final = b"mlkem768x25519"
_INFO: Final = b"age-encryption.org/mlkem768x25519"
_SUITE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_ENCAPSULATED: Final = 1120  # bytes: ML-KEM-768 ciphertext, X25519 share
_CHUNK: Final = 65_536
_STANZAS_MAX: Final = 256
_LOST = "Restore the file from a copy; a damaged key file cannot be repaired."
_OTHER = "Use the identity, or the recovery identity, that was the owner's when this was recorded."


class _Header(NamedTuple):
    stanzas: list[tuple[list[bytes], bytes]]  # arguments, body
    signed: bytes  # what the MAC covers
    mac: bytes
    end: int  # where the payload begins


def age_encrypt(data: bytes | bytearray, recipients: Iterable[Recipient], ids: Ids) -> bytes:
    """Encrypt `data` so that each recipient alone can open it. Raises NoRecipients where there are none."""
    file_key = ids.random(16)
    lines = [_VERSION]
    for recipient in recipients:
        sealed = _SUITE.encrypt(file_key, recipient.public, _INFO)
        lines.append(b"-> " + _STANZA + b" " + _b64(sealed[:_ENCAPSULATED]))
        lines.append(_b64(sealed[_ENCAPSULATED:]))  # 32 bytes: always one short line, which ends a body
    if len(lines) == 1:
        raise NoRecipients("Nobody could open this.", remedy="Set up an owner's key first.")
    signed = b"\n".join([*lines, b"---"])
    nonce = ids.random(16)
    chunks = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
    out = [signed, b" ", _b64(_mac(file_key, signed)), b"\n", nonce]
    last = max(0, len(data) - 1) // _CHUNK
    for index in range(last + 1):
        part = data[index * _CHUNK : (index + 1) * _CHUNK]
        out.append(chunks.encrypt(_chunk_nonce(index, last=index == last), part, None))
    return b"".join(out)


def age_decrypt(data: bytes, identities: Iterable[Identity]) -> bytes:
    """Open an age file. Raises CannotOpen where no identity fits or the file is damaged (`str()` says which)."""
    if len(data) > FILE_BYTES_MAX:
        raise CannotOpen("This age file is too long to be one of ours.", remedy=_LOST)
    try:
        header = _parse(data)
        file_key = _file_key(header, identities)
        _check_header(header, file_key)
        return _payload(data[header.end :], file_key)
    except (ValueError, binascii.Error, InvalidTag) as error:
        reason = str(error) or "its content was changed"
        raise CannotOpen(f"This age file is damaged: {reason}.", remedy=_LOST) from None


def _file_key(header: _Header, identities: Iterable[Identity]) -> bytes:
    ours = [(args, body) for args, body in header.stanzas if args[0] == _STANZA]
    for args, body in ours:
        if len(args) != 2 or len(body) != 32:
            raise ValueError("a recipient stanza is malformed")
        share = _unb64(args[1])
        if len(share) != _ENCAPSULATED:
            raise ValueError("a recipient stanza is malformed")
        for identity in identities:
            try:
                file_key = _SUITE.decrypt(share + body, identity.private, _INFO)
            except InvalidTag:
                continue
            if len(file_key) != 16:
                raise ValueError("its file key has the wrong length")
            return file_key
    if not ours:
        raise CannotOpen("This age file has no post-quantum recipient.", remedy="It was not written by this system.")
    raise CannotOpen("None of these identities opens it.", remedy=_OTHER)


def _check_header(header: _Header, file_key: bytes) -> None:
    if not hmac.compare_digest(_mac(file_key, header.signed), header.mac):
        raise ValueError("its header was changed")


def _parse(data: bytes) -> _Header:
    stanzas: list[tuple[list[bytes], bytes]] = []
    line, at = _line(data, 0)
    if line != _VERSION:
        raise ValueError("it does not begin as an age file does")
    while True:
        start = at
        line, at = _line(data, at)
        if line.startswith(b"--- "):
            return _Header(stanzas, data[: start + 3], _unb64(line[4:]), at)
        args = line.split(b" ")
        if args[0] != b"->" or len(args) < 2 or not all(args) or len(stanzas) >= _STANZAS_MAX:
            raise ValueError("its header is malformed")
        body = b""
        while True:
            line, at = _line(data, at)
            if len(line) > 64:
                raise ValueError("its header is malformed")
            body += _unb64(line)
            if len(line) < 64:
                break
        stanzas.append((args[1:], body))


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    end = data.find(b"\n", at, at + 8192)
    if end < 0:
        raise ValueError("it is cut off")
    return data[at:end], end + 1


def _payload(data: bytes, file_key: bytes) -> bytes:
    nonce, data = data[:16], data[16:]
    if len(nonce) < 16 or len(data) < 16:
        raise ValueError("it is cut off")
    chunks = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
    size = _CHUNK + 16
    last = (len(data) - 1) // size
    out = [
        chunks.decrypt(_chunk_nonce(index, last=index == last), data[index * size : (index + 1) * size], None)
        for index in range(last + 1)
    ]
    if last and not out[-1]:
        raise ValueError("its last part is empty")
    return b"".join(out)


def _chunk_nonce(index: int, *, last: bool) -> bytes:
    return index.to_bytes(11, "big") + bytes((last,))


def _derive(file_key: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(file_key)


def _mac(file_key: bytes, signed: bytes) -> bytes:
    return hmac.digest(_derive(file_key, None, b"header"), signed, hashlib.sha256)


def _b64(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


def _unb64(text: bytes) -> bytes:
    data = b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if _b64(data) != text:
        raise ValueError("its base64 is not canonical")
    return data
