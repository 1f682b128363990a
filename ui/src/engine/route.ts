// SPDX-License-Identifier: Apache-2.0
/** Which fragment a deck decodes after one: the next, or one further on where the clock is faster than a decoder. */

import { SECOND, endOf, isNothing, type Archive, type Nothing, type Spot } from "./archive";

export const KEYS_ONLY_ABOVE = 8; // rates
const KEYS_A_SECOND = 10; // as many key frames as an eye can use
const JOIN = SECOND; // recordings this near to each other are one: no gap is shown

/** The player's clock, as decks see it. */
export interface Clock {
  now(): number; // 90k
  readonly playing: boolean;
  readonly rate: number;
}

export interface Step {
  spot: Spot;
  /** Fragments were left out because decoding could not keep up: what waits in the decoder is of no use. */
  behind: boolean;
}

export class Route {
  /** Stretches without footage that lie ahead of the clock, as far as was looked. */
  private breaks: { from: number; to: number }[] = [];

  constructor(
    private readonly archive: Archive,
    private readonly clock: Clock,
  ) {}

  /** Somewhere else from here on. */
  reset(): void {
    this.breaks = [];
  }

  /** The stretch without footage that `t` lies in; null where it lies in none that is known. */
  gapAt(t: number): Nothing | null {
    this.breaks = this.breaks.filter(({ to }) => to > t);
    const here = this.breaks.find(({ from }) => from <= t);
    return here ? { next_90k: here.to, prev_90k: here.from } : null;
  }

  /** What comes after `spot`; null where nothing does (yet). With `steady` none is left out. */
  async after(spot: Spot, steady: boolean): Promise<Step | null> {
    const { playing, rate } = this.clock;
    const now = this.clock.now();
    const next = await this.archive.next(spot);
    if (!next) return null;
    this.note(endOf(spot), next.row.start);
    if (!playing || steady) return { spot: next, behind: false };
    if (rate > KEYS_ONLY_ABOVE) {
      const least = Math.max(now, spot.row.start + (rate * SECOND) / KEYS_A_SECOND);
      return { spot: next.row.start >= least ? next : await this.leap(next, least), behind: false };
    }
    if (endOf(next) >= now) return { spot: next, behind: false };
    const found = await this.archive.find(spot.camera, spot.stream, now);
    if (isNothing(found) || found.row.start <= next.row.start || !found.row.key) return { spot: next, behind: false };
    return { spot: found, behind: true };
  }

  /** The fragment of `t` or the first after it; `next` where there is none. */
  private async leap(next: Spot, t: number): Promise<Spot> {
    const found = await this.archive.find(next.camera, next.stream, t);
    if (!isNothing(found)) return found.row.start > next.row.start ? found : next;
    if (found.next_90k === null) return next;
    if (found.prev_90k !== null) this.note(found.prev_90k, found.next_90k);
    return (await this.archive.after(next.camera, next.stream, found.next_90k)) ?? next;
  }

  private note(from: number, to: number): void {
    if (to - from >= JOIN) this.breaks.push({ from, to });
  }
}
