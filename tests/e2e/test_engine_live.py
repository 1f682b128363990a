# SPDX-License-Identifier: Apache-2.0
"""Live pictures in Chromium, from RTSP to the canvas, through the whole site."""

from __future__ import annotations

import statistics
import time

OPEN = """async ([camera, options]) => {
  window.log = [];
  window.pictures = 0;
  const canvas = canvasFor(camera);
  window.began = performance.now();
  window.view = engine.live(canvas, camera, options.stream ?? "main", {
    onState: (state) => log.push(["state", state.state, state.why]),
    onProblem: (problem) => log.push(["problem", problem && problem.code, problem && problem.message]),
    onPicture: () => pictures++,
  });
}"""

# Of each new picture on the canvas: wall time now minus the wall time that the camera burnt in, ms.
GLASS = """async (seconds) => {
  const canvas = document.querySelector("canvas");
  const found = [], frames = new Set();
  for (const end = performance.now() + 1000 * seconds; performance.now() < end; ) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    const bar = readBar(canvas);
    if (!bar || frames.has(bar[0])) continue;
    frames.add(bar[0]);
    const now = Math.floor(performance.timeOrigin + performance.now()) % (1 << 28);
    found.push(now - bar[1]);
  }
  return found;
}"""

DECODES_H265 = "VideoDecoder.isConfigSupported({codec: 'hvc1.1.6.L93.B0'}).then((answer) => answer.supported)"


def test_a_live_picture_comes_and_it_is_now(page):
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => pictures > 30 && readBar(document.querySelector('canvas')))")
    delays = page.evaluate(GLASS, 3)
    assert len(delays) > 20
    assert 0 < statistics.median(delays) < 2000  # how fast it is, the bench says; here: that it is live
    page.evaluate("until(() => view.stats().fps > 10 && view.stats().kbps > 0)")
    stats = page.evaluate("view.stats()")
    assert stats["path"] == "webcodecs"
    assert (stats["width"], stats["height"], stats["hasAudio"]) == (640, 360, True)
    assert stats["codec"].startswith("avc1.")
    assert stats["firstPictureMs"] < 10_000
    log = page.evaluate("log")
    assert log[-1][:2] == ["state", "live"]
    assert not [entry for entry in log if entry[0] == "problem" and entry[1]]


def test_a_second_view_of_a_stream_shows_the_same_picture(page):
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => pictures > 5)")
    page.evaluate("window.second = engine.live(canvasFor('two'), 'plain', 'main', {})")
    same = """until(() => { const [one, two] = [...document.querySelectorAll('canvas')].map(readBar);
      return one && two && one[0] === two[0]; })"""
    assert page.evaluate(same)
    page.evaluate("view.close()")
    before = page.evaluate("until(() => readBar(document.querySelector('#two')))")
    page.evaluate(
        "(frame) => until(() => readBar(document.querySelector('#two'))?.[0] > frame)",
        before[0] + 10,
    )


def test_the_stream_changes_without_a_black_moment(page):
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => pictures > 5)")
    page.evaluate("view.setStream('sub')")
    frames = page.evaluate(
        """async () => { const widths = new Set(), canvas = document.querySelector('canvas'); let blank = 0;
          for (const end = performance.now() + 4000; performance.now() < end && !widths.has(320); ) {
            await new Promise((resolve) => requestAnimationFrame(resolve));
            widths.add(canvas.width); if (!readBar(canvas)) blank++; }
          return [[...widths], blank]; }"""
    )
    assert set(frames[0]) <= {640, 320}
    assert 320 in frames[0]
    assert frames[1] <= 2
    page.evaluate("until(() => view.stats().stream === 'sub')")


def test_h265_falls_back_to_the_h264_substream(page):
    page.evaluate(
        """until(async () => { const { cameras } = await (await fetch('/api/cameras')).json();
          return cameras.find((camera) => camera.id === 'modern').streams.sub.state === 'live'; })"""
    )
    supported = page.evaluate(DECODES_H265)
    page.evaluate(OPEN, ["modern", {}])
    page.evaluate("until(() => pictures > 5)")
    page.evaluate("until(() => view.stats().decoded > 0)")
    assert page.evaluate("view.stats().stream") == ("main" if supported else "sub")


def test_h265_alone_is_said_in_a_sentence(page):
    if page.evaluate(DECODES_H265):
        return  # this browser shows it; nothing to say
    page.evaluate(OPEN, ["alone", {}])
    problem = page.evaluate("until(() => log.find((entry) => entry[0] === 'problem' && entry[1]))")
    assert problem[1] == "unsupported"
    assert "H.265" in problem[2]


def test_a_camera_that_goes_is_gone_since_then_and_comes_back(page, cameras):
    page.evaluate(OPEN, ["flaky", {}])
    page.evaluate("until(() => log.at(-1)?.[1] === 'live')")
    with cameras.gone():
        state = page.evaluate(
            """until(() => log.slice(log.findIndex((entry) => entry[1] === 'live') + 1)
              .find((entry) => ['gone', 'connecting', 'frozen'].includes(entry[1])), 30000)"""
        )
        assert state[2]
    page.evaluate("until(() => log.at(-1)?.[1] === 'live', 60000)")
    before = page.evaluate("pictures")
    page.evaluate("(before) => until(() => pictures > before + 10)", before)


def test_mse_shows_the_same_where_webcodecs_is_missing(page):
    page.evaluate(
        "async () => { engine.close(); window.engine = new Engine({ forceMse: true }); await engine.remembered(); }"
    )
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => pictures > 10 && readBar(document.querySelector('canvas')))")
    delays = page.evaluate(GLASS, 3)
    assert len(delays) > 10
    assert 0 < statistics.median(delays) < 3000
    page.evaluate("until(() => view.stats().path === 'mse')")


def test_snapshot_is_a_png_of_the_whole_picture(page):
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => pictures > 2)")
    size = page.evaluate(
        """async () => { const blob = await view.snapshot(); const bitmap = await createImageBitmap(blob);
          return [blob.type, bitmap.width, bitmap.height, readBar(bitmap) !== null]; }"""
    )
    assert size == ["image/png", 640, 360, True]


def test_sound_keeps_step_with_the_picture(page):
    page.evaluate(
        """() => { window.heard = [];
          const start = AudioBufferSourceNode.prototype.start;
          AudioBufferSourceNode.prototype.start = function (when) {
            let peak = 0;
            for (const value of this.buffer.getChannelData(0)) peak = Math.max(peak, Math.abs(value));
            heard.push([when - this.context.currentTime, this.buffer.duration, peak]);
            return start.call(this, when); }; }"""
    )
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => pictures > 5)")
    page.mouse.click(10, 10)  # the gesture that browsers want before sound
    page.evaluate("view.muted = false")
    page.evaluate("until(() => heard.length > 60)")
    heard = page.evaluate("heard.slice(20)")
    assert statistics.median(duration for _, duration, _ in heard) > 0.02
    assert statistics.median(peak for _, _, peak in heard) > 0.05
    assert all(-0.01 <= ahead < 0.6 for ahead, _, _ in heard)
    page.evaluate("view.muted = true")


def test_without_the_key_nothing_is_shown(page):
    page.evaluate("engine.lock()")
    page.evaluate(OPEN, ["plain", {}])
    problem = page.evaluate("until(() => log.find((entry) => entry[0] === 'problem' && entry[1]))")
    assert problem[1] == "locked"
    assert page.evaluate("pictures") == 0
    assert page.evaluate("engine.remembered()") is False


def test_the_socket_comes_back_after_the_server_was_away(page, signed_in, site):
    page.evaluate("() => { window.sockets = []; engine.socket.subscribe((state) => sockets.push(state.state)); }")
    page.evaluate(OPEN, ["plain", {}])
    page.evaluate("until(() => log.at(-1)?.[1] === 'live')")
    signed_in.set_offline(True)
    try:
        time.sleep(0.2)
    finally:
        signed_in.set_offline(False)
    before = page.evaluate("pictures")
    page.evaluate("(before) => until(() => pictures > before + 10)", before)
    assert page.evaluate("sockets.at(-1)") == "open"
