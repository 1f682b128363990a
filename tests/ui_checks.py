# SPDX-License-Identifier: Apache-2.0
"""The UI's part of `./dev check`: svelte-check and TypeScript, without a system Node."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "ui"))
from node import install, npm

if problem := install():
    sys.exit(problem)
done = npm("run", "check")
print(done.stdout[-2000:], done.stderr[-2000:], sep="\n")
sys.exit(done.returncode)
