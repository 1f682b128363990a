# SPDX-License-Identifier: Apache-2.0
"""Which data folder a command means, and how facts are printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from closedcircuit.app import DataFolder
from closedcircuit.base.errors import ConfigError

DATA_HELP = (
    "The data folder. Without it: $CLOSEDCIRCUIT_DATA, else ./var/site where that exists, else the account's own."
)

DataOption = Annotated[Path | None, typer.Option("--data", help=DATA_HELP, show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print facts as one JSON document.")]

_before_command: list[Path] = []


def choose_data(path: Path | None) -> None:
    """Remember a `--data` given before the command's name."""
    _before_command[:] = [path] if path else []


def data_folder(path: Path | None, *, must_exist: bool = True) -> DataFolder:
    """Return the folder a command works on. Raises ConfigError where there is none and one is needed."""
    chosen = path or (_before_command[0] if _before_command else None) or _default()
    if must_exist and not (chosen / "run").is_dir():
        raise ConfigError(
            f"{chosen.resolve()} is no data folder of Closed Circuit.",
            remedy="Name it with --data, or start the site once: closedcircuit run --data DIR",
        )
    return DataFolder(chosen)


def _default() -> Path:
    if set_by_hand := os.environ.get("CLOSEDCIRCUIT_DATA"):
        return Path(set_by_hand)
    checkout = Path("var/site")
    if checkout.is_dir():
        return checkout
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "closedcircuit"


def print_json(facts: Any) -> None:
    """Print one JSON document."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, plain text: it is read in terminals, mails and scripts."""
    widths = [max(len(line[at]) for line in [list(columns), *map(list, rows)]) for at in range(len(columns))]
    for line in [columns, *rows]:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")
