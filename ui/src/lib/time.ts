// SPDX-License-Identifier: Apache-2.0
/**
 * Times as people read them. Stored time is UTC ticks of 1/90000 s; shown time is the browser's zone, 24 hours.
 * Written by hand rather than with Intl: a timeline draws hundreds a frame, and a test must read the same anywhere.
 */
import type { Ticks } from "./types";

export const HZ = 90_000;
export const MINUTE = 60 * HZ;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

export const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export const MONTHS_LONG = [
  "January", "February", "March", "April", "May", "June",
  "July", "August", "September", "October", "November", "December",
];
export const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAYS_LONG = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const two = (n: number): string => String(n).padStart(2, "0");

export const toMs = (t: Ticks): number => t / 90;
export const fromMs = (ms: number): Ticks => Math.round(ms * 90);
export const fromDate = (d: Date): Ticks => fromMs(d.getTime());
export const toDate = (t: Ticks): Date => new Date(t / 90);
export const now = (): Ticks => fromMs(Date.now());

/** `14:03:22`, or `14:03:22.480` with thousandths. */
export function clock(t: Ticks, thousandths = false): string {
  const d = toDate(t);
  const base = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return thousandths ? `${base}.${String(d.getMilliseconds()).padStart(3, "0")}` : base;
}

/** `14:03` */
export function shortClock(t: Ticks): string {
  const d = toDate(t);
  return `${two(d.getHours())}:${two(d.getMinutes())}`;
}

/** `Sat 21 Nov 2026` */
export function day(t: Ticks): string {
  const d = toDate(t);
  return `${DAYS[d.getDay()]} ${d.getDate()} ${MONTHS[d.getMonth()]} ${d.getFullYear()}`;
}

/** `21 Nov 2026, 14:03:22` */
export function moment(t: Ticks): string {
  const d = toDate(t);
  return `${d.getDate()} ${MONTHS[d.getMonth()]} ${d.getFullYear()}, ${clock(t)}`;
}

/** `Saturday 21 November 2026, 14:03:22`: for ears. */
export function spoken(t: Ticks, thousandths = false): string {
  const d = toDate(t);
  const date = `${DAYS_LONG[d.getDay()]} ${d.getDate()} ${MONTHS_LONG[d.getMonth()]} ${d.getFullYear()}`;
  return `${date}, ${clock(t, thousandths)}`;
}

/** `14:03:22` today, `Fri 14:03` this week, `3 Nov, 14:03` this year, else with the year. */
export function since(t: Ticks, at: Ticks): string {
  const d = toDate(t);
  const n = toDate(at);
  if (d.toDateString() === n.toDateString()) return clock(t);
  if (Math.abs(at - t) < 6 * DAY) return `${DAYS[d.getDay()]} ${shortClock(t)}`;
  const date = `${d.getDate()} ${MONTHS[d.getMonth()]}`;
  return d.getFullYear() === n.getFullYear() ? `${date}, ${shortClock(t)}` : `${date} ${d.getFullYear()}`;
}

/** `14:03:22 to 14:05:00` on one day, both dates otherwise. */
export function range(from: Ticks, to: Ticks): string {
  const same = toDate(from).toDateString() === toDate(to).toDateString();
  return same ? `${day(from)}, ${clock(from)} to ${clock(to)}` : `${moment(from)} to ${moment(to)}`;
}

/** Value of an `<input type="datetime-local" step="1">`. */
export function toInput(t: Ticks): string {
  const d = toDate(t);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${clock(t)}`;
}

/** The other way; null where there is no such time. */
export function fromInput(value: string): Ticks | null {
  const ms = new Date(value).getTime();
  return Number.isNaN(ms) ? null : fromMs(ms);
}

/** Start of the local day that holds `t`, `days` later or (negative) earlier. */
export function startOfDay(t: Ticks, days = 0): Ticks {
  const d = toDate(t);
  return fromDate(new Date(d.getFullYear(), d.getMonth(), d.getDate() + days));
}

/** The zone that times are shown in, as in `Europe/Berlin (UTC+1)`. */
export function zone(at = new Date()): string {
  const minutes = -at.getTimezoneOffset();
  const hours = Math.trunc(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  const offset = `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${two(rest)}` : ""}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return name && name !== "UTC" ? `${name} (${offset})` : "UTC";
}
