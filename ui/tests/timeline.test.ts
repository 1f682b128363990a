// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";
import { DAY, HOUR, HZ, MINUTE, fromMs } from "../src/lib/time";
import type { Span } from "../src/lib/types";
import { actionOf, nextSpeed, SPEEDS } from "../src/timeline/keys";
import { firstAfter, gaps, holdsAt, momentWords, neighbourGap, spanAt, spanSentence } from "../src/timeline/spans";
import { chooseStep, ruler } from "../src/timeline/ticks";
import { LONGEST, SHORTEST, around, clamp, follow, pan, pinch, span, t, x, zoom, type Limits } from "../src/timeline/view";

const at = (text: string): number => fromMs(new Date(text).getTime());
const now = at("2026-11-21T12:00:00+01:00");
const limits: Limits = { oldest: now - 40 * DAY, now };
const hour = { from: now - HOUR, to: now };

describe("the view", () => {
  test("pixels and moments are each other's inverse, to the tick", () => {
    for (const px of [0, 1, 333, 999, 1000]) expect(x(hour, 1000, t(hour, 1000, px))).toBeCloseTo(px, 6);
  });

  test("zooming keeps the moment under the pointer where it is", () => {
    const under = t(hour, 1000, 300);
    let view = hour;
    for (let i = 0; i < 12; i += 1) view = zoom(view, 0.7, under, limits);
    expect(x(view, 1000, under)).toBeCloseTo(300, 0);
  });

  test("it goes from months to frames and no further", () => {
    let view = hour;
    for (let i = 0; i < 60; i += 1) view = zoom(view, 0.5, now - 1000, limits);
    expect(span(view)).toBe(SHORTEST);
    for (let i = 0; i < 60; i += 1) view = zoom(view, 2, now - 1000, limits);
    expect(span(view)).toBe(LONGEST);
  });

  test("panning ends a little past the oldest moment and past now", () => {
    const back = pan(hour, -1000 * DAY, limits);
    expect(back.from).toBeLessThan(limits.oldest);
    expect(back.from).toBeGreaterThan(limits.oldest - HOUR);
    const on = pan(hour, 1000 * DAY, limits);
    expect(on.to).toBeGreaterThan(now);
    expect(on.to - now).toBeLessThan(0.2 * HOUR);
    expect(span(on)).toBe(HOUR);
  });

  test("an archive shorter than the view stands in its middle", () => {
    const short: Limits = { oldest: now - MINUTE, now };
    const view = clamp({ from: now - DAY, to: now }, short);
    expect(Math.abs((view.from + view.to) / 2 - (now - MINUTE / 2))).toBeLessThan(HZ);
  });

  test("two fingers keep what is under them", () => {
    const [a, b] = [t(hour, 1000, 400), t(hour, 1000, 600)];
    const view = pinch(hour, 1000, [400, 600], [300, 700], limits);
    expect(x(view, 1000, a)).toBeCloseTo(300, 0);
    expect(x(view, 1000, b)).toBeCloseTo(700, 0);
    expect(pinch(hour, 1000, [400, 600], [500, 503], limits)).toBe(hour);
  });

  test("while playing the view turns the page, and otherwise stays", () => {
    const old = { from: now - 10 * HOUR, to: now - 9 * HOUR };
    expect(follow(old, old.from + HOUR / 2, limits)).toBe(old);
    const turned = follow(old, old.to - 0.05 * HOUR, limits);
    expect(turned.from).toBeGreaterThan(old.from);
    expect(turned.from).toBeLessThan(old.to);
    const jumped = follow(old, now - 3 * DAY, limits);
    expect(jumped.from).toBeLessThan(now - 3 * DAY);
    expect(jumped.to).toBeGreaterThan(now - 3 * DAY);
  });

  test("around puts a moment into the middle", () => {
    const view = around(now - DAY, HOUR, limits);
    expect((view.from + view.to) / 2).toBe(now - DAY);
  });
});

describe("the ruler", () => {
  test("labels never stand closer than asked, at any zoom", () => {
    for (let whole = SHORTEST; whole < LONGEST; whole *= 1.7) {
      const view = { from: now - whole, to: now };
      const labels = ruler(view, 1200).ticks.filter((tick) => tick.label);
      const places = labels.map((tick) => x(view, 1200, tick.t));
      for (let i = 1; i < places.length; i += 1) expect((places[i] as number) - (places[i - 1] as number)).toBeGreaterThan(80);
      expect(labels.length).toBeGreaterThan(0);
      expect(labels.length).toBeLessThan(16);
    }
  });

  test("ticks rise, and minor ones lie between", () => {
    for (const whole of [HZ, MINUTE, HOUR, DAY, 30 * DAY, 400 * DAY]) {
      const { ticks } = ruler({ from: now - whole, to: now }, 1000);
      for (let i = 1; i < ticks.length; i += 1) expect(ticks[i]?.t).toBeGreaterThan(ticks[i - 1]?.t as number);
    }
  });

  test("hours stand on local hours, days on local midnight", () => {
    const day = ruler({ from: now - DAY, to: now }, 1200).ticks.filter((tick) => tick.label);
    expect(day.map((tick) => tick.label)).toContain("00:00");
    const month = ruler({ from: now - 25 * DAY, to: now }, 1200);
    expect(month.ticks.find((tick) => tick.label)?.label).toMatch(/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d+$/);
    expect(month.context.map((tick) => tick.label)).toEqual(["Oct 2026", "Nov 2026"]);
  });

  test("days stay on midnight over the change of clocks", () => {
    const autumn = at("2026-10-27T12:00:00+01:00");
    const labels = ruler({ from: autumn - 6 * DAY, to: autumn }, 1000).ticks.filter((tick) => tick.label);
    for (const tick of labels) expect(new Date(tick.t / 90).getHours()).toBe(0);
    // The hour that comes twice does not stop the hours.
    const night = ruler({ from: at("2026-10-25T00:00:00+02:00"), to: at("2026-10-25T06:00:00+01:00") }, 1000);
    expect(night.ticks.filter((tick) => tick.label).length).toBeGreaterThan(4);
  });

  test("frames are told apart by thousandths", () => {
    const view = { from: now - SHORTEST, to: now };
    expect(chooseStep(view, 1200).n).toBeLessThan(HZ / 20);
    expect(ruler(view, 1200).ticks.find((tick) => tick.label)?.label).toMatch(/^\d\d:\d\d\.\d{3}$/);
  });

  test("weeks begin on Mondays, however one scrolls", () => {
    for (let shift = 0; shift < 9; shift += 1) {
      const view = { from: now - (100 + shift) * DAY, to: now - shift * DAY };
      const labels = ruler(view, 1500).ticks.filter((tick) => tick.label);
      for (const tick of labels) expect(tick.label).toMatch(/^Mon /);
    }
  });
});

const spans: Span[] = [
  [0, 100, "recorded", null, ""],
  [100, 150, "lost", "unreachable", "no route"],
  [150, 300, "recorded", null, ""],
  [300, 400, "off", "schedule", ""],
  [400, 500, "recorded", null, ""],
];

describe("spans", () => {
  test("the span of a moment, ends excluded", () => {
    expect(spanAt(spans, 100)?.[2]).toBe("lost");
    expect(spanAt(spans, 149)?.[2]).toBe("lost");
    expect(spanAt(spans, 150)?.[2]).toBe("recorded");
    expect(spanAt(spans, 500)).toBeNull();
    expect(spanAt([], 5)).toBeNull();
    expect(firstAfter(spans, 300)).toBe(3);
  });

  test("gaps in sight, and their neighbours", () => {
    expect(gaps(spans, { from: 120, to: 320 }).map((gap) => gap[0])).toEqual([100, 300]);
    expect(gaps(spans, { from: 160, to: 290 })).toEqual([]);
    expect(neighbourGap(spans, 120, 1)).toBe(300);
    expect(neighbourGap(spans, 120, -1)).toBe(100);
    expect(neighbourGap(spans, 350, 1)).toBeNull();
    expect(neighbourGap(spans, 50, -1)).toBeNull();
  });

  test("the cause is told in words", () => {
    const lost: Span = [now, now + 98 * HZ, "lost", "unreachable", "no route"];
    expect(spanSentence(lost)).toBe("Lost: camera unreachable (no route), 12:00:00 to 12:01:38 (1 min 38 s)");
    const words = momentWords(
      [
        { name: "Door", spans: [[0, now + 1, "recorded", null, ""]], holds: [[0, now + 1, "h", "police"]] },
        { name: "Yard", spans: [[0, now + 1, "off", "schedule", ""]], holds: [] },
        { name: "Lane", spans: [], holds: [] },
      ],
      now,
    );
    expect(words).toBe("Door recorded, held; Yard off: outside its hours; Lane nothing recorded");
    expect(holdsAt([[10, 20, "a", "x"]], 20)).toEqual([]);
  });
});

describe("keys", () => {
  test("every key of the contract means something, and browser shortcuts stay the browser's", () => {
    expect(actionOf({ key: "ArrowLeft" })).toEqual({ do: "move", share: -0.01 });
    expect(actionOf({ key: "ArrowRight", shiftKey: true })).toEqual({ do: "move", share: 0.1 });
    expect(actionOf({ key: "+" })).toEqual({ do: "zoom", factor: 0.5 });
    expect(actionOf({ key: "ArrowDown" })).toEqual({ do: "zoom", factor: 2 });
    expect(actionOf({ key: "PageUp" })).toEqual({ do: "page", direction: -1 });
    expect(actionOf({ key: "Home" })).toEqual({ do: "end", which: "oldest" });
    expect(actionOf({ key: "]" })).toEqual({ do: "gap", direction: 1 });
    expect(actionOf({ key: "," })).toEqual({ do: "step", direction: -1 });
    expect(actionOf({ key: "o" })).toEqual({ do: "mark", which: "out" });
    expect(actionOf({ key: "+", ctrlKey: true })).toBeNull();
    expect(actionOf({ key: "ArrowLeft", altKey: true })).toBeNull();
    expect(actionOf({ key: "q" })).toBeNull();
  });

  test("speeds go from a quarter to 64 and stay there", () => {
    expect(SPEEDS[0]).toBe(0.25);
    expect(SPEEDS.at(-1)).toBe(64);
    expect(nextSpeed(1, 1)).toBe(2);
    expect(nextSpeed(0.25, -1)).toBe(0.25);
    expect(nextSpeed(64, 1)).toBe(64);
  });
});
