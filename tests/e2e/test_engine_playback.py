# SPDX-License-Identifier: Apache-2.0
"""Playback, previews and clips in Chromium, of footage that the site recorded seconds ago."""

from __future__ import annotations

from itertools import pairwise

import pytest

from conftest import HARNESS, decoded, save

PLAYER = """(names) => {
  window.log = [];
  window.shown = {};
  const canvases = new Map(names.map((name) => [name, canvasFor(name, 480)]));
  window.player = engine.player(canvases, {
    onGap: (camera, gap) => log.push(["gap", camera, gap]),
    onJump: (jump) => log.push(["jump", jump.from_90k, jump.to_90k]),
    onProblem: (camera, problem) => log.push(["problem", camera, problem && problem.code]),
    onEnd: () => log.push(["end"]),
    onPicture: (camera, picture) => (shown[camera] ??= []).push([picture.t90k, performance.now()]),
  });
  window.bar = (name) => readBar(document.getElementById(name));
}"""

# A moment for which footage is there: resolves once `seconds` up to `ago` seconds before now are recorded.
RECORDED = """async ([camera, stream, seconds, ago]) => until(async () => {
  const now = Date.now() * 90, from = Math.round(now - (ago + seconds) * 90000), to = Math.round(now - ago * 90000);
  const answer = await (await fetch(`/api/segments?camera=${camera}&stream=${stream}&from=${from}&to=${to}`)).json();
  const rows = answer.segments.flatMap((segment) => segment.fragments);
  const inside = ([start, duration]) => Math.max(0, Math.min(to, start + duration) - Math.max(from, start));
  const sum = rows.reduce((sum, row) => sum + inside(row), 0);
  return sum > (to - from) * 0.9995 ? from : 0;
}, 90000)"""


# The strip of the canvas, once it is another than before: a drawn picture reaches the page's canvas a moment later.
SHOWS = "([name, before]) => until(() => { const found = bar(name); return found && found[0] !== before && found; })"


ONE_SECOND = "(t) => engine.exportClip('plain', t, t + 90000).then((clip) => clip.report.recorded_90k)"


def near(bar: list[int], t90k: int, within_ms: float = 6000) -> bool:
    """Whether a picture's burnt-in clock says about this wall time. On a busy machine the camera's own clock, burnt in,
    is some time before the recorder's capture time.
    """
    return abs((bar[1] - t90k // 90 + (1 << 27)) % (1 << 28) - (1 << 27)) < within_ms


@pytest.fixture
def start(page):
    return page.evaluate(RECORDED, ["plain", "main", 12, 5])


def test_seeking_shows_the_picture_of_that_moment(page, start):
    page.evaluate(PLAYER, ["plain"])
    frames = {}
    before = None
    for seconds in (1.0, 7.3, 2.52, 9.99, 0.2):
        t = int(start + seconds * 90_000)
        page.evaluate("(t) => player.seek(t)", t)
        bar = page.evaluate(SHOWS, ["plain", before])
        frames[seconds] = before = bar[0]
        assert near(bar, t)
        late = t - page.evaluate("shown.plain.at(-1)[0]")
        assert 0 <= late < 45_000  # the very frame: the next one is after `t` (a busy test camera leaves some out)
        stats = page.evaluate("player.stats('plain')")
        assert stats["seekMs"] <= stats["exactMs"]
    assert sorted(frames, key=frames.__getitem__) == sorted(frames)
    assert len(set(frames.values())) == len(frames)
    assert not [entry for entry in page.evaluate("log") if entry[0] == "problem"]


def test_a_newer_seek_wins(page, start):
    page.evaluate(PLAYER, ["plain"])
    last = page.evaluate(
        """async (start) => { const seeks = []; let t = 0;
          for (let i = 0; i < 20; i++) {
            t = Math.round(start + (i % 10) * 90000 + i * 3600);
            seeks.push(player.seek(t)); }
          await Promise.all(seeks); return t; }""",
        start,
    )
    page.wait_for_timeout(500)
    assert near(page.evaluate("bar('plain')"), last)
    assert 0 <= last - page.evaluate("shown.plain.at(-1)[0]") < 45_000


@pytest.mark.parametrize(("rate", "wall_s"), [(0.5, 2.0), (1, 2.0), (4, 1.5), (16, 0.6)])
def test_playing_keeps_its_rate(page, start, rate, wall_s):
    page.evaluate(PLAYER, ["plain"])
    ratio, count, ordered = page.evaluate(
        """async ([start, rate, seconds]) => {
          await player.seek(start);
          shown.plain.length = 0;
          player.play(rate);
          await until(() => shown.plain.length > 1);
          await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
          player.pause();
          const all = shown.plain, first = all[0], last = all.at(-1);
          return [(last[0] - first[0]) / 90 / (last[1] - first[1]) / rate, all.length,
            all.every(([t], i) => i === 0 || t > all[i - 1][0])];
        }""",
        [start, rate, wall_s],
    )
    assert ordered
    assert count >= 3
    assert 0.6 < ratio < 1.4


def test_frames_are_stepped_both_ways_one_by_one(page, start):
    page.evaluate(PLAYER, ["plain"])
    t = int(start + 3.9 * 90_000)  # near the end of a fragment, so that steps cross into the next
    times = page.evaluate(
        """async (t) => { await player.seek(t); const out = [shown.plain.at(-1)[0]];
          for (const direction of [1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1]) {
            await player.step(direction);
            out.push(shown.plain.at(-1)[0]); }
          return out; }""",
        t,
    )
    steps = [after - before for before, after in pairwise(times)]
    assert all(step > 0 for step in steps[:5])
    assert all(step < 0 for step in steps[5:])
    assert times[10] == times[0]
    assert max(abs(step) for step in steps) < 90_000  # one frame each; a busy test camera leaves some out
    assert near(page.evaluate(SHOWS, ["plain", None]), times[-1])


def test_cameras_play_in_lockstep(page):
    page.evaluate(RECORDED, ["plain", "main", 10, 6])
    start = page.evaluate(RECORDED, ["flaky", "main", 10, 6])
    page.evaluate(PLAYER, ["plain", "flaky"])
    page.evaluate("(t) => player.seek(t)", start + 90_000)
    apart = page.evaluate(
        """async () => { player.play(1); const out = [];
          for (let i = 0; i < 20; i++) { await new Promise((resolve) => setTimeout(resolve, 100));
            const [one, two] = [shown.plain.at(-1)[0], shown.flaky.at(-1)[0]];
            out.push(Math.abs(one - two) / 90); }
          player.pause(); return out; }"""
    )
    assert len(apart) > 10
    assert sorted(apart)[len(apart) // 2] < 150


def test_a_gap_is_told_and_playing_goes_over_it(page, cameras):
    page.evaluate(RECORDED, ["flaky", "main", 6, 4])
    with cameras.gone():
        page.wait_for_timeout(6000)
    page.evaluate(RECORDED, ["flaky", "main", 4, 3])
    gap = page.evaluate(
        """async () => { const now = Date.now() * 90;
          const query = `camera=flaky&stream=main&from=${now - 120 * 90000}&to=${now}`;
          const answer = await (await fetch(`/api/segments?${query}`)).json();
          const rows = answer.segments.flatMap((segment) => segment.fragments).sort((a, b) => a[0] - b[0]);
          for (let i = rows.length - 1; i > 0; i--) { const end = rows[i - 1][0] + rows[i - 1][1];
            if (rows[i][0] - end > 2 * 90000) return [end, rows[i][0]]; } }"""
    )
    page.evaluate(PLAYER, ["flaky"])
    page.evaluate("(t) => player.seek(t)", (gap[0] + gap[1]) // 2)
    told = page.evaluate("log.find((entry) => entry[0] === 'gap')")
    assert told[2]["next_90k"] == gap[1]
    assert told[2]["prev_90k"] == gap[0]
    page.evaluate("(t) => player.seek(t)", gap[0] - 90_000)
    page.evaluate("player.play(1)")
    jump = page.evaluate("until(() => log.find((entry) => entry[0] === 'jump'))")
    assert gap[0] <= jump[1] < gap[1] - 45_000  # not waited through
    assert jump[2] == gap[1]
    page.evaluate("(t) => until(() => shown.flaky.some(([at]) => at >= t))", gap[1])
    page.evaluate("player.pause()")
    clip = page.evaluate(
        "([from, to]) => engine.exportClip('flaky', from, to).then((clip) => clip.report)",
        [gap[0] - 90_000, gap[1] + 90_000],
    )
    assert clip["recorded_90k"] == 180_000
    assert sum(one["end_90k"] - one["start_90k"] for one in clip["gaps"]) == gap[1] - gap[0]
    assert {one["cause"] for one in clip["gaps"]} <= {"unreachable", "broken", "refused"}


def test_nothing_recorded_is_said(page, start):
    page.evaluate(PLAYER, ["plain"])
    page.evaluate("player.seek(1700000000 * 90000)")
    told = page.evaluate("log.find((entry) => entry[0] === 'gap')")
    assert told[2]["next_90k"] > 1_700_000_000 * 90_000
    assert page.evaluate("engine.preview('plain', 1700000000 * 90000)") is None


def test_playing_at_the_edge_goes_on_with_what_is_recorded_meanwhile(page, start):
    page.evaluate(PLAYER, ["plain"])
    page.evaluate("player.seek(Math.round((Date.now() - 7000) * 90))")
    page.evaluate("player.play(1)")
    page.wait_for_timeout(9000)
    page.evaluate("player.pause()")
    assert not [entry for entry in page.evaluate("log") if entry[0] in {"end", "gap", "problem"}]
    assert page.evaluate("shown.plain.at(-1)[0] - shown.plain[0][0]") > 6 * 90_000


def test_sound_plays_at_rate_one(page, start):
    page.evaluate(
        """() => { window.heard = [];
          const begin = AudioBufferSourceNode.prototype.start;
          AudioBufferSourceNode.prototype.start = function (when) {
            heard.push(this.buffer.duration);
            return begin.call(this, when); }; }"""
    )
    page.evaluate(PLAYER, ["plain"])
    page.mouse.click(10, 10)
    page.evaluate("(t) => player.seek(t)", start)
    page.evaluate("() => { player.muted = false; player.play(1); }")
    page.evaluate("until(() => heard.length > 80)")
    page.evaluate("player.play(4)")
    page.wait_for_timeout(300)
    count = page.evaluate("heard.length")
    page.wait_for_timeout(500)
    assert page.evaluate("heard.length") == count  # silent at other rates
    assert page.evaluate("heard.reduce((sum, length) => sum + length, 0)") > 80 * 0.02


def test_previews_are_small_and_near(page):
    start = page.evaluate(RECORDED, ["plain", "sub", 10, 5])
    for seconds in (1, 4, 8):
        t = start + seconds * 90_000
        found = page.evaluate(
            "(t) => engine.preview('plain', t).then((one) => one && [one.width, one.height, readBar(one)])",
            t,
        )
        assert found[:2] == [320, 180]
        assert near(found[2], t)
    answers = page.evaluate(
        """async (t) => {
          const asked = [0, 1, 2, 3, 4].map((i) => engine.preview("plain", t + i * 180000));
          return (await Promise.all(asked)).map(Boolean); }""",
        start,
    )
    assert answers[-1] is True  # the newest is answered; older ones may have been given up


def test_a_clip_is_the_frames_of_its_range(page, start, tmp_path):
    path = tmp_path / "clip.mp4"
    first = int(start + 1.3 * 90_000)
    last = int(start + 8.1 * 90_000)
    page.evaluate(PLAYER, ["plain"])
    page.evaluate("(t) => player.seek(t)", first)
    page.wait_for_timeout(500)
    begins = page.evaluate("bar('plain')")[0]
    report = save(page, f"engine.exportClip('plain', {first}, {last}, null, null, {{cameraName: 'Plain'}})", path)[
        "report"
    ]
    facts = decoded(path)
    frames = [frame for frame in facts["frames"] if frame is not None]
    assert report["recorded_90k"] == last - first
    assert report["gaps"] == []
    assert len(frames) == len(facts["frames"])
    assert frames[0] - begins in {
        0,
        1,
        2,
        3,
    }  # the first one at or after the moment, where the player shows the one before
    assert frames == sorted(set(frames))
    assert 0.5 * 6.8 * 25 < len(frames) <= 6.8 * 25 + 2  # a busy test camera leaves some out
    assert facts["audio"] == 1
    assert "Plain" in facts["metadata"]["comment"]


def test_a_clip_can_be_cancelled_and_tells_how_far_it_is(page, start):
    progress = page.evaluate(
        """async (start) => { const seen = [];
          await engine.exportClip("plain", start, start + 450000, (one) => seen.push([one.phase, one.done]));
          return seen; }""",
        start,
    )
    assert progress[0][0] == "listing"
    assert progress[-1] == ["writing", 1]
    code = page.evaluate(
        """async (start) => { const stop = new AbortController(); stop.abort();
          const clip = engine.exportClip("plain", start, start + 450000, null, stop.signal);
          return clip.catch((error) => error.code); }""",
        start,
    )
    assert code == "cancelled"


def test_a_reload_stays_open_until_sign_out(page, start):
    page.reload()
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    assert page.evaluate("() => { window.engine = new Engine(); return engine.remembered(); }") is True
    report = page.evaluate(
        "(t) => engine.exportClip('plain', t, t + 90000).then((clip) => clip.report.recorded_90k)", start
    )
    assert report == 90_000
    kept = page.evaluate(
        """async () => { const open = indexedDB.open("closedcircuit");
          await new Promise((resolve) => (open.onsuccess = resolve));
          const all = open.result.transaction("safe").objectStore("safe").getAll();
          await new Promise((resolve) => (all.onsuccess = resolve));
          const clear = (sealed) => new TextDecoder("latin1").decode(sealed).includes("AGE-SECRET");
          return all.result.map(({ key, sealed }) => [key.extractable, clear(sealed)]); }"""
    )
    assert kept == [[False, False]]
    page.evaluate("engine.lock()")
    page.reload()
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    assert page.evaluate("() => { window.engine = new Engine(); return engine.remembered(); }") is False


def test_signing_in_with_the_passphrase_opens_the_key(page, site, start):
    code = page.evaluate(
        """async ([passphrase]) => {
          await engine.lock();
          const asked = await (await fetch("/api/login")).json();
          const login = async (words) => {
            const auth = await engine.passphraseAuth(words, asked.salt, asked.iterations);
            const headers = { "content-type": "application/json" };
            const body = JSON.stringify({ kind: "passphrase", auth });
            return fetch("/api/login", { method: "POST", headers, body }); };
          const wrong = (await login("something else")).status;
          const { blob } = await (await login(passphrase)).json();
          const open = (words) => engine.unlockWithPassphrase(blob, words, asked.salt, asked.iterations);
          const refused = await open("something else").catch((error) => error.code);
          await open(passphrase);
          return [wrong, refused];
        }""",
        [site.passphrase],
    )
    assert code == [401, "wrong-key"]
    assert (
        page.evaluate("(t) => engine.exportClip('plain', t, t + 90000).then((clip) => clip.report.recorded_90k)", start)
        == 90_000
    )


def test_h265_plays_from_the_substream_where_the_browser_cannot(page):
    start = page.evaluate(RECORDED, ["modern", "sub", 4, 4])
    supported = page.evaluate("VideoDecoder.isConfigSupported({codec: 'hvc1.1.6.L93.B0'}).then((one) => one.supported)")
    page.evaluate(PLAYER, ["modern"])
    page.evaluate("(t) => player.seek(t)", start + 90_000)
    page.evaluate("until(() => bar('modern'))")
    width = page.evaluate("player.snapshot('modern').then(createImageBitmap).then((one) => one.width)")
    assert width == (320 if supported else 256)
    assert page.evaluate("log.filter((entry) => entry[0] === 'problem').at(-1)?.[2] ?? null") is None


def test_signing_out_in_one_page_forgets_the_key_in_the_others(page, signed_in, site, start):
    other = signed_in.new_page()
    other.goto(site.base + HARNESS)
    other.wait_for_selector("html[data-ready=yes]", state="attached")
    assert other.evaluate("() => { window.engine = new Engine(); return engine.remembered(); }") is True
    assert other.evaluate(ONE_SECOND, start) == 90_000
    page.evaluate("engine.lock()")
    code = other.evaluate(
        """async (t) => { await new Promise((resolve) => setTimeout(resolve, 300));
          return engine.exportClip("plain", t, t + 90000).then(() => "open", (error) => error.code); }""",
        start,
    )
    other.close()
    assert code == "locked"
