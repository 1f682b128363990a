// SPDX-License-Identifier: Apache-2.0
/** The stretch of time that a timeline shows, and how it moves. Pure: all numbers are ticks or CSS pixels. */
import { DAY, HZ } from "../lib/time";
import type { Ticks } from "../lib/types";

export interface View {
  from: Ticks;
  to: Ticks;
}

/** Five frames of a 25 fps camera across the whole width, up to five years. */
export const SHORTEST = HZ / 5;
export const LONGEST = 5 * 366 * DAY;

export const span = (v: View): number => v.to - v.from;
export const x = (v: View, width: number, t: Ticks): number => ((t - v.from) / span(v)) * width;
export const t = (v: View, width: number, px: number): Ticks => Math.round(v.from + (px / Math.max(1, width)) * span(v));

export interface Limits {
  /** The oldest moment of interest; views keep at least a strip of it in sight. */
  oldest: Ticks;
  now: Ticks;
}

/** Keep the view's length in bounds, and some of [oldest, now] inside it. */
export function clamp(v: View, limits: Limits): View {
  const whole = Math.min(LONGEST, Math.max(SHORTEST, span(v)));
  const middle = (v.from + v.to) / 2;
  let from = middle - whole / 2;
  const edge = whole * 0.15; // a little emptiness past either end tells that it is the end
  const least = limits.oldest - edge;
  const most = limits.now + edge - whole;
  from = least > most ? (least + most) / 2 : Math.min(most, Math.max(least, from));
  return { from: Math.round(from), to: Math.round(from + whole) };
}

/** Make the view `factor` times as long, with the moment under `at` staying under it. */
export function zoom(v: View, factor: number, at: Ticks, limits: Limits): View {
  const whole = Math.min(LONGEST, Math.max(SHORTEST, span(v) * factor));
  const share = (at - v.from) / span(v);
  const from = at - share * whole;
  return clamp({ from, to: from + whole }, limits);
}

export function pan(v: View, by: Ticks, limits: Limits): View {
  return clamp({ from: v.from + by, to: v.to + by }, limits);
}

/** Two fingers: the moments that were under them stay under them. */
export function pinch(v: View, width: number, was: [number, number], is: [number, number], limits: Limits): View {
  const a = t(v, width, was[0]);
  const b = t(v, width, was[1]);
  const gap = is[1] - is[0];
  if (Math.abs(gap) < 8 || a === b) return v;
  const perPx = (b - a) / gap;
  if (perPx <= 0) return v;
  const from = a - is[0] * perPx;
  return clamp({ from, to: from + width * perPx }, limits);
}

/** Scroll so that `at` stays in sight while it moves; jumps a page when it leaves the last tenth, as readers turn pages. */
export function follow(v: View, at: Ticks, limits: Limits): View {
  const whole = span(v);
  if (at >= v.from && at <= v.to - whole * 0.1) return v;
  const from = at > v.to - whole * 0.1 && at < v.to + whole ? at - whole * 0.15 : at - whole / 2;
  return clamp({ from, to: from + whole }, limits);
}

/** A view of `whole` ticks around `at`. */
export function around(at: Ticks, whole: number, limits: Limits): View {
  return clamp({ from: at - whole / 2, to: at + whole / 2 }, limits);
}
