// SPDX-License-Identifier: Apache-2.0
/**
 * An ordinary MP4 (ISO/IEC 14496-12) out of coded samples, beginning first: `ftyp`, `moov`, `mdat`. The samples go into
 * Blobs as they come, so that memory holds tables only: 20 bytes a sample.
 */

import { ascii, concat, type Bytes, type InitTrack, type Kind } from "../vault";
import { MATRIX, box, fullBox, i64, mdia, tkhd, u16, u32, type TrackShape } from "./boxwrite";

const MOVIE = 90_000; // movie timescale
const EPOCH_1904 = 2_082_844_800; // seconds from 1904 to 1970
const CO64_FROM = 0xf000_0000;
const BATCH = 4 << 20; // bytes a Blob part

interface Chunk {
  offset: number; // in mdat
  samples: number;
  description: number; // from 1
}

/** A growing list of 32-bit numbers. */
class Numbers {
  length = 0;
  private values = new Int32Array(1024);

  push(value: number): void {
    if (this.length === this.values.length) {
      const grown = new Int32Array(2 * this.length);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = value;
  }

  at(i: number): number {
    return this.values[i]!;
  }

  set(i: number, value: number): void {
    this.values[i] = value;
  }
}

class Line {
  readonly entries: Uint8Array[] = [];
  readonly names: string[] = [];
  readonly sizes = new Numbers();
  readonly deltas = new Numbers(); // decoding time to the next sample; the last one's is its duration
  readonly offsets = new Numbers(); // presentation minus decoding time
  readonly chunks: Chunk[] = [];
  readonly keys = new Numbers(); // sample numbers from 1
  first = 0; // decoding time of the first sample, in this track's timescale, movie time
  last = 0;
  firstPts = Infinity;

  constructor(readonly shape: TrackShape) {}

  get duration(): number {
    return this.sizes.length ? this.last - this.first + this.deltas.at(this.sizes.length - 1) : 0;
  }

  description(track: InitTrack): number {
    const name = track.entry.join();
    let at = this.names.indexOf(name);
    if (at < 0) {
      this.names.push(name);
      this.entries.push(track.entry);
      at = this.names.length - 1;
    }
    return at + 1;
  }
}

/** One sample; times in the track's timescale, from the movie's zero, which the clip's start is near to. */
export interface ClipSample {
  dts: number;
  pts: number;
  duration: number;
  key: boolean;
  data: Bytes;
}

export interface ClipText {
  title: string;
  comment: string;
  created90k: number;
}

export class Mp4 {
  private readonly lines = new Map<Kind, Line>();
  private readonly parts: Blob[] = [];
  private batch: Uint8Array<ArrayBuffer>[] = [];
  private batched = 0;
  private size = 0; // of mdat's body

  get bytes(): number {
    return this.size;
  }

  /** Whether `kind` has samples. */
  has(kind: Kind): boolean {
    return this.lines.has(kind);
  }

  /** Add samples of one track that follow on what was added; out of order ones are put behind. */
  add(track: InitTrack, samples: ClipSample[]): void {
    if (!samples.length) return;
    const { kind, timescale, width, height } = track;
    let line = this.lines.get(kind);
    if (!line) this.lines.set(kind, (line = new Line({ id: this.lines.size + 1, kind, timescale, width, height })));
    const scale = line.shape.timescale / timescale; // another segment may count audio otherwise
    line.chunks.push({ offset: this.size, samples: samples.length, description: line.description(track) });
    for (const sample of samples) {
      let dts = Math.round(sample.dts * scale);
      const pts = Math.round(sample.pts * scale);
      if (!line.sizes.length) line.first = dts;
      else {
        dts = Math.max(dts, line.last + 1);
        line.deltas.set(line.sizes.length - 1, dts - line.last);
      }
      line.last = dts;
      line.sizes.push(sample.data.length);
      line.deltas.push(Math.max(1, Math.round(sample.duration * scale)));
      line.offsets.push(pts - dts);
      line.firstPts = Math.min(line.firstPts, pts);
      if (sample.key) line.keys.push(line.sizes.length);
      this.put(sample.data);
    }
  }

  private put(data: Bytes): void {
    this.batch.push(data);
    this.batched += data.length;
    this.size += data.length;
    if (this.batched >= BATCH) this.flush();
  }

  private flush(): void {
    if (this.batch.length) this.parts.push(new Blob(this.batch));
    this.batch = [];
    this.batched = 0;
  }

  /** The file. It shows [start, end) of the movie's time, 90k: what is before is there to decode, and hidden. */
  finish(start: number, end: number, text: ClipText): Blob {
    this.flush();
    const large = this.size >= CO64_FROM;
    const ftyp = box("ftyp", ascii("isom"), u32(0x200), ascii("isomiso6mp41"));
    const head = large ? concat(u32(1), ascii("mdat"), i64(this.size + 16)) : concat(u32(this.size + 8), ascii("mdat"));
    const length = this.moov(0, start, end, large, text).length;
    const moov = this.moov(ftyp.length + length + head.length, start, end, large, text);
    return new Blob([ftyp, moov, head, ...this.parts], { type: "video/mp4" });
  }

  private moov(base: number, start: number, end: number, large: boolean, text: ClipText): Bytes {
    const created = Math.floor(text.created90k / 90_000) + EPOCH_1904;
    const lines = [...this.lines.values()];
    const mvhd = fullBox("mvhd", 1, 0, i64(created), i64(created), u32(MOVIE), i64(end - start), u32(0x10000), u16(0x100, 0), u32(0, 0),
      MATRIX, new Uint8Array(24), u32(lines.length + 1));
    return box("moov", mvhd, ...lines.map((line) => trak(line, base, start, end, large)), udta(text));
  }
}

function trak(line: Line, base: number, start: number, end: number, large: boolean): Bytes {
  const { shape } = line;
  // The media's own time begins at its first sample; edits say which part of it the movie shows, and when.
  const mediaOf = (movie: number): number => Math.round((movie * shape.timescale) / MOVIE) - line.first;
  const firstShown = Math.max(0, Math.round((line.firstPts * MOVIE) / shape.timescale));
  const edits: Uint8Array[] = [];
  let from = start;
  if (firstShown > start) {
    const empty = Math.min(firstShown, end) - start;
    edits.push(concat(i64(empty), i64(-1), u16(1, 0)));
    from = start + empty;
  }
  const shown = Math.min(end, Math.round(((line.first + line.duration) * MOVIE) / shape.timescale)) - from;
  edits.push(concat(i64(Math.max(0, shown)), i64(mediaOf(from)), u16(1, 0)));
  const edts = box("edts", fullBox("elst", 1, 0, u32(edits.length), ...edits));
  return box("trak", tkhd(shape, end - start), edts, mdia(shape, line.duration, stbl(line, base, large)));
}

function stbl(line: Line, base: number, large: boolean): Bytes {
  const { sizes, deltas, offsets, keys, chunks } = line;
  const count = sizes.length;
  const parts = [
    fullBox("stsd", 0, 0, u32(line.entries.length), ...line.entries),
    fullBox("stts", 0, 0, runs(count, (i) => deltas.at(i))),
    fullBox("stsc", 0, 0, stsc(chunks)),
    fullBox("stsz", 0, 0, u32(0, count), table(count, (i) => sizes.at(i))),
    large ? fullBox("co64", 0, 0, u32(chunks.length), ...chunks.map(({ offset }) => i64(base + offset)))
      : fullBox("stco", 0, 0, u32(chunks.length), table(chunks.length, (i) => base + chunks[i]!.offset)),
  ];
  let reordered = false;
  for (let i = 0; i < count && !reordered; i++) reordered = offsets.at(i) !== 0;
  if (reordered) parts.push(fullBox("ctts", 1, 0, runs(count, (i) => offsets.at(i))));
  if (line.shape.kind === "video") parts.push(fullBox("stss", 0, 0, u32(keys.length), table(keys.length, (i) => keys.at(i))));
  return box("stbl", ...parts);
}

function table(count: number, value: (i: number) => number): Bytes {
  const out = new DataView(new ArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) out.setUint32(4 * i, value(i));
  return new Uint8Array(out.buffer);
}

/** Run lengths: a count, then (how many, value) pairs. */
function runs(count: number, value: (i: number) => number): Bytes {
  const pairs: number[] = [];
  for (let i = 0; i < count; i++) {
    if (pairs.length && pairs.at(-1) === value(i)) pairs[pairs.length - 2]!++;
    else pairs.push(1, value(i));
  }
  return concat(u32(pairs.length / 2), table(pairs.length, (i) => pairs[i]!));
}

function stsc(chunks: Chunk[]): Bytes {
  const rows: number[] = [];
  for (const [i, { samples, description }] of chunks.entries())
    if (!rows.length || rows.at(-2) !== samples || rows.at(-1) !== description) rows.push(i + 1, samples, description);
  return concat(u32(rows.length / 3), table(rows.length, (i) => rows[i]!));
}

/** Title and comment where players look for them (`udta/meta/ilst`, as iTunes does). */
function udta({ title, comment }: ClipText): Bytes {
  const item = (name: string, value: string): Bytes => {
    const data = box("data", u32(1, 0), new TextEncoder().encode(value));
    return concat(u32(data.length + 8), new Uint8Array([0xa9]), ascii(name), data);
  };
  const hdlr = fullBox("hdlr", 0, 0, u32(0), ascii("mdir"), ascii("appl"), new Uint8Array(9));
  return box("udta", fullBox("meta", 0, 0, hdlr, box("ilst", item("nam", title), item("cmt", comment))));
}
