# SPDX-License-Identifier: Apache-2.0
"""Signing in to a camera: Basic (RFC 7617) and Digest with MD5 or SHA-256, qop or none (RFC 7616, 2069)."""

from __future__ import annotations

import base64
import hashlib

from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.media.rtsp.messages import parameters

_STRENGTH = {"SHA-256-SESS": 4, "SHA-256": 4, "MD5-SESS": 2, "MD5": 2}


class Challenge:
    """The best of what a server asked for; makes the header of each request. Not shared between connections."""

    def __init__(self, kind: str, fields: dict[str, str], ids: Ids) -> None:
        self.kind = kind  # "basic" or "digest"
        self.stale = fields.get("stale", "").lower() == "true"
        self.nonce = fields.get("nonce", "")
        self._fields = fields
        self._ids = ids
        self._count = 0

    def header(self, method: str, url: str, username: str, password: Secret) -> str:
        """Value of `Authorization` for one request."""
        if self.kind == "basic":
            pair = f"{username}:{password.reveal()}".encode()
            return "Basic " + base64.b64encode(pair).decode()
        return self._digest(method, url, username, password)

    def _digest(self, method: str, url: str, username: str, password: Secret) -> str:
        fields = self._fields
        algorithm = fields.get("algorithm", "MD5")
        sha = algorithm.upper().startswith("SHA-256")

        def hashed(text: str) -> str:
            data = text.encode()
            return (hashlib.sha256(data) if sha else hashlib.md5(data, usedforsecurity=False)).hexdigest()

        realm, self._count = fields.get("realm", ""), self._count + 1
        count, own_nonce = f"{self._count:08x}", self._ids.random(8).hex()
        first = hashed(f"{username}:{realm}:{password.reveal()}")
        if algorithm.upper().endswith("-SESS"):
            first = hashed(f"{first}:{self.nonce}:{own_nonce}")
        second = hashed(f"{method}:{url}")
        qop = "auth" in [value.strip().lower() for value in fields.get("qop", "").split(",")]
        middle = f"{self.nonce}:{count}:{own_nonce}:auth" if qop else self.nonce
        answer = hashed(f"{first}:{middle}:{second}")
        out = [
            f'username="{_quoted(username)}"',
            f'realm="{realm}"',
            f'nonce="{self.nonce}"',
            f'uri="{url}"',
            f'response="{answer}"',
        ]
        if "algorithm" in fields:
            out.append(f"algorithm={algorithm}")
        if "opaque" in fields:
            out.append(f'opaque="{fields["opaque"]}"')
        if qop:
            out += ["qop=auth", f"nc={count}", f'cnonce="{own_nonce}"']
        elif algorithm.upper().endswith("-SESS"):
            out.append(f'cnonce="{own_nonce}"')
        return "Digest " + ", ".join(out)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def choose(challenges: list[str], ids: Ids) -> Challenge | None:
    """Pick the strongest `WWW-Authenticate` that we can answer; None when there is none."""
    best: tuple[int, Challenge] | None = None
    for text in challenges:
        for scheme, rest in _schemes(text):
            fields = parameters(rest, ",")
            if scheme == "digest":
                strength = _STRENGTH.get(fields.get("algorithm", "MD5").upper(), 0)
                if fields.get("qop") and "auth" not in [q.strip().lower() for q in fields["qop"].split(",")]:
                    strength = 0  # auth-int alone: nobody uses it in RTSP
            else:
                strength = 1
            if strength and (best is None or strength > best[0]):
                best = strength, Challenge(scheme, fields, ids)
    return best[1] if best else None


def _schemes(text: str) -> list[tuple[str, str]]:
    """Challenges in one header: usually one; some servers put `Digest ..., Basic realm=...` in a single line."""
    found: list[tuple[int, str]] = []
    for scheme in ("digest", "basic"):
        at = -1
        while (at := text.lower().find(scheme + " ", at + 1)) >= 0:
            if text.count('"', 0, at) % 2 == 0 and (at == 0 or text[at - 1] in ", "):
                found.append((at, scheme))
    if not found:
        return []
    found.sort()
    ends = [at for at, _ in found[1:]] + [len(text)]
    return [
        (scheme, text[at + len(scheme) + 1 : end].strip().rstrip(","))
        for (at, scheme), end in zip(found, ends, strict=True)
    ]
