# SPDX-License-Identifier: Apache-2.0
"""`./dev bench NAME [OPTIONS]`."""

from __future__ import annotations

import importlib
import sys

BENCHES = {
    "record": "CPU and memory a camera, against ffmpeg -c copy at the same moment on the same streams",
    "live": "first picture and glass to glass, read from the burnt-in bar in a real browser; CPU a viewer",
    "seek": "seek to picture in a real browser, one hour's export",
    "soak": "hours of cameras with drop-outs: the sums are exact, memory is flat",
    "catalogue": "index queries at ten million segments",
}


def main() -> None:
    """Run one bench; its last line is one JSON object with --json."""
    name, *rest = sys.argv[1:] or ["help"]
    if name not in BENCHES:
        print("./dev bench NAME [--json] [--help]\n")
        for bench, what in BENCHES.items():
            print(f"  {bench:<10} {what}")
        sys.exit(0 if name in {"help", "-h", "--help"} else 2)
    sys.argv = [f"./dev bench {name}", *rest]
    sys.exit(importlib.import_module(f"bench.{name}").main())


if __name__ == "__main__":
    main()
