# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit key ...`: the owner's key without a browser, and who can open what is recorded."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from closedcircuit.app import DataFolder
from closedcircuit.base import Secret, SystemClock, SystemIds, append_durably
from closedcircuit.base.errors import ConfigError
from closedcircuit.cli.place import DataOption, JsonOption, data_folder, print_json, print_table

app = typer.Typer(
    help="The owner's key, and who can open what is recorded.", no_args_is_help=True, rich_markup_mode=None
)

PASSPHRASE_LEAST = 12


@app.command("create")
def create(
    identity: Annotated[Path, typer.Option("--identity", help="Where to write the owner's identity (a new file).")],
    recovery: Annotated[Path, typer.Option("--recovery", help="Where to write the recovery sheet (a new file).")],
    name: Annotated[str, typer.Option("--name", help="What the owner is called.")] = "Owner",
    passphrase_file: Annotated[
        Path | None,
        typer.Option("--passphrase-file", help="A file with the passphrase; without it you are asked."),
    ] = None,
    data: DataOption = None,
) -> None:
    """Become the owner without a browser: a server in a rack, or a script.

    Write the two files to something that you take away with you: whoever has one of them can open all footage.

    Example: closedcircuit key create --identity /media/usb/identity.txt --recovery /media/usb/recovery.txt
    """
    from closedcircuit.db import Database
    from closedcircuit.identity import NewOwner, Owner, PassphraseProof, make_setup_token
    from closedcircuit.vault import Identity, Site, seal_with_passphrase
    from closedcircuit.vault.passphrase import ITERATIONS

    folder = data_folder(data, must_exist=False)
    folder.create()
    ids = SystemIds()
    token = make_setup_token(folder.root, ids)
    if token is None:
        raise ConfigError(f"{folder.root} has an owner already.", remedy="Sign in, or use another folder.")
    passphrase = _passphrase(passphrase_file)
    own, spare = Identity.generate(ids), Identity.generate(ids)
    _write_new(identity, _sheet("identity", own.text, own.recipient.text))
    _write_new(recovery, _sheet("recovery sheet", spare.text, spare.recipient.text))
    sealed = seal_with_passphrase(own.text, passphrase, ids)
    new = NewOwner(
        name=name,
        recipient=own.recipient.text,
        recovery_recipient=spare.recipient.text,
        blob=sealed.blob,
        proof=PassphraseProof(sealed.salt, ITERATIONS, sealed.auth),
    )
    owner = Owner(folder.root, Database(folder.facts), SystemClock(), ids)
    owner.set_up(token, new, Site("localhost", "http://localhost"), "command line")
    print(f"{name} owns {folder.root}.")
    print(f"What is recorded opens with {identity} or {recovery}: keep both away from this machine.")


@app.command("list")
def list_(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List who can open what is recorded from now on.

    Example: closedcircuit key list
    """
    folder = data_folder(data)
    recipients = _recipients(folder)
    wrapped = sum(1 for _ in folder.keys.glob("*/*.age"))
    if as_json:
        print_json({"recipients": recipients, "hour_keys": wrapped})
    elif not recipients:
        print("Nobody: there is no owner's key yet, so nothing is recorded.")
    else:
        print_table(["RECIPIENT"], [[f"{text[:24]}...{text[-8:]}"] for text in recipients])
        print(f"{wrapped} hour keys are on file, each wrapped to whoever was on this list when it was made.")


@app.command("add")
def add(
    recipient: Annotated[str, typer.Argument(help="age1pq1...")],
    data: DataOption = None,
) -> None:
    """Let somebody else open what is recorded from now on. What was recorded before stays closed to them.

    Example: closedcircuit key add age1pq1...
    """
    from closedcircuit.vault import parse_recipient

    folder = data_folder(data)
    text = parse_recipient(recipient).text
    known = _recipients(folder)
    if not known:
        raise ConfigError("There is no owner yet.", remedy="Set up the owner first: closedcircuit key create")
    if text in known:
        print("Already there.")
        return
    append_durably(folder.recipients, text.encode() + b"\n")
    print("Added: from the next key on, which the recorder makes within two seconds.")


def _recipients(folder: DataFolder) -> list[str]:
    from closedcircuit.vault import read_recipients

    return [recipient.text for recipient in read_recipients(folder.recipients)] if folder.recipients.is_file() else []


def _passphrase(path: Path | None) -> Secret:
    if path:
        try:
            text = path.read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}", remedy="Name a file with the passphrase in it.") from error
    elif sys.stdin.isatty():
        text = getpass("Passphrase for signing in: ")
        if getpass("Again: ") != text:
            raise ConfigError("The two differ.", remedy="Try again.")
    else:
        raise ConfigError("There is no terminal to ask for a passphrase.", remedy="Use --passphrase-file FILE.")
    if len(text) < PASSPHRASE_LEAST:
        raise ConfigError(
            f"A passphrase has at least {PASSPHRASE_LEAST} characters.", remedy="Four random words are good."
        )
    return Secret(text)


def _sheet(what: str, identity: str, recipient: str) -> str:
    return (
        f"# Closed Circuit: {what}. Whoever has this can open all footage. An age identity (post-quantum).\n"
        f"# public key: {recipient}\n{identity}\n"
    )


def _write_new(path: Path, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists already.", remedy="Name a new file; nothing is overwritten.") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="Name a file that can be written.") from error
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
