// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";
import { bytes, count, days, exact, length, percent, rate, stream } from "../src/lib/format";
import { DAY, HOUR, HZ, clock, fromInput, fromMs, moment, range, since, spoken, startOfDay, toInput, zone } from "../src/lib/time";

const at = (text: string): number => fromMs(new Date(text).getTime());
const noon = at("2026-11-21T12:03:22.480+01:00");

describe("times are the browser's zone, 24 hours", () => {
  test("a clock, with and without thousandths", () => {
    expect(clock(noon)).toBe("12:03:22");
    expect(clock(noon, true)).toBe("12:03:22.480");
    expect(moment(noon)).toBe("21 Nov 2026, 12:03:22");
    expect(spoken(noon)).toBe("Saturday 21 November 2026, 12:03:22");
  });

  test("since says as much as is needed", () => {
    expect(since(noon, noon + HOUR)).toBe("12:03:22");
    expect(since(noon, noon + DAY)).toBe("Sat 12:03");
    expect(since(noon, noon + 20 * DAY)).toBe("21 Nov, 12:03");
    expect(since(noon, noon + 200 * DAY)).toBe("21 Nov 2026");
  });

  test("a range names its day once, or both", () => {
    expect(range(noon, noon + 60 * HZ)).toBe("Sat 21 Nov 2026, 12:03:22 to 12:04:22");
    expect(range(noon, noon + DAY)).toContain("22 Nov 2026");
  });

  test("an input's value is read back as the same second", () => {
    expect(fromInput(toInput(noon))).toBe(at("2026-11-21T12:03:22+01:00"));
    expect(fromInput("")).toBeNull();
  });

  test("a day is 23 or 25 hours long when the clocks change", () => {
    const spring = at("2026-03-29T12:00:00+02:00");
    const autumn = at("2026-10-25T12:00:00+01:00");
    expect(startOfDay(spring, 1) - startOfDay(spring)).toBe(23 * HOUR);
    expect(startOfDay(autumn, 1) - startOfDay(autumn)).toBe(25 * HOUR);
  });

  test("the zone is named with its offset", () => {
    expect(zone(new Date("2026-11-21T12:00:00Z"))).toBe("Europe/Berlin (UTC+1)");
  });
});

describe("amounts", () => {
  test.each([[0, "0 B"], [999, "999 B"], [1000, "1 kB"], [999_600, "1 MB"], [1_400_000_000, "1.4 GB"], [41_000_000_000_000, "41 TB"]])("%d bytes are %s", (n, text) => {
    expect(bytes(n)).toBe(text);
  });

  test.each([[0, "0 s"], [0.4 * HZ, "0.4 s"], [48 * HZ, "48 s"], [98 * HZ, "1 min 38 s"], [3600 * HZ, "1 h"], [11_520 * HZ, "3 h 12 min"], [2 * DAY + 5 * HOUR, "2 d 5 h"]])("%d ticks are %s", (n, text) => {
    expect(length(n)).toBe(text);
  });

  test("accounts are exact to the second", () => {
    expect(exact(86_398 * HZ)).toBe("23:59:58");
    expect(exact(7 * DAY - HZ)).toBe("6 d 23:59:59");
    expect(exact(-90 * HZ)).toBe("−00:01:30");
  });

  test("100 % is said only when it is all, and 0 % only when it is nothing", () => {
    expect(percent(1000, 1000)).toBe("100 %");
    expect(percent(999_999, 1_000_000)).toBe("99.99 %");
    expect(percent(1, 1_000_000)).toBe("0.01 %");
    expect(percent(0, 10)).toBe("0 %");
    expect(percent(1, 0)).toBe("–");
  });

  test("words follow the number", () => {
    expect(count(1, "camera")).toBe("1 camera");
    expect(count(2, "camera")).toBe("2 cameras");
    expect(days(0.4)).toBe("less than a day");
    expect(days(17.4)).toBe("17 days");
    expect(days(100)).toBe("3 months");
    expect(rate(3912)).toBe("3.9 Mbit/s");
    expect(rate(480)).toBe("480 kbit/s");
    expect(stream({ codec: "h264", width: 1920, height: 1080, fps: 25, kbps: null })).toBe("H.264 · 1920\u00a0×\u00a01080 · 25\u00a0fps");
  });
});
