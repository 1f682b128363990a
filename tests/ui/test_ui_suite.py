# SPDX-License-Identifier: Apache-2.0
"""The browser code's own tests (vitest), run as part of ours."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from node import install, npm


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_vitest():
    if problem := install():
        pytest.skip(f"the npm registry is needed once: {problem}")
    done = npm("test")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
