# SPDX-License-Identifier: Apache-2.0
"""Live view in a real browser: first picture, glass to glass by the burnt-in strip, and what a viewer costs the server.

Glass to glass: from the moment the pretend camera drew a picture (its strip says when) to the animation frame in which
the browser shows it. Not in it: a camera's own encoder delay beyond our zero-latency one, a network, the display.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from bench.browser import READ_BAR, running_site, signed_in, spread
from bench.soak import cpu_s
from closedcircuit.app import DataFolder

WATCH = """
async ([read, seconds]) => {
  const bar = eval(read), delays = {}, seen = {}, until = performance.now() + seconds * 1000;
  while (performance.now() < until) {
    await new Promise(requestAnimationFrame);
    [...document.querySelectorAll("canvas")].forEach((canvas, n) => {
      const found = bar(canvas);
      if (!found || found.frame === seen[n]) return;
      seen[n] = found.frame;
      const now = Math.floor(performance.timeOrigin + performance.now()) % 2 ** 28;
      (delays[n] ??= []).push((now - found.ms + 2 ** 28) % 2 ** 28);
    });
  }
  return Object.values(delays);
}
"""
FIRST = """
async ([read, hash]) => {
  const bar = eval(read), began = performance.now();
  location.hash = hash;
  while (performance.now() - began < 20000) {
    await new Promise(requestAnimationFrame);
    const canvases = [...document.querySelectorAll("canvas")];
    if (canvases.some((canvas) => bar(canvas))) return performance.now() - began;
  }
  return null;
}
"""


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=7, help="of the first picture")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with running_site() as (address, root), signed_in(address) as page:
        time.sleep(8)
        pids = {p: DataFolder(root).read_status(p)["pid"] for p in ("recorder", "web")}
        idle = {role: cpu_s(pid) for role, pid in pids.items()}
        delays = page.evaluate(WATCH, [READ_BAR.strip(), args.seconds])
        used = {role: round(100 * (cpu_s(pid) - idle[role]) / args.seconds, 2) for role, pid in pids.items()}
        firsts = []
        for _ in range(args.rounds):
            page.evaluate("location.hash = '#/system'")
            page.wait_for_function("() => !document.querySelector('canvas')")
            time.sleep(1.0)
            firsts.append(page.evaluate(FIRST, [READ_BAR.strip(), "#/wall"]))
    missed = firsts.count(None)
    result = {
        "cameras_shown": len(delays),
        "glass_to_glass_ms": spread([delay for camera in delays for delay in camera]),
        "first_picture_ms": spread([first for first in firsts if first is not None]),
        "first_pictures_missed": missed,
        "cpu_percent": used,
        "pictures_per_s": [round(len(camera) / args.seconds, 1) for camera in delays],
    }
    print(json.dumps(result) if args.json else json.dumps(result, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
