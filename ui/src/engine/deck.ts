// SPDX-License-Identifier: Apache-2.0
/**
 * One camera of a player: fetches, opens and decodes ahead of the player's clock, and shows the picture that is due.
 * A deck never runs ahead by more than some pictures, and never holds the clock up by itself: the player asks `ready`.
 */

import { videoConfig } from "../vault";
import type { PlayerStats, StreamName } from "./api";
import { EngineError } from "./errors";
import { SECOND, endOf, isCancelled, isNothing, type Archive, type Nothing, type Opened, type Spot } from "./archive";
import { engineError } from "./failures";
import { cannotDecode } from "./livepicture";
import { KEYS_ONLY_ABOVE, Route, type Clock } from "./route";
import type { Screen } from "./screen";
import { decodeKey } from "./still";
import { from90k, toUs } from "./time";

const AHEAD = 8; // decoded pictures that wait to be shown
const QUEUED = 6; // samples inside the decoder
const EDGE_POLL_MS = 500;
const EDGE_PATIENCE_MS = 7000; // no new fragment for this long: the end
const STUCK_MS = 250; // the decoder holds the wanted picture back: flush it

export interface DeckNews {
  picture(camera: string, t90k: number, width: number, height: number): void;
  gap(camera: string, gap: Nothing | null): void;
  problem(camera: string, problem: EngineError | null): void;
  stats(camera: string, stats: PlayerStats): void;
}

export class Deck {
  shown90k: number | null = null;
  gap: Nothing | null = null;
  ended = false;
  /** Fragments that were opened last, in order of time: for stepping and for sound. */
  readonly near: Opened[] = [];
  private decoder: VideoDecoder | null = null;
  private configured = "";
  private frames: VideoFrame[] = [];
  private generation = 0;
  private wake: (() => void) | null = null;
  private target: { t90k: number; resolve: () => void; since: number } | null = null;
  private stale = false; // what follows the shown picture has to be decoded again from a key frame
  private arrived = false; // the wanted picture of the last seek was shown
  private fed = 0; // samples given to the decoder since the last seek
  private problem: EngineError | null = null;
  private numbers: PlayerStats = { seekMs: null, exactMs: null, decoded: 0, skipped: 0 };
  private readonly route: Route;
  private closed = false;

  constructor(
    readonly camera: string,
    private stream: StreamName,
    readonly screen: Screen,
    private readonly archive: Archive,
    private readonly clock: Clock,
    private readonly news: DeckNews,
  ) {
    this.route = new Route(archive, clock);
  }

  close(): void {
    this.closed = true;
    this.cancel();
    this.screen.clear();
  }

  // ---------------------------------------------------------------------------------------------- going to a moment

  /** Resolves when the picture of `t` is on the screen, or it is known that there is none. */
  async seek(t: number): Promise<void> {
    const mine = this.cancel();
    const began = performance.now();
    this.numbers.seekMs = this.numbers.exactMs = null;
    try {
      const start = await this.start(t, mine, began);
      if (mine !== this.generation || !start) return;
      const shown = new Promise<void>((resolve) => (this.target = { t90k: start.t90k, resolve, since: performance.now() }));
      void this.run(start.spot, mine);
      await shown;
      if (mine !== this.generation) return;
      this.numbers.exactMs = Math.round(performance.now() - began);
      this.numbers.seekMs ??= this.numbers.exactMs;
      this.news.stats(this.camera, this.numbers);
    } catch (error) {
      if (mine === this.generation) this.say(engineError(error));
    }
  }

  /** Go on from the clock's time, after a change of rate or a decoder that was flushed. */
  resume(): void {
    if (this.gap && this.gap.next_90k === null && !this.ended) return;
    const t = this.clock.now();
    const mine = this.cancel();
    void (async () => {
      try {
        const found = await this.archive.find(this.camera, this.stream, t);
        if (mine !== this.generation) return;
        if (!isNothing(found)) {
          this.setGap(null);
          await this.run(await this.archive.entry(found), mine);
          return;
        }
        this.setGap(found);
        if (found.next_90k === null) return;
        const next = await this.archive.after(this.camera, this.stream, found.next_90k);
        if (next && mine === this.generation) await this.run(next, mine);
      } catch (error) {
        if (mine === this.generation) this.say(engineError(error));
      }
    })();
  }

  /** Playing begins: feed again what a pause or a flush broke off. */
  play(): void {
    if (this.stale || this.ended) this.resume();
    else this.wake?.();
  }

  private cancel(): number {
    const mine = ++this.generation;
    this.target?.resolve();
    this.target = null;
    this.wake?.();
    this.wake = null;
    this.ended = false;
    this.stale = false;
    this.fed = 0;
    this.arrived = false;
    this.route.reset();
    for (const frame of this.frames) frame.close();
    this.frames = [];
    if (this.decoder?.state === "configured") this.decoder.reset();
    this.configured = "";
    return mine;
  }

  /** Find the fragment of `t`; on the way show its key frame, which comes sooner than the picture itself. */
  private async start(t: number, mine: number, began: number): Promise<{ spot: Spot; t90k: number } | null> {
    const quick = this.archive.knows(this.camera, this.stream, t) ? null : this.archive.openKeyAt(this.camera, this.stream, t);
    quick?.then(
      (key) => key && mine === this.generation && key.spot.row.start <= t && this.glimpse(key, mine, began),
      () => undefined, // what is wrong, the slower way finds as well
    );
    const found = await this.archive.find(this.camera, this.stream, t);
    if (mine !== this.generation) return null;
    if (isNothing(found)) {
      this.shown90k = null;
      this.screen.clear();
      this.setGap(found);
      this.news.stats(this.camera, this.numbers);
      if (found.next_90k !== null) void this.prepare(found.next_90k, mine);
      return null;
    }
    this.setGap(null);
    const entry = await this.archive.entry(found);
    if (!this.archive.has(found)) {
      const key = (await quick?.catch(() => null)) ?? (await this.archive.openKey(entry));
      if (mine !== this.generation) return null;
      if (!(await this.able(key))) return mine === this.generation ? this.otherStream(t, mine, began) : null;
      if (!quick) this.glimpse(key, mine, began);
    }
    const opened = await this.archive.open(found);
    if (mine !== this.generation) return null;
    if (!(await this.able(opened))) return mine === this.generation ? this.otherStream(t, mine, began) : null;
    const times = opened.pictures.map((picture) => picture.t90k).filter((time) => time <= t);
    return { spot: entry, t90k: times.length ? Math.max(...times) : Math.min(...opened.pictures.map((picture) => picture.t90k)) };
  }

  /** The key frame of a fragment, at once, with a decoder of its own. What goes wrong here, the whole fragment will tell. */
  private glimpse(key: Opened, mine: number, began: number): void {
    decodeKey(key).then(
      (frame) => {
        if (mine !== this.generation || this.arrived) return frame.close();
        this.show(frame);
        this.numbers.seekMs = Math.round(performance.now() - began);
      },
      () => undefined,
    );
  }

  private async prepare(t: number, mine: number): Promise<void> {
    const next = await this.archive.after(this.camera, this.stream, t).catch(() => null);
    if (next && mine === this.generation) await this.run(next, mine);
  }

  private async able(opened: Opened): Promise<boolean> {
    const { supported } = await VideoDecoder.isConfigSupported(videoConfig(opened.video));
    if (!supported) this.say(cannotDecode(opened.video));
    return Boolean(supported);
  }

  private async otherStream(t: number, mine: number, began: number): Promise<{ spot: Spot; t90k: number } | null> {
    if (this.stream === "sub") return null;
    const problem = this.problem;
    this.stream = "sub";
    const found = await this.archive.find(this.camera, "sub", t).catch(() => null);
    if (mine !== this.generation) return null;
    if (!found || isNothing(found)) {
      this.stream = "main";
      this.say(problem);
      return null;
    }
    this.say(null);
    return this.start(t, mine, began);
  }

  // ---------------------------------------------------------------------------------------------- decoding ahead

  private async run(from: Spot, mine: number): Promise<void> {
    let spot: Spot | null = from;
    while (spot && mine === this.generation) {
      try {
        const keysOnly = this.clock.rate > KEYS_ONLY_ABOVE && this.target === null;
        const opened = await (keysOnly ? this.archive.openKey(spot) : this.archive.open(spot));
        if (mine !== this.generation) return;
        if (!keysOnly) this.keep(opened);
        await this.feed(opened, keysOnly, mine);
        if (mine === this.generation && this.problem && this.problem.code !== "unsupported") this.say(null);
      } catch (error) {
        if (mine !== this.generation || isCancelled(error)) return;
        this.say(engineError(error));
        this.target?.resolve();
        this.target = null;
      }
      if (mine !== this.generation) return;
      spot = await this.following(spot, mine);
    }
  }

  private keep(opened: Opened): void {
    const at = this.near.findIndex((one) => one.spot.row.offset === opened.spot.row.offset && one.spot.segment.kid === opened.spot.segment.kid);
    if (at >= 0) this.near.splice(at, 1);
    this.near.push(opened);
    this.near.sort((a, b) => a.spot.row.start - b.spot.row.start);
    while (this.near.length > 4) this.near.splice(this.near[0] === opened ? this.near.length - 1 : 0, 1);
  }

  /** Give samples to the decoder as fast as pictures are taken from it. */
  private async feed(opened: Opened, keysOnly: boolean, mine: number): Promise<void> {
    await this.configure(opened, mine);
    const end = endOf(opened.spot);
    const samples = keysOnly ? opened.pictures.slice(0, 1) : opened.pictures;
    for (const [i, sample] of samples.entries()) {
      if (i === 0 && !sample.key && (keysOnly || this.fed === 0)) return; // a fragment that no decoder can start at
      while (mine === this.generation && this.full(sample.t90k)) await this.pause();
      if (mine !== this.generation || !this.decoder) return;
      if (!this.target && this.clock.playing && this.clock.now() > end + SECOND / 2) {
        this.numbers.skipped += samples.length - i; // decoding cannot keep up: go on where the clock is
        return;
      }
      if (keysOnly && this.fed > 0 && this.clock.playing && this.clock.now() > sample.t90k + this.clock.rate * SECOND) return;
      this.decoder.decode(new EncodedVideoChunk({ type: sample.key ? "key" : "delta", timestamp: toUs(sample.t90k), data: sample.data }));
      this.fed++;
    }
    if (keysOnly && this.decoder) await this.decoder.flush();
  }

  private full(t90k: number): boolean {
    if (!this.decoder) return false;
    if (this.decoder.decodeQueueSize >= QUEUED || this.frames.length >= AHEAD) return true;
    if (this.target) return t90k > this.target.t90k + SECOND / 2 && this.frames.length > 0;
    // While nothing plays, a few pictures more than the one shown are enough.
    if (!this.clock.playing) return this.frames.length >= 2;
    return t90k > this.clock.now() + 3 * SECOND * Math.max(1, this.clock.rate);
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake?.(), 50);
      this.wake = () => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
    });
  }

  private async configure(opened: Opened, mine: number): Promise<void> {
    const { video } = opened;
    const name = `${video.codecString} ${video.width}x${video.height} ${video.config.join()}`;
    if (this.decoder?.state === "configured" && name === this.configured) return;
    if (this.decoder?.state === "configured" && this.configured) await this.decoder.flush();
    if (mine !== this.generation) return;
    if (!this.decoder || this.decoder.state === "closed") this.decoder = this.makeDecoder();
    this.decoder.configure(videoConfig(video));
    this.configured = name;
  }

  private makeDecoder(): VideoDecoder {
    const decoder: VideoDecoder = new VideoDecoder({
      output: (frame) => (decoder === this.decoder && !this.closed ? this.output(frame) : frame.close()),
      error: (error) => {
        if (decoder !== this.decoder) return;
        this.decoder = null;
        this.configured = "";
        this.say(engineError(error));
        this.target?.resolve();
        this.target = null;
        this.stale = true;
      },
    });
    return decoder;
  }

  private output(frame: VideoFrame): void {
    this.numbers.decoded++;
    const t = from90k(frame.timestamp);
    const { target } = this;
    if (target && t < target.t90k) {
      frame.close(); // only on the way to the wanted one
      this.wake?.();
      return;
    }
    if (target) {
      this.target = null;
      this.arrived = true;
      this.frames.push(frame);
      this.present(t);
      target.resolve();
    } else {
      this.frames.push(frame);
      this.frames.sort((a, b) => a.timestamp - b.timestamp);
    }
  }

  /** The next fragment to decode, or null where there is none: then the deck has ended. */
  private async following(spot: Spot, mine: number): Promise<Spot | null> {
    const from = performance.now();
    for (;;) {
      const next = await this.route.after(spot, this.target !== null).catch(() => null);
      if (mine !== this.generation) return null;
      if (next?.behind) {
        if (this.decoder?.state === "configured") this.decoder.reset();
        this.configured = "";
        this.numbers.skipped++;
      }
      if (next) return next.spot;
      if (performance.now() - from > EDGE_PATIENCE_MS) break;
      await new Promise((resolve) => setTimeout(resolve, EDGE_POLL_MS));
      if (mine !== this.generation) return null;
    }
    // A decoder may hold its last pictures back until it is told that no more come.
    if (this.decoder?.state === "configured" && this.fed) await this.decoder.flush().catch(() => undefined);
    if (mine === this.generation) this.ended = true;
    return null;
  }

  // ---------------------------------------------------------------------------------------------- showing

  /** Show the newest decoded picture that is due at `t`; close older ones. */
  present(t: number): void {
    let due: VideoFrame | null = null;
    while (this.frames[0] && from90k(this.frames[0].timestamp) <= t) {
      if (due) {
        due.close();
        this.numbers.skipped++;
      }
      due = this.frames.shift()!;
    }
    if (due) {
      this.setGap(null);
      this.show(due);
      this.wake?.();
    } else this.overGap(t);
    this.unstick();
  }

  private show(frame: VideoFrame): void {
    this.shown90k = from90k(frame.timestamp);
    this.screen.show(frame);
    this.news.picture(this.camera, this.shown90k, frame.displayWidth, frame.displayHeight);
  }

  /** The clock has gone past the end of a recording, and the next picture is some time away: say so, show nothing. */
  private overGap(t: number): void {
    if (this.gap) return;
    const gap = this.route.gapAt(t);
    if (!gap) return;
    this.setGap(gap);
    this.screen.clear();
    this.shown90k = null;
  }

  /** Where a decoder holds the wanted picture back, everything it has is asked for; what follows starts anew. */
  private unstick(): void {
    const { target } = this;
    if (!target || performance.now() - target.since < STUCK_MS || this.decoder?.state !== "configured") return;
    if (this.decoder.decodeQueueSize > 0 || this.fed === 0) return;
    target.since = performance.now();
    this.stale = true;
    this.decoder.flush().catch(() => undefined);
  }

  private setGap(gap: Nothing | null): void {
    if (gap === null && this.gap === null) return;
    this.gap = gap;
    this.news.gap(this.camera, gap);
  }

  /** Whether the clock may go on at `t`. */
  ready(t: number): boolean {
    if (this.ended || this.gap || this.problem) return true;
    const next = this.frames[0];
    if (next) return true;
    return this.shown90k !== null && t - this.shown90k < SECOND / 2;
  }

  /** The time of the picture before or after the one shown; null where it has to be looked for elsewhere. */
  async beside(direction: number): Promise<number | null> {
    const at = this.shown90k;
    if (at === null) return null;
    const here = await this.archive.find(this.camera, this.stream, at);
    if (isNothing(here)) return null;
    const times = (await this.archive.open(here)).pictures.map((picture) => picture.t90k).sort((a, b) => a - b);
    const found = direction > 0 ? times.find((time) => time > at) : times.findLast((time) => time < at);
    if (found !== undefined) return found;
    const other = direction > 0 ? await this.archive.next(here) : await this.archive.previous(here);
    if (!other) return null;
    const others = (await this.archive.open(other)).pictures.map((picture) => picture.t90k);
    return direction > 0 ? Math.min(...others) : Math.max(...others);
  }

  /** Whether the picture of `t` waits decoded, so that no seek is needed. */
  holds(t: number): boolean {
    return this.frames.some((frame) => from90k(frame.timestamp) === t);
  }

  private say(problem: EngineError | null): void {
    if (problem?.code === this.problem?.code && problem?.message === this.problem?.message) return;
    this.problem = problem;
    this.news.problem(this.camera, problem);
  }
}
