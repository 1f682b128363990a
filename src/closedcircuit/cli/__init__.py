# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a group of commands. Rooms are imported inside commands, so that `--help` is quick."""

from closedcircuit.cli.entry import main

__all__ = ["main"]
