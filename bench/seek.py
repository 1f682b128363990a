# SPDX-License-Identifier: Apache-2.0
"""Seeking in a real browser: from a click on the timeline to the picture of that moment, read from its burnt-in strip.

And one hour opened in bulk: CPU seconds of `closedcircuit footage unlock`, measured on what was recorded and scaled.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.browser import READ_BAR, running_site, signed_in, spread

SEEK = """
async ([read, x]) => {
  const bar = eval(read), slider = document.querySelector('[role=slider]');
  const shown = () => [...document.querySelectorAll('canvas')].map(bar).find(Boolean);
  const before = shown()?.ms ?? 0, box = slider.getBoundingClientRect();
  const at = { clientX: box.left + x * box.width, clientY: box.top + box.height * 0.6, bubbles: true, pointerId: 1,
               isPrimary: true, button: 0, buttons: 1, pointerType: 'mouse' };
  const began = performance.now();
  slider.dispatchEvent(new PointerEvent('pointerdown', at));
  slider.dispatchEvent(new PointerEvent('pointerup', { ...at, buttons: 0 }));
  while (performance.now() - began < 5000) {
    await new Promise(requestAnimationFrame);
    const found = shown();
    if (found && Math.abs(found.ms - before) > 1500) return performance.now() - began;
  }
  return null;
}
"""


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=float, default=60, help="seconds to record first")
    parser.add_argument("--seeks", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with running_site() as (address, root):
        with signed_in(address) as page:
            time.sleep(args.record)
            page.evaluate("location.hash = '#/playback?c=till'")
            page.wait_for_selector("[role=slider]")
            page.get_by_role("button", name="1 min", exact=True).click()
            time.sleep(2)
            chance, seeks = random.Random(1), []
            last = 0.0
            for _ in range(args.seeks):
                place = chance.uniform(0.1, 0.75)
                while abs(place - last) < 0.1:
                    place = chance.uniform(0.1, 0.75)
                last = place
                seeks.append(page.evaluate(SEEK, [READ_BAR.strip(), place]))
                time.sleep(0.4)
        result = {
            "seek_to_picture_ms": spread([seek for seek in seeks if seek is not None]),
            "seeks_missed": seeks.count(None),
            **unlock(root),
        }
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))
    return 1 if result["seeks_missed"] else 0


def unlock(root: Path) -> dict[str, float]:
    """CPU seconds that an hour takes, without Python's start: the same command on nothing is taken off."""
    command = [sys.executable, "-m", "closedcircuit.cli", "footage", "unlock", "--data", str(root), "--json"]
    times = ["2020-01-01T00:00Z", "2100-01-01T00:00Z", "--identity", str(root / "run" / "identity")]
    with tempfile.TemporaryDirectory() as out:
        began = _children()
        done = subprocess.run([*command, "till", *times, "--out", out], check=True, capture_output=True, text=True)
        used = _children() - began
        began = _children()
        subprocess.run([*command, "nobody", *times, "--out", out], check=False, capture_output=True)
        start = _children() - began
    files = json.loads(done.stdout)["files"]
    seconds = sum(file["seconds"] for file in files)
    return {"opened_s": round(seconds, 1), "cpu_s_per_hour": round((used - start) * 3600 / seconds, 2)}


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
