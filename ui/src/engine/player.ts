// SPDX-License-Identifier: Apache-2.0
/** Several cameras in lockstep on one wall clock. The clock waits for cameras that have pictures to come but none yet. */

import { audioConfig } from "../vault";
import type { StreamName } from "./api";
import { SECOND, type Archive } from "./archive";
import { Deck } from "./deck";
import { toWire } from "./failures";
import type { Clock } from "./route";
import type { Screens } from "./screen";
import { from90k, nextFrame, toUs, wallMs } from "./time";
import type { Tell } from "./views";

const TELL_MS = 100; // how often the time is told while playing
const STALL_MS = 200; // a camera without its picture for this long stops the clock ...
const STALL_FAST_MS = 1000; // ... at rates above 2, where pictures may be left out
const SOUND_AHEAD = 1.5 * SECOND;

export class PlayerWorker implements Clock {
  playing = false;
  rate = 1;
  private decks = new Map<string, Deck>();
  private base = { t90k: 0, at: performance.now() };
  private unready = 0; // since when a camera is not ready, ms; 0: all are
  private waiting = false;
  private told = 0;
  private closed = false;
  private seeking = 0;
  private readonly sound: Soundtrack;

  constructor(
    private readonly handle: number,
    private readonly stream: StreamName,
    private readonly archive: Archive,
    private readonly screens: Screens,
    private readonly tell: Tell,
  ) {
    this.sound = new Soundtrack((data, at_ms) => this.tell("player.sound", handle, { data, at_ms }, [data]));
    this.tick();
  }

  now(): number {
    return this.running() ? Math.round(this.base.t90k + (performance.now() - this.base.at) * 90 * this.rate) : this.base.t90k;
  }

  private running(): boolean {
    return this.playing && !this.waiting && !this.seeking;
  }

  cameras(list: [string, number][]): void {
    const t = this.now();
    const wanted = new Map(list);
    for (const [camera, deck] of this.decks)
      if (wanted.get(camera) === undefined || this.screens.find(wanted.get(camera)!) !== deck.screen) {
        deck.close();
        this.decks.delete(camera);
      }
    const fresh: Deck[] = [];
    for (const [camera, canvas] of list) {
      if (this.decks.has(camera)) continue;
      const deck = new Deck(camera, this.stream, this.screens.get(canvas), this.archive, this, {
        picture: (name, t90k, width, height) => this.tell("player.picture", this.handle, { camera: name, t90k, width, height }),
        gap: (name, gap) => this.tell("player.gap", this.handle, { camera: name, gap: gap && { camera: name, ...gap } }),
        problem: (name, problem) => this.tell("player.problem", this.handle, { camera: name, problem: problem && toWire(problem) }),
        stats: (name, stats) => this.tell("player.stats", this.handle, { camera: name, stats: { ...stats } }),
      });
      this.decks.set(camera, deck);
      fresh.push(deck);
    }
    this.decks = new Map(list.map(([camera]) => [camera, this.decks.get(camera)!]));
    if (t) for (const deck of fresh) void deck.seek(t);
  }

  async seek(t90k: number): Promise<void> {
    this.rebase(t90k);
    this.hush();
    const mine = ++this.seeking;
    this.say();
    await Promise.all([...this.decks.values()].map((deck) => deck.seek(t90k)));
    if (mine !== this.seeking) return;
    this.seeking = 0;
    this.unready = 0;
    this.base.at = performance.now();
    this.hush();
    this.say();
  }

  play(rate: number): void {
    const t = this.now();
    const modeChanged = rate > 8 !== this.rate > 8;
    const changed = rate !== this.rate || !this.playing;
    this.rebase(t);
    this.rate = rate;
    this.playing = true;
    if (changed) this.hush();
    for (const deck of this.decks.values()) {
      if (this.seeking) continue; // its seek goes on into playing
      if (modeChanged) deck.resume();
      else deck.play();
    }
    this.say();
  }

  pause(): void {
    const t = this.now();
    this.playing = false;
    this.waiting = false;
    this.rebase(t);
    this.hush();
    this.say();
  }

  async step(direction: number): Promise<void> {
    if (this.playing) this.pause();
    const [lead] = this.decks.values();
    const t = lead ? await lead.beside(direction) : null;
    if (t === null || this.closed) return;
    if ([...this.decks.values()].every((deck) => direction > 0 && (deck === lead ? deck.holds(t) : deck.ready(t) && !deck.gap))) {
      this.rebase(t);
      for (const deck of this.decks.values()) deck.present(t);
      this.say();
    } else await this.seek(t);
  }

  setSound(on: boolean, camera: string | null): void {
    this.sound.on = on;
    this.sound.camera = camera;
    this.hush();
  }

  snapshot(camera: string): Promise<Blob> {
    const deck = this.decks.get(camera);
    if (!deck) throw new Error(`no camera ${camera} in this player`);
    return deck.screen.snapshot();
  }

  close(): void {
    this.closed = true;
    for (const deck of this.decks.values()) deck.close();
    this.decks.clear();
    this.sound.close();
  }

  private rebase(t90k: number): void {
    this.base = { t90k, at: performance.now() };
  }

  private hush(): void {
    this.sound.reset();
    this.tell("player.hush", this.handle, null);
  }

  private tick(): void {
    if (this.closed) return;
    nextFrame(() => this.tick());
    const t = this.now();
    const decks = [...this.decks.values()];
    if (!this.seeking) for (const deck of decks) deck.present(t);
    if (!this.playing || this.seeking || !decks.length) return;
    this.stall(decks, t);
    if (this.waiting) return;
    if (decks.every((deck) => deck.ended || (deck.gap !== null && deck.gap.next_90k === null))) {
      this.pause();
      this.tell("player.end", this.handle, null);
      return;
    }
    if (decks.every((deck) => deck.gap !== null || deck.ended)) this.jump(decks, t);
    if (this.rate === 1) this.sound.feed(decks, t, wallMs());
    if (performance.now() - this.told >= TELL_MS) this.say();
  }

  /** No camera has anything here: go on where the first one does. */
  private jump(decks: Deck[], t: number): void {
    const next = Math.min(...decks.map((deck) => deck.gap?.next_90k ?? Infinity));
    if (!Number.isFinite(next) || next <= t) return;
    this.tell("player.jump", this.handle, { from_90k: t, to_90k: next });
    this.rebase(next);
    this.hush();
    this.say();
  }

  private stall(decks: Deck[], t: number): void {
    const now = performance.now();
    if (decks.every((deck) => deck.ready(t))) {
      this.unready = 0;
      if (this.waiting) {
        this.waiting = false;
        this.base.at = now;
        this.hush();
        this.say();
      }
      return;
    }
    this.unready ||= now;
    if (!this.waiting && now - this.unready > (this.rate > 2 ? STALL_FAST_MS : STALL_MS)) {
      this.rebase(t);
      this.waiting = true;
      this.hush();
      this.say();
    }
  }

  private say(): void {
    this.told = performance.now();
    const waiting = this.waiting || this.seeking > 0;
    this.tell("player.time", this.handle, { t90k: this.now(), playing: this.playing, rate: this.rate, waiting });
  }
}

/** The sound of one camera, decoded a little ahead of the clock. Which fragments are open is the deck's matter. */
class Soundtrack {
  on = false;
  camera: string | null = null;
  private decoder: AudioDecoder | null = null;
  private configured = "";
  private cursor = 0; // time up to which sound was given to the decoder
  private due: (t90k: number) => number = () => 0;

  constructor(private readonly play: (data: AudioData, at_ms: number) => void) {}

  reset(): void {
    this.cursor = 0;
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
  }

  close(): void {
    this.on = false;
    this.reset();
  }

  feed(decks: Deck[], t: number, atMs: number): void {
    if (!this.on || typeof AudioDecoder === "undefined") return;
    const deck = this.camera ? decks.find((one) => one.camera === this.camera) : decks.find((one) => one.near.some((opened) => opened.sounds.length));
    if (!deck) return;
    this.due = (t90k) => atMs + (t90k - t) / 90;
    this.cursor ||= t;
    for (const opened of deck.near) {
      if (!opened.audio) continue;
      for (const sound of opened.sounds) {
        if (sound.t90k < this.cursor || sound.t90k > t + SOUND_AHEAD) continue;
        this.decode(opened.audio, sound.t90k, sound.data);
        this.cursor = sound.t90k + 1;
      }
    }
  }

  private decode(track: Parameters<typeof audioConfig>[0], t90k: number, data: Uint8Array<ArrayBuffer>): void {
    const name = `${track.codecString} ${track.config.join()}`;
    if (!this.decoder || this.decoder.state === "closed" || name !== this.configured) {
      this.reset();
      const decoder: AudioDecoder = new AudioDecoder({
        output: (out) => (decoder === this.decoder ? this.play(out, this.due(from90k(out.timestamp))) : out.close()),
        error: (error) => console.warn("sound", error),
      });
      this.decoder = decoder;
      this.configured = name;
      decoder.configure(audioConfig(track));
    }
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: toUs(t90k), data }));
  }
}
