# SPDX-License-Identifier: Apache-2.0
"""Seeking in a real browser: from a click on the timeline to the picture of that moment, read from its burnt-in strip.

And one hour opened in bulk: the CPU seconds of what `closedcircuit footage unlock` does, on what was recorded, scaled.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from bench.browser import READ_BAR, running_site, signed_in, spread
from closedcircuit.playback.unlock import Request, unlock_footage
from closedcircuit.vault import read_identities

UNLOCKS = 5

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
                place = chance.uniform(0.3, 0.8)
                while abs(place - last) < 0.1:
                    place = chance.uniform(0.3, 0.8)
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
    """CPU seconds that an hour takes to open, in this process, without Python's start."""
    request = Request(camera="till", stream="main", from_90k=0, to_90k=1 << 60)
    identities = read_identities(root / "run" / "identity")
    with tempfile.TemporaryDirectory() as out:
        began = time.process_time()
        for _ in range(UNLOCKS):
            report = unlock_footage(request, [root], root / "keys", identities, Path(out))
        used = time.process_time() - began
    seconds = sum(file.seconds for file in report.files) * UNLOCKS
    return {"opened_s": round(seconds, 1), "cpu_s_per_hour": round(used * 3600 / seconds, 2)}


if __name__ == "__main__":
    sys.exit(main())
