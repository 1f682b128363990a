# SPDX-License-Identifier: Apache-2.0
"""`python -m closedcircuit.app.role NAME --data DIR`: what the supervisor starts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from closedcircuit.app.roles import ROLES, play_role

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One role of Closed Circuit; `closedcircuit run` starts them all.")
    parser.add_argument("name", choices=sorted(ROLES))
    parser.add_argument("--data", type=Path, required=True)
    chosen = parser.parse_args()
    sys.exit(play_role(chosen.name, chosen.data))
