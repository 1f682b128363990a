# SPDX-License-Identifier: Apache-2.0
"""`closedcircuit`: gathers the commands; turns our errors into a sentence, a remedy and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from closedcircuit.base import CircuitError
from closedcircuit.cli import camera, footage, key, run, status
from closedcircuit.cli.place import DATA_HELP, choose_data

EXIT_CODES = """Exit codes: 0 done; 1 our fault; 2 wrong use or configuration; 3 camera; 4 damaged media; 5 storage;
6 index; 7 keys; 8 not allowed; 9 no such thing; 10 something is not well (status)."""

app = typer.Typer(
    name="closedcircuit",
    help=f"A CCTV recorder whose footage opens only with keys its owner holds.\n\n{EXIT_CODES}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("status")(status.status)
app.add_typer(camera.app, name="camera")
app.add_typer(footage.app, name="footage")
app.add_typer(key.app, name="key")


def _print_version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"closedcircuit {version('closedcircuit')}")
        raise typer.Exit


@app.callback()
def options(
    data: Annotated[Path | None, typer.Option("--data", help=DATA_HELP, envvar="CLOSEDCIRCUIT_DATA")] = None,
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""
    choose_data(data)


def main() -> None:
    """Entry point of the `closedcircuit` command."""
    try:
        app()
    except CircuitError as error:
        sys.stderr.write(f"Error ({error.code}): {error}\n")
        if error.remedy:
            sys.stderr.write(f"{error.remedy}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)  # `closedcircuit ... | head`
