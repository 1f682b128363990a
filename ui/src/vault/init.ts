// SPDX-License-Identifier: Apache-2.0
/** The beginning of a sealed segment: `ftyp`, `moov` and our header (`docs/design/footage.md`). */

import { Damaged, View, ascii, concat, hex, type Bytes } from "./bytes";
import { boxes, child, needChild, type Box } from "./boxes";
import { audioOfConfig, codecString, specificInfo } from "./codecs";

export type Kind = "video" | "audio";
export type Codec = "h264" | "h265" | "aac" | "opus" | "flac";

export interface InitTrack {
  id: number;
  kind: Kind;
  codec: Codec;
  codecString: string; // RFC 6381, made from the configuration itself
  timescale: number;
  width: number;
  height: number;
  channels: number;
  sampleRate: number;
  config: Bytes; // body of avcC, hvcC, dOps, dfLa; AudioSpecificConfig for aac
  entry: Bytes; // the sample entry box as it was before sealing: for clear files
  kid: string | null; // hex; null where the track is not sealed
  defaults: { duration: number; size: number; flags: number };
}

export interface SegmentHeader {
  v: number;
  camera: string;
  stream: string;
  run: string;
  start_90k: number;
}

export interface Init {
  tracks: InitTrack[];
  header: SegmentHeader | null;
}

const OUR_UUID = "636c6f73656463697263756974000001";
const ENTRY_BODY = { video: 78, audio: 28 } as const; // bytes of a sample entry between its header and its boxes
const CODEC_OF: Record<string, Codec> = {
  avc1: "h264", avc3: "h264", hvc1: "h265", hev1: "h265", mp4a: "aac", Opus: "opus", fLaC: "flac",
};
const CONFIG_BOX: Record<Codec, string> = { h264: "avcC", h265: "hvcC", aac: "esds", opus: "dOps", flac: "dfLa" };
const MAX_TRACKS = 8;

/** Read `ftyp`+`moov`+header. Throws `Damaged`. */
export function parseInit(bytes: Bytes): Init {
  const view = new View(bytes);
  const init: Init = { tracks: [], header: null };
  for (const box of boxes(view, 0, view.length)) {
    if (box.type === "moov") init.tracks = parseMoov(view, box);
    else if (box.type === "uuid") init.header = parseHeader(view, box) ?? init.header;
  }
  if (!init.tracks.length) throw new Damaged("no track");
  return init;
}

function parseHeader(view: View, box: Box): SegmentHeader | null {
  if (box.end - box.body < 16 || hex(view.slice(box.body, 16)) !== OUR_UUID) return null;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(view.slice(box.body + 16, box.end - box.body - 16)));
  } catch {
    throw new Damaged("the header of the segment is not JSON");
  }
  const header = value as SegmentHeader;
  if (typeof header !== "object" || header === null || header.v !== 1 || !Number.isSafeInteger(header.start_90k))
    throw new Damaged("a segment of a version that this program does not know");
  return header;
}

function parseMoov(view: View, moov: Box): InitTrack[] {
  const tracks: InitTrack[] = [];
  const defaults = new Map<number, InitTrack["defaults"]>();
  for (const box of boxes(view, moov.body, moov.end)) {
    if (box.type === "trak") {
      if (tracks.length >= MAX_TRACKS) throw new Damaged("too many tracks");
      tracks.push(parseTrak(view, box));
    } else if (box.type === "mvex") {
      for (const trex of boxes(view, box.body, box.end))
        if (trex.type === "trex")
          defaults.set(view.u32(trex.body + 4), {
            duration: view.u32(trex.body + 12),
            size: view.u32(trex.body + 16),
            flags: view.u32(trex.body + 20),
          });
    }
  }
  for (const track of tracks) track.defaults = defaults.get(track.id) ?? track.defaults;
  if (new Set(tracks.map((track) => track.id)).size !== tracks.length) throw new Damaged("two tracks of one id");
  return tracks;
}

function parseTrak(view: View, trak: Box): InitTrack {
  const tkhd = needChild(view, trak, "tkhd");
  const id = view.u32(tkhd.body + (view.u8(tkhd.body) === 1 ? 20 : 12));
  const mdia = needChild(view, trak, "mdia");
  const mdhd = needChild(view, mdia, "mdhd");
  const timescale = view.u32(mdhd.body + (view.u8(mdhd.body) === 1 ? 20 : 12));
  if (!timescale) throw new Damaged("a timescale of zero");
  const handler = view.fourcc(needChild(view, mdia, "hdlr").body + 8);
  if (handler !== "vide" && handler !== "soun") throw new Damaged(`a track of ${JSON.stringify(handler)}`);
  const kind: Kind = handler === "vide" ? "video" : "audio";
  const stsd = needChild(view, needChild(view, needChild(view, mdia, "minf"), "stbl"), "stsd");
  const [entry] = boxes(view, stsd.body + 8, stsd.end);
  if (!entry) throw new Damaged("no sample entry");
  return { id, kind, timescale, ...parseEntry(view, entry, kind), defaults: { duration: 0, size: 0, flags: 0 } };
}

type Entry = Omit<InitTrack, "id" | "kind" | "timescale" | "defaults">;

function parseEntry(view: View, entry: Box, kind: Kind): Entry {
  const first = entry.body + ENTRY_BODY[kind];
  if (first > entry.end) throw new Damaged("a short sample entry");
  let format = entry.type;
  let kid: string | null = null;
  const kept: Uint8Array[] = [];
  for (const box of boxes(view, first, entry.end)) {
    if (box.type === "sinf") {
      format = view.fourcc(needChild(view, box, "frma").body);
      kid = parseScheme(view, box);
    } else kept.push(view.bytes.subarray(box.start, box.end));
  }
  const codec = CODEC_OF[format];
  if (!codec) throw new Damaged(`a sample entry ${JSON.stringify(format)}`);
  if ((entry.type === "encv" || entry.type === "enca") !== (kid !== null)) throw new Damaged("half a protection");
  const wanted = CONFIG_BOX[codec];
  const box = child(view, { body: first, end: entry.end }, wanted);
  if (!box) throw new Damaged(`no ${wanted}`);
  const body = view.slice(box.body, box.end - box.body);
  const config = codec === "aac" ? specificInfo(body) : body;
  const fixed = view.bytes.subarray(entry.body, first);
  const clear = concat(new Uint8Array(4), ascii(format), fixed, ...kept);
  new DataView(clear.buffer).setUint32(0, clear.byteLength);
  const common = { codec, codecString: codecString(codec, config), config, entry: clear, kid };
  if (kind === "video")
    return { ...common, width: view.u16(entry.body + 24), height: view.u16(entry.body + 26), channels: 0, sampleRate: 0 };
  return { ...common, width: 0, height: 0, ...audioOfConfig(codec, config, view.u16(entry.body + 16), view.u16(entry.body + 24)) };
}

/** `schm` and `tenc` (ISO/IEC 23001-7, 8.2): only what we write is read. Returns the kid. */
function parseScheme(view: View, sinf: Box): string {
  const schm = needChild(view, sinf, "schm");
  if (view.fourcc(schm.body + 4) !== "cenc") throw new Damaged(`sealed by ${JSON.stringify(view.fourcc(schm.body + 4))}`);
  const tenc = needChild(view, needChild(view, sinf, "schi"), "tenc");
  if (view.u8(tenc.body + 6) !== 1 || view.u8(tenc.body + 7) !== 16) throw new Damaged("a sealing other than 16-byte IVs");
  return hex(view.slice(tenc.body + 8, 16));
}
