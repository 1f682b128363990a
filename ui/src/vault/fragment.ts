// SPDX-License-Identifier: Apache-2.0
/** A fragment (`prft`, `moof`, `mdat`): its samples, and opening them. ISO/IEC 14496-12, 8.8; ISO/IEC 23001-7, 7. */

import { Damaged, View, type Bytes } from "./bytes";
import { boxes, needChild, type Box } from "./boxes";
import type { Init, InitTrack } from "./init";

/** One access unit or audio frame; `data` is opened in place by `openFragment`. */
export interface Sample {
  track: InitTrack;
  dts: number; // in the track's timescale, from the start of the segment
  cts: number; // presentation minus decoding time, signed
  duration: number;
  key: boolean;
  data: Bytes;
}

interface Sealed {
  iv: Bytes;
  ranges: [start: number, size: number][]; // protected bytes, in the fragment's buffer
  size: number; // their sum
}

interface TrackRun {
  track: InitTrack;
  samples: Sample[];
  sealed: Sealed[];
}

export interface Fragment {
  runs: TrackRun[];
}

/** Finds the AES-CTR key of a kid (hex). */
export type KeyOf = (kid: string) => Promise<CryptoKey>;

const MAX_SAMPLES = 100_000; // in one fragment: hours of audio; ours have some hundred
const NOT_SYNC = 0x10000; // sample_is_non_sync_sample

/**
 * Read the boxes of one fragment. With `torn` the bytes may end early (`key_bytes` of a catalogue row): samples that
 * are not whole are left out. Throws `Damaged`.
 */
export function parseFragment(bytes: Bytes, init: Init, torn = false): Fragment {
  const view = new View(bytes);
  let moof: Box | undefined;
  for (const box of boxes(view, 0, view.length, torn)) {
    if (box.type !== "moof") continue;
    if (moof) throw new Damaged("two moof in one fragment");
    moof = box;
  }
  if (!moof) throw new Damaged("no moof");
  const fragment: Fragment = { runs: [] };
  for (const box of boxes(view, moof.body, moof.end)) if (box.type === "traf") fragment.runs.push(parseTraf(view, moof, box, init, torn));
  if (!fragment.runs.length) throw new Damaged("no traf");
  return fragment;
}

interface Defaults {
  duration: number;
  size: number;
  flags: number;
}

function parseTfhd(view: View, tfhd: Box, init: Init): { track: InitTrack; defaults: Defaults } {
  const flags = view.u32(tfhd.body) & 0xffffff;
  const id = view.u32(tfhd.body + 4);
  const track = init.tracks.find((one) => one.id === id);
  if (!track) throw new Damaged(`a fragment of track ${id}, which the file does not have`);
  if (flags & 1) throw new Damaged("a base data offset");
  let at = tfhd.body + 8;
  const defaults = { ...track.defaults };
  if (flags & 2) at += 4;
  if (flags & 8) ((defaults.duration = view.u32(at)), (at += 4));
  if (flags & 0x10) ((defaults.size = view.u32(at)), (at += 4));
  if (flags & 0x20) defaults.flags = view.u32(at);
  return { track, defaults };
}

function parseTraf(view: View, moof: Box, traf: Box, init: Init, torn: boolean): TrackRun {
  const { track, defaults } = parseTfhd(view, needChild(view, traf, "tfhd"), init);
  const tfdt = needChild(view, traf, "tfdt");
  let dts = view.u8(tfdt.body) === 1 ? view.u64(tfdt.body + 4) : view.u32(tfdt.body + 4);
  const run: TrackRun = { track, samples: [], sealed: [] };
  const places: [start: number, size: number][] = [];
  for (const box of boxes(view, traf.body, traf.end)) {
    if (box.type !== "trun") continue;
    dts = parseTrun(view, box, { moof, defaults, torn, dts, run, places });
  }
  const senc = track.kid === null ? undefined : needChild(view, traf, "senc");
  if (senc) run.sealed = parseSenc(view, senc, places);
  return run;
}

interface TrunPlace {
  moof: Box;
  defaults: Defaults;
  torn: boolean;
  dts: number;
  run: TrackRun;
  places: [number, number][];
}

/** Adds the samples of one `trun`; returns the decoding time after it. */
function parseTrun(view: View, trun: Box, to: TrunPlace): number {
  const version = view.u8(trun.body);
  const flags = view.u32(trun.body) & 0xffffff;
  const count = view.u32(trun.body + 4);
  if (count + to.run.samples.length > MAX_SAMPLES) throw new Damaged(`${count} samples in a fragment`);
  if (!(flags & 1)) throw new Damaged("a trun without data offset");
  let place = to.moof.start + view.i32(trun.body + 8);
  if (place < to.moof.end) throw new Damaged("samples inside the moof");
  let at = trun.body + 12;
  let firstFlags = -1;
  if (flags & 4) ((firstFlags = view.u32(at)), (at += 4));
  let dts = to.dts;
  let whole = true;
  for (let i = 0; i < count; i++) {
    let { duration, size, flags: sampleFlags } = to.defaults;
    let cts = 0;
    if (flags & 0x100) ((duration = view.u32(at)), (at += 4));
    if (flags & 0x200) ((size = view.u32(at)), (at += 4));
    if (flags & 0x400) ((sampleFlags = view.u32(at)), (at += 4));
    else if (i === 0 && firstFlags >= 0) sampleFlags = firstFlags;
    if (flags & 0x800) ((cts = version === 0 ? view.u32(at) : view.i32(at)), (at += 4));
    if (at > trun.end) throw new Damaged("a short trun");
    whole = whole && place + size <= view.length;
    if (!whole && !to.torn) throw new Damaged("samples past the end of the fragment");
    if (whole) {
      const key = to.run.track.kind === "audio" || !(sampleFlags & NOT_SYNC);
      to.run.samples.push({ track: to.run.track, dts, cts, duration, key, data: view.bytes.subarray(place, place + size) });
      to.places.push([place, size]);
    }
    place += size;
    dts += duration;
  }
  if (!Number.isSafeInteger(dts)) throw new Damaged("a time over 2^53");
  return dts;
}

/** `senc` with 16-byte IVs. Covers as many samples as are whole; more may be listed. */
function parseSenc(view: View, senc: Box, places: [number, number][]): Sealed[] {
  const parted = (view.u32(senc.body) & 2) !== 0;
  const count = view.u32(senc.body + 4);
  if (count < places.length) throw new Damaged("fewer IVs than samples");
  const out: Sealed[] = [];
  let at = senc.body + 8;
  for (const [place, size] of places) {
    const iv = view.slice(at, 16);
    at += 16;
    const sealed: Sealed = { iv, ranges: [], size: 0 };
    if (parted) {
      let left = view.u16(at);
      let from = place;
      for (at += 2; left > 0; left--, at += 6) {
        from += view.u16(at);
        const length = view.u32(at + 2);
        if (length) sealed.ranges.push([from, length]);
        sealed.size += length;
        from += length;
      }
      if (from > place + size) throw new Damaged("subsamples past the end of their sample");
    } else if (size) {
      sealed.ranges.push([place, size]);
      sealed.size = size;
    }
    if (at > senc.end) throw new Damaged("a short senc");
    out.push(sealed);
  }
  return out;
}

/**
 * Open the samples in place: one call of the cipher a track where its keystream is one run (ours is), else one a
 * sample. A wrong key gives noise, not an error: CTR has no check; the catalogue's SHA-256 is the check of files.
 */
export async function openFragment(bytes: Bytes, fragment: Fragment, keyOf: KeyOf): Promise<void> {
  for (const run of fragment.runs) {
    if (run.track.kid === null || !run.sealed.length) continue;
    const key = await keyOf(run.track.kid);
    for (const group of keystreams(run.sealed)) await openRun(bytes, key, group);
  }
}

const MASK64 = (1n << 64n) - 1n;

/** Groups of samples whose counters follow on: each group is one run of keystream. */
function keystreams(sealed: Sealed[]): Sealed[][] {
  const groups: Sealed[][] = [];
  let expected = -1n;
  let prefix = 0n;
  for (const one of sealed) {
    const iv = new View(one.iv);
    const counter = iv.big(8);
    const last = groups.at(-1);
    if (last && counter === expected && iv.big(0) === prefix) last.push(one);
    else groups.push([one]);
    prefix = iv.big(0);
    expected = (counter + BigInt(Math.ceil(one.size / 16))) & MASK64;
  }
  return groups;
}

async function openRun(bytes: Bytes, key: CryptoKey, group: Sealed[]): Promise<void> {
  let size = 0;
  for (const one of group) size += Math.ceil(one.size / 16) * 16;
  const [first] = group;
  if (!size || !first) return;
  const buffer = new Uint8Array(size);
  let at = 0;
  for (const one of group) {
    const start = at;
    for (const [from, length] of one.ranges) {
      buffer.set(bytes.subarray(from, from + length), at);
      at += length;
    }
    at = start + Math.ceil(one.size / 16) * 16;
  }
  const clear = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CTR", counter: first.iv, length: 64 }, key, buffer));
  at = 0;
  for (const one of group) {
    const start = at;
    for (const [from, length] of one.ranges) {
      bytes.set(clear.subarray(at, at + length), from);
      at += length;
    }
    at = start + Math.ceil(one.size / 16) * 16;
  }
}

/** Split a whole segment file: the length of its beginning, and where each fragment lies. Throws `Damaged`. */
export function splitSegment(bytes: Bytes): { init: number; fragments: [start: number, end: number][] } {
  const view = new View(bytes);
  let init = -1;
  let start = -1;
  const fragments: [number, number][] = [];
  for (const box of boxes(view, 0, view.length)) {
    if (box.type === "prft" || (box.type === "moof" && start < 0)) start = box.start;
    if (init < 0 && start >= 0) init = start;
    if (box.type === "mdat") {
      if (start < 0) throw new Damaged("an mdat without moof");
      fragments.push([start, box.end]);
      start = -1;
    }
  }
  return { init: init < 0 ? view.length : init, fragments };
}
