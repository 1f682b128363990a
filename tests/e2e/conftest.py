# SPDX-License-Identifier: Apache-2.0
"""A whole site and a browser: cameras, `closedcircuit run`, Chromium. Made once for all tests of this folder."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).resolve().parents[1] / "ui")]
ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("CLOSEDCIRCUIT_CHROMIUM") or which("chromium") or which("chromium-browser") or ""
HARNESS = "/engine-harness/"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    # The harness's files are put into the server's origin by the test itself, which Chromium takes for another network.
    "--disable-features=LocalNetworkAccessChecks",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(300))


class Site:
    """A running `closedcircuit run` with the test cameras."""

    def __init__(self, data: Path, port: int, token: str, process: subprocess.Popen[str]) -> None:
        self.data, self.port, self.token, self.process = data, port, token, process
        self.base = f"http://localhost:{port}"
        self.identity = ""
        self.passphrase = "a passphrase for the tests"  # opens nothing but this test's own site


@pytest.fixture(scope="session")
def cameras() -> Iterator[Any]:
    from testcam import TestCameras

    with TestCameras() as made:
        yield made


@pytest.fixture(scope="session")
def site(cameras: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    from closedcircuit.app.folder import DataFolder

    data = tmp_path_factory.mktemp("site")
    DataFolder(data).create()  # with cameras in it before the first start, it is no pretend site
    command = [sys.executable, "-c", "import sys; from closedcircuit.cli import main; sys.exit(main())"]
    for name, streams in cameras.streams.items():
        sub = ["--sub", cameras.address(name, "sub")] if streams > 1 else []
        arguments = ["camera", "add", name, cameras.address(name), *sub, "--no-test", "--data", str(data)]
        subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (data / "run.log").open("w")
    process = subprocess.Popen(
        [*command, "run", "--data", str(data), "--port", str(port)], stdout=log, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield Site(data, port, _token(data / "run.log", process), process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        log.close()


def _token(log: Path, process: subprocess.Popen[str]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"#setup=(\w+)", log.read_text()):
            return found[1]
        time.sleep(0.1)
    pytest.fail(f"the site did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine built for a bare page."""
    from node import install, npm

    if problem := install():
        pytest.skip(f"the npm registry is needed once: {problem}")
    folder = tmp_path_factory.mktemp("harness")
    config = ROOT / "tests/e2e/harness/vite.config.mjs"
    done = npm("exec", "--", "vite", "build", "--config", str(config), "--outDir", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group judge)")
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine (CLOSEDCIRCUIT_CHROMIUM names one elsewhere)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


SETUP = """async ([token, passphrase]) => {
  const engine = new Engine();
  const owner = await engine.makeOwner();
  const sealed = await engine.sealBlobWithPassphrase(owner.identity, passphrase);
  const { blob, ...login } = sealed;
  const { recipient, recoveryRecipient: recovery_recipient } = owner;
  const body = { token, name: "Owner", recipient, recovery_recipient, blob, login: { kind: "passphrase", ...login } };
  const headers = { "content-type": "application/json" };
  const answer = await fetch("/api/setup", { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
  engine.close();
  return owner.identity;
}"""


@pytest.fixture(scope="session")
def signed_in(site: Site, chromium: Any, harness: Path) -> Iterator[Any]:
    """A browser context whose owner was set up on this site."""
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    context.route(f"**{HARNESS}**", lambda route: _serve(route, harness))
    page = context.new_page()
    page.goto(site.base + HARNESS)
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    site.identity = page.evaluate(SETUP, [site.token, site.passphrase])
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(signed_in: Any, site: Site) -> Iterator[Any]:
    """A bare page with an unlocked `engine`; what it says on the console fails the test if it is an error."""
    page = signed_in.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(site.base + HARNESS)
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    page.evaluate("async (identity) => { window.engine = new Engine(); await engine.unlock(identity); }", site.identity)
    page.evaluate(READ_BAR)
    yield page
    page.close()
    assert errors == []


def _serve(route: Any, folder: Path) -> None:
    name = route.request.url.split(HARNESS, 1)[1].split("?")[0]
    headers = {
        "cross-origin-embedder-policy": "require-corp",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "content-security-policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'",
    }
    if not name:
        script = f'<script type=module src="{HARNESS}main.js"></script>'
        body = f"<!doctype html><meta charset=utf-8><title>engine</title>{script}"
        route.fulfill(content_type="text/html", headers=headers, body=body)
    else:
        route.fulfill(content_type="text/javascript", headers=headers, body=(folder / name).read_bytes())


# `readBar(source)`: [frame, low 28 bits of the milliseconds] of a canvas or bitmap, or null (closedcircuit.pretend).
READ_BAR = """() => {
  const copy = document.createElement("canvas");
  const context = copy.getContext("2d", { willReadFrequently: true });
  const crc8 = (bytes) => bytes.reduce((crc, byte) => {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 128 ? ((crc << 1) ^ 7) & 255 : (crc << 1) & 255;
    return crc;
  }, 0);
  window.readBar = (source) => {
    const { width, height } = source;
    if (width < 64 || height < 32) return null;
    const strip = Math.max(6, Math.floor(height / 90) & ~1);
    copy.width = width; copy.height = 1;
    context.drawImage(source, 0, height - strip / 2 - 1, width, 1, 0, 0, width, 1);
    const { data } = context.getImageData(0, 0, width, 1);
    const bits = [];
    for (let cell = 0; cell < 64; cell++) {
      const span = width / 64, from = Math.floor(cell * span + span / 3);
      const to = Math.max(from + 1, Math.floor(cell * span + 2 * span / 3));
      let sum = 0;
      for (let x = from; x < to; x++) sum += data[4 * x];
      bits.push(sum / (to - from) > 125 ? 1 : 0);
    }
    const number = (from, count) => bits.slice(from, from + count).reduce((value, bit) => value * 2 + bit, 0);
    const fact = BigInt(number(4, 24)) << 28n | BigInt(number(28, 28));
    const bytes = [];
    for (let i = 48n; i >= 0n; i -= 8n) bytes.push(Number((fact >> i) & 255n));
    if (number(0, 4) !== 10 || crc8(bytes) !== number(56, 8)) return null;
    return [number(4, 24), number(28, 28)];
  };
  window.canvasFor = (name, width = 640) => {
    const canvas = document.createElement("canvas");
    canvas.id = name;
    canvas.style.width = `${width}px`;
    document.body.append(canvas);
    return canvas;
  };
  window.until = async (what, ms = 20000) => {
    for (const end = performance.now() + ms; performance.now() < end; ) {
      const value = await what();
      if (value) return value;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`never: ${what}`);
  };
}"""


def decoded(path: Path) -> dict[str, Any]:
    """What FFmpeg says of an MP4, with the strip's numbers of each picture shown."""
    import av

    from closedcircuit.pretend import read_bar

    frames: list[int | None] = []
    with av.open(str(path)) as file:
        facts: dict[str, Any] = {"metadata": dict(file.metadata), "audio": len(file.streams.audio)}
        for frame in file.decode(video=0):
            found = read_bar(frame.to_ndarray(format="rgb24"))
            frames.append(None if found is None else found[0])
    return facts | {"frames": frames}


def save(page: Any, expression: str, path: Path) -> Any:
    """Evaluate to `{blob, ...}` in the page; write the blob to a file, return the rest."""
    import base64

    result = page.evaluate(
        f"""async () => {{
          const {{ blob, more, ...rest }} = await ({expression});
          const bytes = new Uint8Array(await blob.arrayBuffer());
          let text = "";
          for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
          return [btoa(text), JSON.stringify(rest)];
        }}"""
    )
    path.write_bytes(base64.b64decode(result[0]))
    return json.loads(result[1])
