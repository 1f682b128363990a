# SPDX-License-Identifier: Apache-2.0
"""Becoming the owner, and proving it again later."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec

from closedcircuit.base import Clock, Ids
from closedcircuit.base.durable import checkpoint
from closedcircuit.base.errors import AccessError, Forbidden, KeyError_, RequestError
from closedcircuit.db import Database
from closedcircuit.identity.accounts import (
    Account,
    StoredLogin,
    StoredPasskey,
    StoredPassphrase,
    has_owner,
    insert_owner,
    read_owner,
    update_login,
)
from closedcircuit.identity.limit import LoginLimit
from closedcircuit.identity.passkeys import Challenges
from closedcircuit.identity.recipients_file import write_recipients
from closedcircuit.identity.setup_link import SetupLink
from closedcircuit.vault import LoginSecrets, Site, parse_recipient

ITERATIONS = range(600_000, 10_000_001)
"""PBKDF2 rounds that we accept from a browser: fewer are weak, more would lock out a phone."""

BLOB_MAX = 16 << 10
NAME_MAX = 80
_WRONG = "Try again; after five wrong answers there is a pause."


class PassphraseProof(msgspec.Struct, frozen=True, tag_field="kind", tag="passphrase"):
    """Setup by passphrase: what its browser made of it."""

    salt: bytes  # 16
    iterations: int
    auth: bytes  # 32


class PasskeyProof(msgspec.Struct, frozen=True, tag_field="kind", tag="passkey"):
    """Setup by passkey: the browser's answer to `setup_options` (WebAuthn RegistrationResponseJSON)."""

    credential: dict[str, Any]


class NewOwner(msgspec.Struct, frozen=True, kw_only=True):
    """What setup is given."""

    name: str
    recipient: str
    recovery_recipient: str
    blob: bytes
    proof: PassphraseProof | PasskeyProof


class Owner:
    """The owner's account. Safe from any thread. Calls that hash take about 0.1 s and 64 MiB, one at a time."""

    def __init__(self, data_dir: Path, db: Database, clock: Clock, ids: Ids) -> None:
        self._data_dir, self._db, self._clock, self._ids = data_dir, db, clock, ids
        self._link = SetupLink(data_dir)
        self._limit = LoginLimit(clock)
        self._challenges = Challenges(clock)
        self._hashing = threading.Lock()

    def repair(self) -> None:
        """Finish a setup that a crash broke off: write recipients, spend the token. Call it at the start."""
        account = self.account()
        if account is not None:
            write_recipients(self._data_dir, account)
            self._link.spend()

    def exists(self) -> bool:
        """Say whether there is an owner."""
        return has_owner(self._db)

    def account(self) -> Account | None:
        """Return the owner's account."""
        return read_owner(self._db)

    # ------------------------------------------------------------------------------------------ becoming it

    def setup_options(self, token: str, name: str, site: Site, address: str) -> dict[str, Any]:
        """Return WebAuthn creation options for setup by passkey. Raises as `set_up` does."""
        self._check_token(token, address)
        challenge = LoginSecrets.passkey_creation_options(site, check_name(name), self._ids)
        return self._challenges.ask("setup", challenge)

    def set_up(self, token: str, new: NewOwner, site: Site, address: str) -> Account:
        """Make the owner. The account is durable, then the recipients, then the token is spent.

        Raises Forbidden (wrong token, or an owner is there), RequestError or `KeyError_` (it makes no sense),
        AccessError (the passkey's answer is wrong), TooManyTries.
        """
        self._check_token(token, address)
        account = Account(
            id=0,
            name=check_name(new.name),
            recipient=_check_recipient(new.recipient, "recipient"),
            recovery_recipient=_check_recipient(new.recovery_recipient, "recovery_recipient"),
            blob=new.blob,
            login=self._store(new.proof, site),
            made_90k=self._clock.now_90k(),
        )
        if account.recipient == account.recovery_recipient:
            raise RequestError("The recovery sheet must be another key than the owner's.", remedy="Make a second one.")
        if not 28 < len(account.blob) <= BLOB_MAX:
            raise RequestError(
                f"`blob` has {len(account.blob)} bytes, not 29 to {BLOB_MAX}.", remedy="Load the page again."
            )
        # crash here: nothing is there yet; the link still works.
        checkpoint("identity.account")
        account = msgspec.structs.replace(account, id=insert_owner(self._db, account))
        # crash here: an owner without recipients, so nothing is recorded; `repair` writes them at the next start.
        checkpoint("identity.recipients")
        write_recipients(self._data_dir, account)
        # crash here: a token that opens nothing any more; `repair` removes it.
        checkpoint("identity.spend")
        self._link.spend()
        return account

    def _check_token(self, token: str, address: str) -> None:
        if self.exists():
            raise Forbidden("This site has an owner already.", remedy="Sign in.")
        self._limit.enter(address)
        self._link.check(token)
        self._limit.forgive(address)

    def _store(self, proof: PassphraseProof | PasskeyProof, site: Site) -> StoredLogin:
        if isinstance(proof, PasskeyProof):
            challenge = self._challenges.take("setup", proof.credential)
            return StoredPasskey(LoginSecrets.verify_passkey_creation(proof.credential, challenge, site), site.host)
        if len(proof.salt) != 16 or len(proof.auth) != 32 or proof.iterations not in ITERATIONS:
            raise RequestError(
                f"`salt` must have 16 bytes, `auth` 32, and `iterations` be at least {ITERATIONS.start}.",
                remedy="Load the page again.",
            )
        with self._hashing:
            return StoredPassphrase(proof.salt, proof.iterations, LoginSecrets.hash_auth(proof.auth))

    # ------------------------------------------------------------------------------------------ signing in

    def login_options(self, site: Site) -> dict[str, Any]:
        """Return what a browser needs to sign in: salt and rounds, or WebAuthn request options. Raises Forbidden."""
        login = self._owner().login
        if isinstance(login, StoredPassphrase):
            return {"kind": "passphrase", "salt": login.salt, "iterations": login.iterations}
        self._check_host(login, site)
        challenge = LoginSecrets.passkey_request_options(site, (login.passkey,), self._ids)
        return {"kind": "passkey", "options": self._challenges.ask("login", challenge)}

    def login_passphrase(self, auth: bytes, address: str) -> Account:
        """Return the account whose passphrase this came from. Raises AccessError, TooManyTries."""
        account = self._owner()
        self._limit.enter(address)
        login = account.login
        if not isinstance(login, StoredPassphrase):
            raise AccessError("This site is opened with a passkey.", remedy="Load the page again.")
        with self._hashing:
            right = LoginSecrets.verify_auth(login.auth_hash, auth)
        if not right:
            raise AccessError("That passphrase is not right.", remedy=_WRONG)
        self._limit.forgive(address)
        return account

    def login_passkey(self, credential: dict[str, Any], site: Site, address: str) -> Account:
        """Return the account that a passkey proves. Raises AccessError, TooManyTries, Forbidden."""
        account = self._owner()
        self._limit.enter(address)
        login = account.login
        if not isinstance(login, StoredPasskey):
            raise AccessError("This site is opened with a passphrase.", remedy="Load the page again.")
        self._check_host(login, site)
        challenge = self._challenges.take("login", credential)
        seen = LoginSecrets.verify_passkey_assertion(credential, challenge, site, login.passkey)
        if seen != login.passkey:
            update_login(self._db, account.id, StoredPasskey(seen, login.host))
        self._limit.forgive(address)
        return account

    def _owner(self) -> Account:
        account = self.account()
        if account is None:
            raise Forbidden(
                "This site has no owner yet.",
                remedy="Open the one-time link that `closedcircuit run` printed.",
            )
        return account

    @staticmethod
    def _check_host(login: StoredPasskey, site: Site) -> None:
        if login.host != site.host:
            raise Forbidden(
                f"The passkey of this site was made for {login.host}, and works under that name only.",
                remedy=f"Open {site.origin.replace(site.host, login.host, 1)} instead.",
            )


def check_name(name: str) -> str:
    """Return a person's name without outer blanks. Raises RequestError: it goes into comments of a file, one a line."""
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise RequestError(f"A name has 1 to {NAME_MAX} letters and no line break.", remedy="Choose another.")
    return name


def _check_recipient(text: str, field: str) -> str:
    try:
        return parse_recipient(text).text
    except KeyError_ as error:
        raise RequestError(f"`{field}`: {error}", remedy=error.remedy) from error
