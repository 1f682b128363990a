// SPDX-License-Identifier: Apache-2.0
/** Boxes of clear MP4 files (ISO/IEC 14496-12 and -15), for MSE and for exported clips. */

import { ascii, concat, type Bytes, type Coding, type Kind } from "../vault";

export function u16(...values: number[]): Bytes {
  const out = new DataView(new ArrayBuffer(2 * values.length));
  values.forEach((value, i) => out.setUint16(2 * i, value));
  return new Uint8Array(out.buffer);
}

export function u32(...values: number[]): Bytes {
  const out = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => out.setUint32(4 * i, value));
  return new Uint8Array(out.buffer);
}

/** Signed, two's complement; -1 and below too. */
export function i64(value: number): Bytes {
  const out = new DataView(new ArrayBuffer(8));
  out.setBigInt64(0, BigInt(Math.round(value)));
  return new Uint8Array(out.buffer);
}

export function box(type: string, ...parts: Uint8Array[]): Bytes {
  const body = concat(...parts);
  return concat(u32(body.length + 8), ascii(type), body);
}

export function fullBox(type: string, version: number, flags: number, ...parts: Uint8Array[]): Bytes {
  return box(type, u32(((version << 24) | flags) >>> 0), ...parts);
}

export const MATRIX = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);

function esds(config: Uint8Array): Bytes {
  const descriptor = (tag: number, body: Uint8Array): Bytes => concat(new Uint8Array([tag, 0x80, 0x80, 0x80, body.length]), body);
  const decoder = concat(new Uint8Array([0x40, 0x15, 0, 0, 0]), u32(0, 0), descriptor(5, config));
  return fullBox("esds", 0, 0, descriptor(3, concat(u16(1), new Uint8Array([0]), descriptor(4, decoder), descriptor(6, new Uint8Array([2])))));
}

/** A sample entry made from a decoder configuration alone. */
export function sampleEntry(coding: Coding): Bytes {
  const start = concat(new Uint8Array(6), u16(1));
  if (coding.codec === "h264" || coding.codec === "h265") {
    const fixed = concat(start, new Uint8Array(16), u16(coding.width, coding.height), u32(0x480000, 0x480000, 0), u16(1), new Uint8Array(32), u16(24, 0xffff));
    return coding.codec === "h264" ? box("avc1", fixed, box("avcC", coding.config)) : box("hvc1", fixed, box("hvcC", coding.config));
  }
  const fixed = concat(start, new Uint8Array(8), u16(coding.channels, 16, 0, 0), u32((coding.sampleRate << 16) >>> 0));
  if (coding.codec === "aac") return box("mp4a", fixed, esds(coding.config));
  if (coding.codec === "opus") return box("Opus", fixed, box("dOps", coding.config));
  return box("fLaC", fixed, box("dfLa", coding.config));
}

/** Fields that `tkhd`, `hdlr` and the media header need. */
export interface TrackShape {
  id: number;
  kind: Kind;
  timescale: number;
  width: number;
  height: number;
}

export function tkhd(track: TrackShape, duration: number): Bytes {
  const volume = track.kind === "audio" ? 0x100 : 0;
  return fullBox("tkhd", 1, 3, i64(0), i64(0), u32(track.id, 0), i64(duration), u32(0, 0), u16(0, 0, volume, 0), MATRIX,
    u32((track.width << 16) >>> 0, (track.height << 16) >>> 0));
}

/** `mdia` around a finished `stbl`. */
export function mdia(track: TrackShape, duration: number, stbl: Bytes): Bytes {
  const video = track.kind === "video";
  const head = video ? fullBox("vmhd", 0, 1, new Uint8Array(8)) : fullBox("smhd", 0, 0, u32(0));
  const name = ascii(video ? "video\0" : "sound\0");
  return box("mdia",
    fullBox("mdhd", 1, 0, i64(0), i64(0), u32(track.timescale), i64(duration), u16(0x55c4, 0)),
    fullBox("hdlr", 0, 0, u32(0), ascii(video ? "vide" : "soun"), new Uint8Array(12), name),
    box("minf", head, box("dinf", fullBox("dref", 0, 0, u32(1), fullBox("url ", 0, 1))), stbl),
  );
}
