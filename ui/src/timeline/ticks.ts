// SPDX-License-Identifier: Apache-2.0
/** The ruler: round moments of the local calendar, from milliseconds to years, never closer than asked. */
import { DAY, DAYS, HOUR, HZ, MINUTE, MONTHS, clock, day, fromDate, shortClock, toDate } from "../lib/time";
import type { Ticks } from "../lib/types";
import { span, type View } from "./view";

export interface Tick {
  t: Ticks;
  label: string; // empty for a minor one
}

export interface Ruler {
  ticks: Tick[];
  /** The larger unit, at the left edge and wherever it changes: `Sat 21 Nov 2026`, `November 2026`. */
  context: Tick[];
}

type Unit = "fixed" | "hour" | "day" | "month" | "year";
interface Step {
  unit: Unit;
  n: number; // ticks when fixed, else how many units
  size: number; // ticks, about
  minor: number; // parts
}

const fixed = (size: number, minor: number): Step => ({ unit: "fixed", n: size, size, minor });
const MS = HZ / 1000;
const STEPS: Step[] = [
  fixed(10 * MS, 2), fixed(20 * MS, 2), fixed(40 * MS, 2), fixed(100 * MS, 5), fixed(200 * MS, 5), fixed(500 * MS, 5),
  fixed(HZ, 5), fixed(2 * HZ, 4), fixed(5 * HZ, 5), fixed(10 * HZ, 5), fixed(15 * HZ, 3), fixed(30 * HZ, 6),
  fixed(MINUTE, 6), fixed(2 * MINUTE, 4), fixed(5 * MINUTE, 5), fixed(10 * MINUTE, 5), fixed(15 * MINUTE, 3), fixed(30 * MINUTE, 6),
  ...[1, 2, 3, 6, 12].map((n): Step => ({ unit: "hour", n, size: n * HOUR, minor: n === 1 ? 4 : n === 2 ? 4 : n === 12 ? 4 : n })),
  ...[1, 2, 7].map((n): Step => ({ unit: "day", n, size: n * DAY, minor: n === 1 ? 4 : n })),
  ...[1, 3, 6].map((n): Step => ({ unit: "month", n, size: n * 30.4 * DAY, minor: n === 1 ? 1 : n })),
  ...[1, 2, 5].map((n): Step => ({ unit: "year", n, size: n * 365 * DAY, minor: n === 1 ? 4 : n })),
];

/** The finest step whose labels are at least `apart` pixels from each other. */
export function chooseStep(v: View, width: number, apart = 92): Step {
  const perPx = span(v) / Math.max(1, width);
  return STEPS.find((step) => step.size / perPx >= apart) ?? (STEPS[STEPS.length - 1] as Step);
}

function first(step: Step, from: Ticks): Ticks {
  const d = toDate(from);
  switch (step.unit) {
    case "fixed": {
      // Align with the local clock: some zones are 30 or 45 minutes off.
      const offset = d.getTimezoneOffset() * MINUTE;
      return Math.floor((from - offset) / step.n) * step.n + offset;
    }
    case "hour":
      return fromDate(new Date(d.getFullYear(), d.getMonth(), d.getDate(), Math.floor(d.getHours() / step.n) * step.n));
    case "day": {
      const back = step.n === 7 ? (d.getDay() + 6) % 7 : step.n === 2 ? (d.getDate() - 1) % 2 : 0;
      return fromDate(new Date(d.getFullYear(), d.getMonth(), d.getDate() - back));
    }
    case "month":
      return fromDate(new Date(d.getFullYear(), Math.floor(d.getMonth() / step.n) * step.n));
    case "year":
      return fromDate(new Date(Math.floor(d.getFullYear() / step.n) * step.n, 0));
  }
}

function next(step: Step, at: Ticks): Ticks {
  if (step.unit === "fixed") return at + step.n;
  const d = toDate(at);
  const [y, m, date] = [d.getFullYear(), d.getMonth(), d.getDate()];
  let to: Date;
  if (step.unit === "hour") to = new Date(y, m, date, d.getHours() + step.n);
  else if (step.unit === "day") {
    to = new Date(y, m, date + step.n);
    // Every second day starts anew with the month, so that labels do not wander when scrolling.
    if (step.n === 2 && to.getMonth() !== m) to = new Date(to.getFullYear(), to.getMonth(), 1);
  } else if (step.unit === "month") to = new Date(y, m + step.n);
  else to = new Date(y + step.n, 0);
  const ticks = fromDate(to);
  return ticks > at ? ticks : at + step.size; // the hour that daylight saving repeats
}

function label(step: Step, at: Ticks): string {
  const d = toDate(at);
  if (step.unit === "fixed") {
    if (step.n < HZ) return clock(at, true).slice(3);
    return step.n < MINUTE ? clock(at) : shortClock(at);
  }
  if (step.unit === "hour") return shortClock(at);
  if (step.unit === "day") return `${DAYS[d.getDay()]} ${d.getDate()}`;
  if (step.unit === "month") return MONTHS[d.getMonth()] as string;
  return String(d.getFullYear());
}

function contextOf(step: Step): { unit: Unit; text: (t: Ticks) => string } | null {
  if (step.unit === "fixed" && step.n < HZ) return { unit: "hour", text: (at) => `${day(at)}, ${toDate(at).getHours()} h` };
  if (step.unit === "fixed" || step.unit === "hour") return { unit: "day", text: day };
  if (step.unit === "day") return { unit: "month", text: (at) => `${MONTHS[toDate(at).getMonth()]} ${toDate(at).getFullYear()}` };
  if (step.unit === "month") return { unit: "year", text: (at) => String(toDate(at).getFullYear()) };
  return null;
}

export function ruler(v: View, width: number, apart = 92): Ruler {
  const step = chooseStep(v, width, apart);
  const ticks: Tick[] = [];
  for (let at = first(step, v.from); at <= v.to; ) {
    const after = next(step, at);
    ticks.push({ t: at, label: label(step, at) });
    for (let i = 1; i < step.minor; i += 1) ticks.push({ t: at + ((after - at) * i) / step.minor, label: "" });
    at = after;
  }
  const larger = contextOf(step);
  const context: Tick[] = [];
  if (larger) {
    const big: Step = { unit: larger.unit, n: 1, size: 0, minor: 1 };
    if (larger.unit === "hour") big.size = HOUR;
    for (let at = first(big, v.from); at <= v.to && context.length < 400; at = next(big, at)) {
      context.push({ t: at, label: larger.text(at) });
    }
  }
  return { ticks: ticks.filter((tick) => tick.t >= v.from - span(v) * 0.2), context };
}
