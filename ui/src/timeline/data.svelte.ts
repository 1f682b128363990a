// SPDX-License-Identifier: Apache-2.0
/**
 * What a timeline knows of its cameras' time: the whole archive coarsely, and three screens around the view finely.
 * So scrolling and zooming never shows nothing: the coarse account is drawn until the fine one is there.
 * One request for each runs at a time; a newer wish replaces the older.
 */
import { api } from "../lib/api";
import { DAY, HZ, now } from "../lib/time";
import type { HoldSpan, Span, Ticks, TimelineAnswer } from "../lib/types";
import { firstAfter, spanAt } from "./spans";
import { LONGEST, span, type Limits, type View } from "./view";

export interface Part {
  from: Ticks;
  to: Ticks;
  perPx: number;
  cameras: TimelineAnswer["cameras"];
}

const WAIT_MS = 70; // let a wheel turn end before asking
const LIVE_MS = 3000;

export class TimelineData {
  overview = $state.raw<Part | null>(null);
  detail = $state.raw<Part | null>(null);
  oldest = $state<Ticks | null>(null);
  now = $state<Ticks>(now());
  loading = $state(true);
  error = $state.raw<unknown>(null);
  /** The server's clock less the browser's. */
  skew = 0;

  #ids: string[] = [];
  #wish: { view: View; width: number } | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy: AbortController | null = null;
  #tick: ReturnType<typeof setInterval> | undefined;
  #asked = 0;

  get limits(): Limits {
    return { oldest: this.oldest ?? this.now - DAY, now: this.now };
  }

  start(): void {
    this.#tick ??= setInterval(() => {
      this.now = now() + this.skew;
      if (this.oldest === null && !this.loading && Date.now() - this.#asked > LIVE_MS && document.visibilityState === "visible") {
        this.#asked = Date.now(); // nothing recorded yet: look again
        void this.refresh();
        return;
      }
      const view = this.#wish?.view;
      const live = view && view.to > this.now - span(view) * 0.02 && Date.now() - this.#asked > LIVE_MS;
      if (live && document.visibilityState === "visible") this.#soon(0, true);
    }, 500);
  }

  stop(): void {
    clearInterval(this.#tick);
    clearTimeout(this.#timer);
    this.#tick = undefined;
    this.#busy?.abort();
  }

  /** Show these cameras. */
  async show(ids: string[]): Promise<void> {
    if (ids.join() === this.#ids.join()) return;
    this.#ids = [...ids];
    await this.refresh();
  }

  /** Ask for everything again: after a hold, a deletion, or an error. */
  async refresh(): Promise<void> {
    if (!this.#ids.length) {
      this.loading = false;
      return;
    }
    const ids = this.#ids;
    try {
      const at = now();
      const first = await api.timeline(ids, at - LONGEST, at, 400);
      if (ids !== this.#ids) return;
      this.skew = first.now_90k - now();
      if (Math.abs(this.skew) < 2 * HZ) this.skew = 0;
      this.now = first.now_90k;
      const olds = Object.values(first.cameras).flatMap((c) => (c.oldest_90k === null ? [] : [c.oldest_90k]));
      this.oldest = olds.length ? Math.min(...olds) : null;
      const from = this.oldest ?? this.now - DAY;
      const px = 2000;
      const whole = await api.timeline(ids, from, this.now, px);
      if (ids !== this.#ids) return;
      this.overview = { from, to: whole.now_90k, perPx: (this.now - from) / px, cameras: whole.cameras };
      this.error = null;
    } catch (error) {
      this.error = error;
    } finally {
      this.loading = false;
    }
    this.detail = null;
    if (this.#wish) this.#soon(0, true);
  }

  /** Tell what is in sight. Cheap: asks only when what is known is too coarse or does not reach. */
  want(view: View, width: number): void {
    this.#wish = { view, width };
    if (!this.#ids.length || width < 10) return;
    const d = this.detail;
    const perPx = span(view) / width;
    const reaches = d && d.from <= view.from && d.to >= Math.min(view.to, this.now);
    const fine = d && d.perPx <= perPx * 1.3 && d.perPx >= perPx / 16;
    if (!reaches || !fine) this.#soon(WAIT_MS, false);
  }

  #soon(wait: number, force: boolean): void {
    if (this.#timer && !force) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#ask();
    }, wait);
  }

  async #ask(): Promise<void> {
    const wish = this.#wish;
    if (!wish || !this.#ids.length) return;
    this.#busy?.abort();
    const stop = new AbortController();
    this.#busy = stop;
    this.#asked = Date.now();
    const ids = this.#ids;
    const whole = span(wish.view);
    const from = Math.floor(wish.view.from - whole);
    const to = Math.ceil(Math.min(wish.view.to + whole, Math.max(this.now, wish.view.to)));
    const px = Math.min(6000, Math.max(50, Math.round((wish.width * (to - from)) / whole)));
    try {
      const answer = await api.timeline(ids, from, to, px, stop.signal);
      if (ids !== this.#ids || stop.signal.aborted) return;
      this.detail = { from, to: Math.min(to, answer.now_90k), perPx: (to - from) / px, cameras: answer.cameras };
      this.error = null;
    } catch (error) {
      if (!stop.signal.aborted) this.error = error;
    } finally {
      if (this.#busy === stop) this.#busy = null;
    }
  }

  /** The best account of one camera over a stretch: fine where that is known, coarse elsewhere. */
  spans(id: string, view: View): Span[] {
    const out: Span[] = [];
    const d = this.detail;
    const add = (part: Part | null, from: Ticks, to: Ticks): void => {
      const list = part?.cameras[id]?.spans ?? [];
      for (let i = firstAfter(list, from); i < list.length; i += 1) {
        const s = list[i] as Span;
        if (s[0] >= to) break;
        out.push([Math.max(s[0], from), Math.min(s[1], to), s[2], s[3], s[4]]);
      }
    };
    if (!d || d.to <= view.from || d.from >= view.to) add(this.overview, view.from, view.to);
    else {
      if (d.from > view.from) add(this.overview, view.from, d.from);
      add(d, Math.max(view.from, d.from), Math.min(view.to, d.to));
      if (d.to < view.to) add(this.overview, d.to, view.to);
    }
    return out;
  }

  holds(id: string): HoldSpan[] {
    const all = [...(this.overview?.cameras[id]?.holds ?? []), ...(this.detail?.cameras[id]?.holds ?? [])];
    return [...new Map(all.map((hold) => [hold[2], hold])).values()];
  }

  /** Whether the account of a camera does not reach to this moment yet: the newest seconds are still being written. */
  undecided(id: string, moment: Ticks): boolean {
    const end = Math.max(...[this.overview, this.detail].map((part) => part?.cameras[id]?.spans.at(-1)?.[1] ?? 0));
    return end > 0 && moment >= end && moment <= this.now;
  }

  at(id: string, moment: Ticks): Span | null {
    const d = this.detail;
    const inside = d && moment >= d.from && moment < d.to;
    return spanAt((inside ? d : this.overview)?.cameras[id]?.spans ?? [], moment);
  }
}
