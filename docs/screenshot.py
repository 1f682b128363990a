# SPDX-License-Identifier: Apache-2.0
"""Takes the README's picture from a running pretend site: `uv run --group judge python docs/screenshot.py`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.browser import running_site, signed_in

with running_site() as (address, _), signed_in(address, 1280, 800) as page:
    time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 45)
    target = Path(__file__).parent / "images"
    target.mkdir(exist_ok=True)
    page.screenshot(path=target / "wall.png")
    page.goto(f"{address}#/playback")
    time.sleep(5)
    page.screenshot(path=target / "playback.png")
