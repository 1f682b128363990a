# SPDX-License-Identifier: Apache-2.0
"""A running pretend site and a real browser that is signed in: what the benches of live and seek share."""

from __future__ import annotations

import contextlib
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.soak import free_port

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--no-first-run",
]
PASSPHRASE = "four random words here"

READ_BAR = """
(canvas) => {  // the strip of closedcircuit.pretend.bar, read from what is shown; null where it cannot be
  const w = canvas.width, h = canvas.height;
  if (!w || !h) return null;
  const strip = Math.max(6, Math.floor(h / 90) & ~1);
  const copy = (window.__bar ??= new OffscreenCanvas(1, 1));
  copy.width = w; copy.height = 2;
  const ctx = copy.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(canvas, 0, h - strip / 2 - 1, w, 2, 0, 0, w, 2);
  const px = ctx.getImageData(0, 0, w, 2).data;
  const level = (cell) => {
    const from = Math.floor(cell * w / 64 + w / 192), to = Math.max(from + 1, Math.floor(cell * w / 64 + w / 96));
    let sum = 0;
    for (let x = from; x < to; x++) sum += px[x * 4] + px[(w + x) * 4];
    return sum / (2 * (to - from));
  };
  const levels = Array.from({ length: 64 }, (_, cell) => level(cell));
  const white = Math.min(levels[0], levels[2]), black = Math.max(levels[1], levels[3]);
  if (white - black < 40) return null;
  const bits = levels.map((l) => (l > (white + black) / 2 ? 1 : 0));
  const number = (from, count) => bits.slice(from, from + count).reduce((sum, bit) => sum * 2 + bit, 0);
  let crc = 0;
  const fact = [0, 0, 0, 0, ...bits.slice(4, 56)];
  for (let byte = 0; byte < 7; byte++) {
    crc ^= fact.slice(byte * 8, byte * 8 + 8).reduce((sum, bit) => sum * 2 + bit, 0);
    for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 7) & 255 : (crc << 1) & 255;
  }
  return crc === number(56, 8) ? { frame: number(4, 24), ms: number(28, 28) } : null;
}
"""


@contextlib.contextmanager
def running_site(data: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Start a pretend site with an owner; yield its address and folder; stop it."""
    with contextlib.ExitStack() as stack:
        root = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        port = free_port()
        cli = [sys.executable, "-m", "closedcircuit.cli"]
        site = subprocess.Popen(
            [*cli, "run", "--data", str(root), "--port", str(port)], stdout=subprocess.PIPE, text=True
        )
        try:
            site.stdout.readline()
            (root / "run" / "pw").write_text(PASSPHRASE)
            keys = [f"--identity={root}/run/identity", f"--recovery={root}/run/recovery"]
            create = [*cli, "key", "create", "--data", str(root), *keys, "--passphrase-file", str(root / "run" / "pw")]
            subprocess.run(create, check=True, stdout=subprocess.DEVNULL)
            yield f"http://localhost:{port}/", root
        finally:
            site.send_signal(signal.SIGTERM)
            site.wait(30)
            site.stdout.close()


@contextlib.contextmanager
def signed_in(address: str, width: int = 1440, height: int = 900) -> Iterator[object]:
    """A Chromium page of the console, signed in with the passphrase."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(address)
        page.locator("input[type=password]").first.fill(PASSPHRASE)
        page.keyboard.press("Enter")
        page.wait_for_selector("canvas", timeout=30_000)
        yield page
        browser.close()


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th percentile, worst, count."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 1),
        "p95": round(ordered[int(len(ordered) * 0.95)], 1),
        "max": round(ordered[-1], 1),
        "n": len(ordered),
    }
