// SPDX-License-Identifier: Apache-2.0
/** Questions that a timeline asks of a camera's spans. Spans are sorted, touch, and never overlap. */
import { length } from "../lib/format";
import { clock, day, toDate } from "../lib/time";
import type { HoldSpan, Span, Ticks } from "../lib/types";
import { spanWords } from "../lib/words";
import type { View } from "./view";

/** The span that holds `at`, or null. */
export function spanAt(spans: readonly Span[], at: Ticks): Span | null {
  let low = 0;
  let high = spans.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const span = spans[middle] as Span;
    if (at < span[0]) high = middle - 1;
    else if (at >= span[1]) low = middle + 1;
    else return span;
  }
  return null;
}

/** Index of the first span that ends after `at`. */
export function firstAfter(spans: readonly Span[], at: Ticks): number {
  let low = 0;
  let high = spans.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as Span)[1] <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Gaps (off and lost) that touch the view, oldest first. */
export function gaps(spans: readonly Span[], view: View): Span[] {
  const found: Span[] = [];
  for (let i = firstAfter(spans, view.from); i < spans.length; i += 1) {
    const span = spans[i] as Span;
    if (span[0] >= view.to) break;
    if (span[2] !== "recorded") found.push(span);
  }
  return found;
}

/** Start of the next gap after `at`, or of the last one that began before it. Null where there is none. */
export function neighbourGap(spans: readonly Span[], at: Ticks, direction: 1 | -1): Ticks | null {
  const starts = spans.filter((span) => span[2] !== "recorded").map((span) => span[0]);
  if (direction > 0) return starts.find((start) => start > at) ?? null;
  return starts.filter((start) => start < at).pop() ?? null;
}

export function holdsAt(holds: readonly HoldSpan[], at: Ticks): HoldSpan[] {
  return holds.filter(([from, to]) => at >= from && at < to);
}

/** A span as a sentence: `Lost: camera unreachable, 14:03:22 to 14:05:00 (1 min 38 s)`. */
export function spanSentence(span: Span): string {
  const [from, to, kind, cause, detail] = span;
  const same = toDate(from).toDateString() === toDate(to).toDateString();
  const when = same ? `${clock(from)} to ${clock(to)}` : `${day(from)} ${clock(from)} to ${day(to)} ${clock(to)}`;
  return `${spanWords(kind, cause, detail)}, ${when} (${length(to - from)})`;
}

/** What each camera has at a moment, for ears: `Front door recorded; Yard lost: camera unreachable`. */
export function momentWords(
  cameras: readonly { name: string; spans: readonly Span[]; holds: readonly HoldSpan[]; undecided?: boolean }[],
  at: Ticks,
): string {
  return cameras
    .map(({ name, spans, holds, undecided }) => {
      const span = spanAt(spans, at);
      const words = span ? spanWords(span[2], span[3]) : undecided ? "being written" : "nothing recorded";
      const held = holdsAt(holds, at).length ? ", held" : "";
      return `${name} ${words.charAt(0).toLowerCase()}${words.slice(1)}${held}`;
    })
    .join("; ");
}
