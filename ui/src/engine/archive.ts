// SPDX-License-Identifier: Apache-2.0
/**
 * Recorded footage as the player wants it: where fragments lie in time, and their opened samples. The catalogue is read
 * in windows of five minutes; a window that still grows is read again when it is needed and older than a second.
 * Opened fragments are kept up to a bound of bytes; the rest is fetched again.
 */

import { Damaged, openFragment, parseFragment, parseInit, type Bytes, type Init, type InitTrack } from "../vault";
import type { StreamName } from "./api";
import { EngineError } from "./errors";
import { engineError } from "./failures";
import { Recent, type Keyring } from "./keyring";
import type { At, Row, Segment, Server } from "./server";
import { wall90k } from "./time";

export const SECOND = 90_000;
const WINDOW = 300 * SECOND;
const GROWS = 120 * SECOND; // a window that ended this long ago does not grow any more
const FRESH_MS = 1000;
const WINDOWS_MAX = 48;
const OPENED_BYTES_MAX = 96 << 20;
const ENTRY_MAX = 64; // fragments back to a key frame: four minutes
const SEGMENTS_MAX = 50; // answers of 240 segments for one window: more is nonsense

/** A fragment's place. */
export interface Spot {
  camera: string;
  stream: StreamName;
  segment: Pick<Segment, "kid" | "key_id" | "init_bytes">;
  row: Row;
}

export interface Picture {
  t90k: number;
  key: boolean;
  data: Bytes;
}

export interface Opened {
  spot: Spot;
  video: InitTrack;
  audio: InitTrack | null;
  pictures: Picture[]; // in decoding order
  sounds: Picture[];
  bytes: number;
}

interface Window {
  read: number; // when, ms
  final: boolean;
  spots: Promise<Spot[]>;
}

/** Where time `t` is not recorded. */
export interface Nothing {
  next_90k: number | null;
  prev_90k: number | null;
}

export function endOf(spot: Spot): number {
  return spot.row.start + spot.row.duration;
}

export class Archive {
  private readonly windows = new Recent<Window>(WINDOWS_MAX);
  private readonly inits = new Recent<Promise<Init>>(64);
  private readonly opened = new Map<string, Promise<Opened>>();
  private openedBytes = 0;
  private readonly sizes = new Map<string, number>();

  constructor(
    readonly server: Server,
    readonly keyring: Keyring,
    /** The server's wall time, 90k: this device's clock may be wrong by hours. */
    private readonly now: () => number = wall90k,
  ) {}

  clear(): void {
    this.opened.clear();
    this.sizes.clear();
    this.openedBytes = 0;
  }

  // ---------------------------------------------------------------------------------------------- where

  /** The fragment that holds `t`, or where recording ends before and goes on after it. */
  async find(camera: string, stream: StreamName, t: number): Promise<Spot | Nothing> {
    const spots = await this.window(camera, stream, Math.floor(t / WINDOW));
    const spot = lastBefore(spots, t);
    if (spot && t < endOf(spot)) return spot;
    // A fragment that begins in the window before may reach into this one.
    const before = spot ?? (await this.window(camera, stream, Math.floor(t / WINDOW) - 1)).at(-1);
    if (before && t < endOf(before)) return before;
    const after = await this.after(camera, stream, t);
    return { next_90k: after?.row.start ?? null, prev_90k: before ? endOf(before) : null };
  }

  /** The first fragment that begins at or after `t`; null where there is none (yet). */
  async after(camera: string, stream: StreamName, t: number): Promise<Spot | null> {
    const first = Math.floor(t / WINDOW);
    for (const index of [first, first + 1]) {
      const spot = firstFrom(await this.window(camera, stream, index), t);
      if (spot) return spot;
      if ((index + 1) * WINDOW > this.now()) return null;
    }
    const next = await this.nextRecorded(camera, stream, (first + 2) * WINDOW);
    if (next === null) return null;
    return firstFrom(await this.window(camera, stream, Math.floor(next / WINDOW)), next);
  }

  /** The fragment after one, whether it joins or not; null at the end of what is recorded. */
  next(spot: Spot): Promise<Spot | null> {
    return this.after(spot.camera, spot.stream, spot.row.start + 1);
  }

  /** The fragment before one. */
  async previous(spot: Spot): Promise<Spot | null> {
    const index = Math.floor(spot.row.start / WINDOW);
    for (const one of [index, index - 1]) {
      const found = lastBefore(await this.window(spot.camera, spot.stream, one), spot.row.start - 1);
      if (found) return found;
    }
    return null;
  }

  /** The fragment at which a decoder has to begin to show one of `spot`: itself, or one before it. */
  async entry(spot: Spot): Promise<Spot> {
    let at = spot;
    for (let i = 0; i < ENTRY_MAX && !at.row.key; i++) {
      const before = await this.previous(at);
      if (!before || endOf(before) < at.row.start - SECOND) break;
      at = before;
    }
    return at;
  }

  /** Whether `find` would answer at once. */
  knows(camera: string, stream: StreamName, t: number): boolean {
    const known = this.windows.get(`${camera}/${stream} ${Math.floor(t / WINDOW)}`);
    return known !== undefined && (known.final || performance.now() - known.read < FRESH_MS);
  }

  private async nextRecorded(camera: string, stream: StreamName, t: number): Promise<number | null> {
    try {
      const { header } = await this.server.at(camera, stream, t, "key", "after");
      return header.row.start + header.row.duration > t ? header.row.start : header.next_90k;
    } catch (error) {
      const { code, facts } = engineError(error);
      if (code !== "not-found") throw error;
      return typeof facts["next_90k"] === "number" ? facts["next_90k"] : null;
    }
  }

  private window(camera: string, stream: StreamName, index: number): Promise<Spot[]> {
    const name = `${camera}/${stream} ${index}`;
    const known = this.windows.get(name);
    if (known && (known.final || performance.now() - known.read < FRESH_MS)) return known.spots;
    const final = (index + 1) * WINDOW < this.now() - GROWS;
    const spots = this.readWindow(camera, stream, index * WINDOW, (index + 1) * WINDOW);
    this.windows.set(name, { read: performance.now(), final, spots });
    spots.catch(() => this.windows.drop(name));
    return spots;
  }

  private async readWindow(camera: string, stream: StreamName, from: number, to: number): Promise<Spot[]> {
    const spots: Spot[] = [];
    let start = from;
    for (let i = 0; i < SEGMENTS_MAX; i++) {
      const { segments, more } = await this.server.segments(camera, stream, start, to);
      for (const { kid, key_id, init_bytes, rows } of segments)
        for (const row of rows) if (row.start >= from && row.start < to) spots.push({ camera, stream, segment: { kid, key_id, init_bytes }, row });
      const end = segments.at(-1)?.end_90k ?? to;
      if (!more || end <= start) break;
      start = end;
    }
    return spots.sort((a, b) => a.row.start - b.row.start).filter((spot, i, all) => spot.row.start !== all[i - 1]?.row.start);
  }

  // ---------------------------------------------------------------------------------------------- what

  /** The opened samples of a fragment. Shared: do not change them. */
  open(spot: Spot): Promise<Opened> {
    const name = `${spot.segment.kid} ${spot.row.offset}`;
    const known = this.opened.get(name);
    if (known) {
      this.opened.delete(name);
      this.opened.set(name, known);
      return known;
    }
    const made = this.fetch(spot);
    this.opened.set(name, made);
    made.then(
      ({ bytes }) => this.account(name, bytes),
      () => this.opened.delete(name),
    );
    return made;
  }

  /** Whether `open` would answer at once. */
  has(spot: Spot): boolean {
    return this.sizes.has(`${spot.segment.kid} ${spot.row.offset}`);
  }

  private account(name: string, bytes: number): void {
    if (!this.opened.has(name)) return;
    this.sizes.set(name, bytes);
    this.openedBytes += bytes;
    for (const old of this.opened.keys()) {
      if (this.openedBytes <= OPENED_BYTES_MAX || old === name) break;
      this.openedBytes -= this.sizes.get(old) ?? 0;
      this.sizes.delete(old);
      this.opened.delete(old);
    }
  }

  /** The first picture of a fragment alone: a fraction of its bytes. */
  async openKey(spot: Spot, signal?: AbortSignal): Promise<Opened> {
    if (this.has(spot)) return this.open(spot);
    const { row, segment } = spot;
    const size = row.keyBytes || row.size;
    const [init, bytes] = await Promise.all([
      this.init(spot),
      this.server.footage(spot.camera, spot.stream, segment.kid, row.offset, row.offset + size, signal),
    ]);
    return this.read(spot, init, bytes, size < row.size);
  }

  /** The same by time, in one round trip; null where nothing is recorded at `t`. */
  async openKeyAt(camera: string, stream: StreamName, t: number, dir: "before" | "near" = "before", signal?: AbortSignal): Promise<Opened | null> {
    try {
      return await this.openAt(camera, stream, await this.server.at(camera, stream, t, "key", dir, signal));
    } catch (error) {
      if (engineError(error).code === "not-found") return null;
      throw error;
    }
  }

  private async openAt(camera: string, stream: StreamName, at: At): Promise<Opened> {
    const { kid, key_id, init_bytes, row } = at.header;
    const spot: Spot = { camera, stream, segment: { kid, key_id, init_bytes }, row };
    const init = parseInit(at.init);
    this.inits.set(`${camera} ${kid}`, Promise.resolve(init));
    return this.read(spot, init, at.fragment, at.fragment.length < row.size);
  }

  private async fetch(spot: Spot): Promise<Opened> {
    const { row, segment } = spot;
    const [init, bytes] = await Promise.all([
      this.init(spot),
      this.server.footage(spot.camera, spot.stream, segment.kid, row.offset, row.offset + row.size),
    ]);
    return this.read(spot, init, bytes, false);
  }

  private init({ camera, stream, segment }: Spot): Promise<Init> {
    const name = `${camera} ${segment.kid}`;
    const known = this.inits.get(name);
    if (known) return known;
    const made = this.server.footage(camera, stream, segment.kid, 0, segment.init_bytes).then(parseInit);
    this.inits.set(name, made);
    made.catch(() => this.inits.drop(name));
    return made;
  }

  private async read(spot: Spot, init: Init, bytes: Bytes, torn: boolean): Promise<Opened> {
    const video = init.tracks.find((track) => track.kind === "video");
    if (!video) throw new Damaged("a segment without video");
    const fragment = parseFragment(bytes, init, torn);
    for (const { track } of fragment.runs)
      if (track.kid !== null && track.kid !== spot.segment.kid) throw new Damaged("a segment under another name");
    await openFragment(bytes, fragment, (kid) => this.keyring.segment(spot.camera, kid));
    const pictures = fragment.runs.find((run) => run.track === video)?.samples ?? [];
    if (!pictures.length) throw new Damaged("a fragment without pictures");
    const audio = init.tracks.find((track) => track.kind === "audio") ?? null;
    const sounds = fragment.runs.find((run) => run.track === audio)?.samples ?? [];
    // The fragment's row says when its first picture was; all else in it follows from the media clock.
    const zero = Math.min(...pictures.map((sample) => sample.dts + sample.cts)) / video.timescale;
    const wall = (track: InitTrack) => (sample: { dts: number; cts: number; key: boolean; data: Bytes }) => ({
      t90k: Math.round(spot.row.start + ((sample.dts + sample.cts) / track.timescale - zero) * SECOND),
      key: sample.key,
      data: sample.data,
    });
    return { spot, video, audio, pictures: pictures.map(wall(video)), sounds: audio ? sounds.map(wall(audio)) : [], bytes: bytes.length };
  }
}

function lastBefore(spots: Spot[], t: number): Spot | undefined {
  let low = 0;
  let high = spots.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (spots[middle]!.row.start <= t) low = middle + 1;
    else high = middle;
  }
  return spots[low - 1];
}

function firstFrom(spots: Spot[], t: number): Spot | null {
  return spots.find((spot) => spot.row.start >= t) ?? null;
}

export function isNothing(found: Spot | Nothing): found is Nothing {
  return !("row" in found);
}

/** A rejection that only says that something newer took its place. */
export function isCancelled(error: unknown): boolean {
  return error instanceof EngineError && error.code === "cancelled";
}
