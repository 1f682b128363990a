// SPDX-License-Identifier: Apache-2.0
/** What decoders want to be told, from the decoder configuration alone (RFC 6381 names, WebCodecs descriptions). */

import { Damaged, View, ascii, concat, hex, type Bytes } from "./bytes";
import type { Codec } from "./init";

const AAC_RATES = [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

/** RFC 6381 (and ISO/IEC 14496-15, annex E, for H.265). */
export function codecString(codec: Codec, config: Bytes): string {
  const view = new View(config);
  switch (codec) {
    case "h264":
      return `avc1.${hex(view.slice(1, 3))}`;
    case "h265":
      return hevcString(view);
    case "aac":
      return `mp4a.40.${view.u8(0) >> 3 === 31 ? 32 + (((view.u8(0) & 7) << 3) | (view.u8(1) >> 5)) : view.u8(0) >> 3}`;
    default:
      return codec;
  }
}

function hevcString(view: View): string {
  const first = view.u8(1);
  const space = ["", "A", "B", "C"][first >> 6] ?? "";
  let flags = view.u32(2);
  let reversed = 0;
  for (let bit = 0; bit < 32; bit++, flags >>>= 1) reversed = ((reversed << 1) | (flags & 1)) >>> 0;
  const constraints = [...view.slice(6, 6)];
  while (constraints.at(-1) === 0) constraints.pop();
  const tail = constraints.map((byte) => `.${byte.toString(16).toUpperCase()}`).join("");
  return `hvc1.${space}${first & 31}.${reversed.toString(16).toUpperCase()}.${first & 32 ? "H" : "L"}${view.u8(12)}${tail}`;
}

/** AudioSpecificConfig out of the body of an `esds` (ISO/IEC 14496-1, 7.2.6). */
export function specificInfo(esds: Bytes): Bytes {
  const view = new View(esds);
  let at = 4;
  const descriptor = (tag: number): number => {
    if (view.u8(at) !== tag) throw new Damaged(`descriptor ${view.u8(at)} where ${tag} should be`);
    let size = 0;
    for (let i = 0; i < 4; i++) {
      const byte = view.u8(++at);
      size = (size << 7) | (byte & 127);
      if (!(byte & 128)) break;
    }
    at++;
    return size;
  };
  descriptor(3);
  const flags = view.u8(at + 2);
  at += 3 + (flags & 128 ? 2 : 0);
  if (flags & 64) at += 1 + view.u8(at);
  if (flags & 32) at += 2;
  descriptor(4);
  at += 13;
  const size = descriptor(5);
  return view.slice(at, size);
}

/** Channels and sampling rate; the sample entry's where the configuration has none. */
export function audioOfConfig(codec: Codec, config: Bytes, channels: number, rate: number): { channels: number; sampleRate: number } {
  const view = new View(config);
  if (codec === "opus") return { channels: view.u8(1), sampleRate: 48000 };
  if (codec === "aac") {
    const bits = (view.u8(0) << 16) | (view.u8(1) << 8) | (config.length > 2 ? view.u8(2) : 0);
    const index = (bits >> 15) & 15;
    return { channels: (bits >> 11) & 15 || channels, sampleRate: AAC_RATES[index] ?? rate };
  }
  if (codec === "flac") {
    const info = new View(flacDescription(config));
    const packed = info.u32(18); // 20 bits of rate, 3 of channels - 1
    return { channels: ((packed >> 9) & 7) + 1, sampleRate: packed >>> 12 };
  }
  return { channels, sampleRate: rate };
}

/** WebCodecs' description of FLAC: the magic word and the metadata blocks, without the box's version and flags. */
export function flacDescription(config: Bytes): Bytes {
  const full = config.length > 4 && config[0] === 0 && config[3] === 0;
  const out = concat(ascii("fLaC"), full ? config.subarray(4) : config);
  if (out.length < 42) throw new Damaged("a short FLAC configuration");
  return out;
}

export interface Coding {
  codec: Codec;
  codecString: string;
  config: Bytes;
  width: number;
  height: number;
  channels: number;
  sampleRate: number;
}

export function videoConfig(coding: Coding): VideoDecoderConfig {
  return {
    codec: coding.codecString,
    description: coding.config,
    optimizeForLatency: true,
    ...(coding.width && coding.height ? { codedWidth: coding.width, codedHeight: coding.height } : {}),
  };
}

export function audioConfig(coding: Coding): AudioDecoderConfig {
  const { codecString: codec, sampleRate, channels: numberOfChannels } = coding;
  if (coding.codec === "aac") return { codec, sampleRate, numberOfChannels, description: coding.config };
  if (coding.codec === "flac") return { codec, sampleRate, numberOfChannels, description: flacDescription(coding.config) };
  return { codec, sampleRate, numberOfChannels };
}
