# SPDX-License-Identifier: Apache-2.0
"""Who is signed in. A session is a random token in a cookie; only its SHA-256 is stored."""

from __future__ import annotations

import base64
import hashlib
import threading

import msgspec

from closedcircuit.base import TICKS, Clock, Ids
from closedcircuit.base.errors import NotFound
from closedcircuit.db import Database, Tx

LASTS_90K = 30 * 86_400 * TICKS
"""A session ends this long after it was last used."""

SEEN_EVERY_90K = 3_600 * TICKS
"""How exactly "last used" is kept: a row written an hour, not a request."""

TRUSTED_S = 5.0
"""How long a session that was found is believed without asking again: a session that another process (the command
line) revoked may live this much longer. One revoked here ends at once."""

REMEMBERED_MAX = 256
"""Sessions believed at once; more only ask the database more often."""

SESSIONS_MAX = 100
"""Sessions an account may have; opening one more ends the one longest unused."""

AGENT_MAX = 200
_TOKEN_BYTES = 32


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One browser that is signed in."""

    id: str  # 16 hex digits of the token's hash: enough to name it, useless to sign in with
    account: int
    made_90k: int
    seen_90k: int
    expires_90k: int
    agent: str


class Sessions:
    """Sessions of all accounts. Safe from any thread; `_lock` guards what is remembered.

    Durability: opening and revoking survive kill -9; a power cut may undo the last few (then: sign in again, or a
    revoked session lives until it is revoked again, which is why revoking is durable).
    """

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        self._db, self._clock, self._ids = db, clock, ids
        self._lock = threading.Lock()
        self._remembered: dict[bytes, tuple[Session, float]] = {}
        self._ended = 0  # counts endings, so that one that ends while it is looked up is not remembered

    def open(self, account: int, agent: str) -> str:
        """Start a session and return its token, 43 letters; it is stored nowhere."""
        token = base64.urlsafe_b64encode(self._ids.random(_TOKEN_BYTES)).rstrip(b"=").decode()
        now_90k = self._clock.now_90k()
        row = (_digest(token), account, now_90k, now_90k, now_90k + LASTS_90K, _printable(agent))

        def insert(tx: Tx) -> None:
            tx.execute("delete from session where expires_90k <= ?", (now_90k,))
            tx.execute(
                "delete from session where account_id = ? and token_sha256 not in (select token_sha256 from session"
                " where account_id = ? order by seen_90k desc limit ?)",
                (account, account, SESSIONS_MAX - 1),
            )
            tx.execute("insert into session values (?, ?, ?, ?, ?, ?)", row)

        self._db.write(insert)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, None where there is none or it is over. Using it makes it last longer."""
        if not 40 <= len(token) <= 64:
            return None
        digest = _digest(token)
        with self._lock:
            session, until_s = self._remembered.get(digest, (None, 0.0))
            ended = self._ended
        now_90k, now_s = self._clock.now_90k(), self._clock.monotonic_s()
        if session is None or now_s >= until_s:
            session = self._ask(digest, now_90k)
            if session is None:
                return None
            with self._lock:
                if len(self._remembered) >= REMEMBERED_MAX:
                    self._remembered.clear()
                if ended == self._ended:
                    self._remembered[digest] = (session, now_s + TRUSTED_S)
        return session if session.expires_90k > now_90k else None

    def list(self, account: int) -> list[Session]:
        """Return an account's sessions, the latest used first."""
        rows = self._db.read(
            "select token_sha256, account_id, made_90k, seen_90k, expires_90k, agent from session"
            " where account_id = ? and expires_90k > ? order by seen_90k desc",
            (account, self._clock.now_90k()),
        )
        return [_session(row) for row in rows]

    def close(self, token: str) -> None:
        """End the session of a token; nothing happens where there is none."""
        digest = _digest(token)
        self._db.write(lambda tx: tx.execute("delete from session where token_sha256 = ?", (digest,)), durable=True)
        self._forget()

    def revoke(self, account: int, session: str) -> None:
        """End one of an account's sessions, named by its id. Raises NotFound."""
        doomed = [s for s in self.list(account) if s.id == session]
        if not doomed:
            raise NotFound("There is no such session.", remedy="Load the list again.")
        self._db.write(
            lambda tx: tx.execute(
                "delete from session where account_id = ? and lower(substr(hex(token_sha256), 1, 16)) = ?",
                (account, session),
            ),
            durable=True,
        )
        self._forget()

    def _ask(self, digest: bytes, now_90k: int) -> Session | None:
        rows = self._db.read(
            "select token_sha256, account_id, made_90k, seen_90k, expires_90k, agent from session"
            " where token_sha256 = ? and expires_90k > ?",
            (digest, now_90k),
        )
        if not rows:
            return None
        session = _session(rows[0])
        if abs(now_90k - session.seen_90k) < SEEN_EVERY_90K:
            return session
        session = msgspec.structs.replace(session, seen_90k=now_90k, expires_90k=now_90k + LASTS_90K)
        # `where` once more: a session revoked between the read and here is not brought back.
        self._db.write(
            lambda tx: tx.execute(
                "update session set seen_90k = ?, expires_90k = ? where token_sha256 = ?",
                (session.seen_90k, session.expires_90k, digest),
            )
        )
        return session

    def _forget(self) -> None:
        with self._lock:
            self._ended += 1
            self._remembered.clear()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _session(row: tuple[bytes, int, int, int, int, str]) -> Session:
    digest, account, made_90k, seen_90k, expires_90k, agent = row
    return Session(
        id=digest[:8].hex(),
        account=account,
        made_90k=made_90k,
        seen_90k=seen_90k,
        expires_90k=expires_90k,
        agent=agent,
    )


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:AGENT_MAX])
