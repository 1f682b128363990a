# SPDX-License-Identifier: Apache-2.0
"""The one-time link: who started the program on the machine becomes the owner, and nobody else.

`run/token` holds 32 hex digits, mode 0600, while there is no owner. It is spent by becoming one.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from closedcircuit.base import Ids, write_durably
from closedcircuit.base.errors import Forbidden
from closedcircuit.db import Database
from closedcircuit.identity.accounts import has_owner

_REMEDY = "Open the link that `closedcircuit run` printed; starting it again prints it again."


class SetupLink:
    """The token in `run/token`. Safe from any thread: it only reads, writes and unlinks one small file."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "run" / "token"

    def make(self, ids: Ids) -> str:
        """Return the token that is there, or make one: a link printed before a restart stays good."""
        known = self._read()
        if known:
            return known
        token = ids.random(16).hex()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(self._path, token.encode() + b"\n")
        return token

    def check(self, token: str) -> None:
        """Raise Forbidden where `token` is not the one, in constant time."""
        known = self._read()
        given = token.encode("utf-8", "replace")
        if not known or not hmac.compare_digest(known.encode(), given):
            raise Forbidden("This one-time link is not valid, or was used already.", remedy=_REMEDY)

    def spend(self) -> None:
        """Remove it.

        crash before: it lies there, but opens nothing while there is an owner; the next start removes it.
        """
        self._path.unlink(missing_ok=True)

    def _read(self) -> str:
        try:
            text = self._path.read_text("ascii").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""
        return text if len(text) == 32 else ""


def make_setup_token(data_dir: Path, ids: Ids) -> str | None:
    """Return the one-time token to print, or None where there is an owner already. For the supervisor, at its start."""
    link = SetupLink(data_dir)
    facts = data_dir / "facts.db"
    if facts.is_file():
        db = Database(facts)
        try:
            owned = has_owner(db)
        finally:
            db.close()
        if owned:
            link.spend()
            return None
    return link.make(ids)
