# SPDX-License-Identifier: Apache-2.0
"""Bech32 (BIP 173) as age uses it: any length, lower case for recipients, upper case for identities."""

from __future__ import annotations

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
TEXT_MAX = 4096
"""Longest text looked at; a post-quantum recipient has 1,959 characters."""


def _checksum(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= generator
    return check


def _expanded(prefix: str) -> list[int]:
    return [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]


def encode(prefix: str, data: bytes) -> str:
    """Text of `data` under a lower-case `prefix`; all in lower case."""
    words: list[int] = []
    pending = bits = 0
    for byte in data:
        pending, bits = pending << 8 | byte, bits + 8
        while bits >= 5:
            bits -= 5
            words.append(pending >> bits & 31)
        pending &= (1 << bits) - 1
    if bits:
        words.append(pending << (5 - bits) & 31)
    check = _checksum(_expanded(prefix) + words + [0] * 6) ^ 1
    words += [check >> shift & 31 for shift in (25, 20, 15, 10, 5, 0)]
    return prefix + "1" + "".join(_ALPHABET[word] for word in words)


def decode(text: str) -> tuple[str, bytes]:
    """Prefix (lower case) and data. Raises ValueError with the reason in words."""
    if len(text) > TEXT_MAX:
        raise ValueError("it is too long")
    if text != text.lower() and text != text.upper():
        raise ValueError("it mixes upper and lower case")
    prefix, mark, tail = text.lower().rpartition("1")
    if not mark or not prefix or len(tail) < 6:
        raise ValueError("it is cut off")
    if any(not "!" <= letter <= "~" for letter in prefix) or any(letter not in _VALUE for letter in tail):
        raise ValueError("it contains a letter that cannot be there")
    words = [_VALUE[letter] for letter in tail]
    if _checksum(_expanded(prefix) + words) != 1:
        raise ValueError("its checksum is wrong: a letter was lost or changed")
    data = bytearray()
    pending = bits = 0
    for word in words[:-6]:
        pending, bits = pending << 5 | word, bits + 5
        if bits >= 8:
            bits -= 8
            data.append(pending >> bits & 255)
        pending &= (1 << bits) - 1
    if bits >= 5 or pending:
        raise ValueError("its last letter is not what an encoder writes")
    return prefix, bytes(data)
