# SPDX-License-Identifier: Apache-2.0
"""`keys/recipients.txt`: who can open what is recorded from now on."""

from __future__ import annotations

from pathlib import Path

from closedcircuit.base import iso, write_durably
from closedcircuit.identity.accounts import Account
from closedcircuit.vault import read_recipients

_HEAD = """\
# Who can open what Closed Circuit records from now on: age recipients (age-encryption.org), one a line.
# A line taken out stops nobody from opening what was recorded before. Without any line nothing is recorded.
"""


def write_recipients(data_dir: Path, account: Account) -> bool:
    """See to it that both recipients of the owner are in the file; return whether it had to be written.

    Lines that are there stay: somebody put them there on purpose. Raises `KeyError_` where they cannot be read.

    crash before: the account is there and the file is not, so nothing is recorded; the web process calls this again
    when it starts; crash after: done.
    """
    path = data_dir / "keys" / "recipients.txt"
    known = {recipient.text for recipient in read_recipients(path)}
    wanted = {account.recipient: f"the owner, {account.name}", account.recovery_recipient: "the owner's recovery sheet"}
    missing = {text: whose for text, whose in wanted.items() if text not in known}
    if not missing:
        return False
    before = path.read_text("utf-8") if path.is_file() else _HEAD
    if not before.endswith("\n"):
        before += "\n"
    when = iso(account.made_90k)
    lines = [f"\n# {whose}, since {when}\n{text}\n" for text, whose in missing.items()]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path, (before + "".join(lines)).encode())
    return True
