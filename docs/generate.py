# SPDX-License-Identifier: Apache-2.0
"""Makes the generated pages of docs/reference from the code (`./dev docs`); tests/test_docs.py fails on stale ones."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import typer.main

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by ./dev docs from the code. Do not edit. -->\n\n"


def cli_page() -> str:
    """Every command with its help."""
    from closedcircuit.cli.entry import EXIT_CODES, app

    lines = ["# Command line\n", EXIT_CODES.replace("\n", " ") + "\n"]
    for name, command in _commands("closedcircuit", typer.main.get_command(app)):
        text = command.get_help(click.Context(command, info_name=name, max_content_width=110, terminal_width=110))
        lines.append(f"## {name}\n\n```\n{_stripped(text)}\n```\n")
    return NOTE + "\n".join(lines)


def errors_page() -> str:
    """Every error code, what it means, what catches it."""
    from closedcircuit.base import errors

    rows = ["# Errors\n", "| code | meaning | kind | exit code | HTTP |", "|---|---|---|---|---|"]
    for error in _tree(errors.CircuitError):
        if error.__module__ == errors.__name__:
            meaning = (error.__doc__ or "").splitlines()[0]
            rows.append(
                f"| `{error.code}` | {meaning} | {error.kind.value} | {error.exit_code} | {error.http_status} |"
            )
    return NOTE + "\n".join(rows) + "\n"


def api_page() -> str:
    """Every route."""
    from closedcircuit.api import openapi

    document = openapi()
    rows = [
        "# HTTP API\n",
        "The contract and its reasons: `docs/design/http.md`.\n",
        "| method | path | |",
        "|---|---|---|",
    ]
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            rows.append(f"| {method.upper()} | `{path}` | {_first_line(operation)} |")
    return NOTE + "\n".join(rows) + "\n"


def _first_line(operation: dict[str, Any]) -> str:
    text = operation.get("description") or operation.get("summary") or ""
    return str(text).splitlines()[0] if text else ""


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    for child, sub in getattr(command, "commands", {}).items():
        yield from _commands(f"{name} {child}", sub)


def _tree(root: type[Any]) -> Iterator[type[Any]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


PAGES: dict[str, Callable[[], str]] = {"cli.md": cli_page, "errors.md": errors_page, "api.md": api_page}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), "utf-8")
        sys.stdout.write(f"docs/reference/{name}\n")


if __name__ == "__main__":
    main()
