# SPDX-License-Identifier: Apache-2.0
"""The data folder: where everything of one site lies (docs/design/processes.md), and the status files in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from closedcircuit.base.errors import ConfigError


class DataFolder:
    """Names the places. Making a folder 0700 keeps other accounts of the machine out of keys and secrets."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run = self.root / "run"
        self.cameras = self.root / "cameras"
        self.keys = self.root / "keys"
        self.secrets = self.root / "secrets"
        self.recipients = self.keys / "recipients.txt"
        self.facts = self.root / "facts.db"
        self.config = self.root / "config.toml"
        self.token = self.run / "token"

    def create(self) -> None:
        """Make what is missing. Raises ConfigError where that is not allowed."""
        try:
            for folder in (self.root, self.run, self.cameras, self.keys, self.secrets):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The data folder {self.root} cannot be made: {error.strerror}.", remedy="Choose another with --data."
            ) from error

    def write_status(self, role: str, status: dict[str, Any]) -> None:
        """Replace `run/<role>.json`. Readers see the old or the new text, never a half; not durable on purpose."""
        path = self.run / f"{role}.json"
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(status))
        part.replace(path)

    def read_status(self, role: str) -> dict[str, Any] | None:
        """Return what a role last said, with `alive` added; None if it never ran here or the file is damaged."""
        try:
            status = msgspec.json.decode((self.run / f"{role}.json").read_bytes())
        except (OSError, msgspec.DecodeError):
            return None
        if not isinstance(status, dict):
            return None
        status["alive"] = is_alive(status.get("pid"))
        return status


def is_alive(pid: object) -> bool:
    """Say whether a process of that number runs (signal 0)."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
