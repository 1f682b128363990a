# SPDX-License-Identifier: Apache-2.0
"""The owner's account at rest: name, recipients, the sealed identity, and what proves who signs in."""

from __future__ import annotations

import msgspec

from closedcircuit.base.errors import Forbidden
from closedcircuit.db import Database, Tx
from closedcircuit.vault import Passkey


class StoredPassphrase(msgspec.Struct, frozen=True, tag_field="kind", tag="passphrase"):
    """A login by passphrase: the browser derives `auth` from it, and we keep only argon2id of that."""

    salt: bytes
    iterations: int
    auth_hash: str


class StoredPasskey(msgspec.Struct, frozen=True, tag_field="kind", tag="passkey"):
    """A login by passkey, and the host name that it was made for: it works nowhere else."""

    passkey: Passkey
    host: str


StoredLogin = StoredPassphrase | StoredPasskey


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever may sign in. `blob` is the identity, encrypted in the browser under a key that we never have."""

    id: int
    name: str
    recipient: str
    recovery_recipient: str
    blob: bytes
    login: StoredLogin
    made_90k: int


def has_owner(db: Database) -> bool:
    """Say whether somebody owns this site."""
    return bool(db.read("select 1 from account limit 1"))


def read_owner(db: Database) -> Account | None:
    """Return the owner's account."""
    rows = db.read(
        "select id, name, recipient, recovery_recipient, blob, login_json, made_90k from account order by id limit 1"
    )
    if not rows:
        return None
    account, name, recipient, recovery, blob, login, made_90k = rows[0]
    return Account(
        id=account,
        name=name,
        recipient=recipient,
        recovery_recipient=recovery,
        blob=blob,
        login=msgspec.json.decode(login, type=StoredPassphrase | StoredPasskey),
        made_90k=made_90k,
    )


def insert_owner(db: Database, account: Account) -> int:
    """Store the first account, durably, and return its id. Raises Forbidden where there is one already.

    Of two setups at once one wins: the check and the insert are one transaction.
    """

    def insert(tx: Tx) -> int:
        if tx.one("select 1 from account limit 1"):
            raise Forbidden("This site has an owner already.", remedy="Sign in.")
        return tx.insert(
            "insert into account (name, recipient, recovery_recipient, blob, login_kind, login_json, made_90k)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            (
                account.name,
                account.recipient,
                account.recovery_recipient,
                account.blob,
                _kind(account.login),
                msgspec.json.encode(account.login).decode(),
                account.made_90k,
            ),
        )

    return db.write(insert, durable=True)


def update_login(db: Database, account: int, login: StoredLogin) -> None:
    """Replace what proves an account: a passkey's counter moved on."""
    text = msgspec.json.encode(login).decode()
    db.write(lambda tx: tx.execute("update account set login_json = ? where id = ?", (text, account)))


def _kind(login: StoredLogin) -> str:
    return "passphrase" if isinstance(login, StoredPassphrase) else "passkey"
