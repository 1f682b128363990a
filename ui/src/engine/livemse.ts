// SPDX-License-Identifier: Apache-2.0
/** A live stream as clear fragmented MP4, one fragment a sample, for `MediaSource` in the page. */

import { ascii, concat, type Bytes } from "../vault";
import { MATRIX, box, fullBox, i64, mdia, sampleEntry, tkhd, u16, u32, type TrackShape } from "./boxwrite";
import type { LiveSample, LiveTrack, Outlet } from "./feed";
import type { MseChunk } from "./rpc";

const FIRST_S = 1; // media time of the first sample, so that sound before it has a time too

interface Line {
  shape: TrackShape;
  last: number; // decoding time of the last sample, in the track's timescale
  step: number; // its assumed duration
}

export class LiveMse implements Outlet {
  readonly sinks = new Set<(chunk: MseChunk) => void>();
  skipped = 0;
  private sequence = 1;
  private zero90k: number | null = null;
  private start: { mime: string; bytes: Bytes } | null = null;
  private video_: Line | null = null;
  private audio_: Line | null = null;
  private needKey = true;

  begin(video: LiveTrack, audio: LiveTrack | null): void {
    this.video_ = line(1, video);
    this.audio_ = audio ? line(2, audio) : null;
    const mime = `video/mp4; codecs="${[video, audio].filter((track) => track !== null).map((track) => track.codecString).join(", ")}"`;
    this.start = { mime, bytes: beginning([video, audio].filter((track) => track !== null)) };
    this.zero90k = null;
    this.needKey = true;
  }

  video(sample: LiveSample): void {
    if (this.needKey && !sample.key) {
      this.skipped++;
      return;
    }
    this.needKey = false;
    if (this.zero90k === null && this.start) {
      this.zero90k = sample.pts90k - FIRST_S * 90000;
      this.send({ ...this.start, zero90k: this.zero90k });
    }
    this.write(this.video_, sample);
  }

  audio(sample: LiveSample): void {
    if (this.zero90k !== null) this.write(this.audio_, sample);
  }

  missing(): void {
    this.needKey = true;
  }

  stop(): void {
    this.start = null;
    this.video_ = this.audio_ = null;
  }

  private write(to: Line | null, sample: LiveSample): void {
    if (!to || this.zero90k === null) return;
    const pts = Math.round(((sample.pts90k - this.zero90k) * to.shape.timescale) / 90000);
    if (pts < 0) return;
    const grown = pts - to.last;
    if (to.last >= 0 && grown > 0 && grown < 4 * to.shape.timescale) to.step = grown;
    const dts = Math.max(to.last + 1, pts);
    to.last = dts;
    this.send({ bytes: fragment(this.sequence++, to, sample, dts, pts - dts) });
  }

  private send(chunk: MseChunk): void {
    for (const sink of this.sinks) sink(chunk);
  }
}

function line(id: number, track: LiveTrack): Line {
  const { kind, timescale, width, height } = track;
  return { shape: { id, kind, timescale, width, height }, last: -1, step: kind === "video" ? timescale / 25 : 1024 };
}

function beginning(tracks: LiveTrack[]): Bytes {
  const empty = (type: string, extra = 0): Bytes => fullBox(type, 0, 0, u32(...new Array<number>(1 + extra).fill(0)));
  const traks = tracks.map((track, i) => {
    const { shape } = line(i + 1, track);
    const stbl = box("stbl", fullBox("stsd", 0, 0, u32(1), sampleEntry(track)), empty("stts"), empty("stsc"), empty("stsz", 1), empty("stco"));
    return box("trak", tkhd(shape, 0), mdia(shape, 0, stbl));
  });
  const trex = tracks.map((_, i) => fullBox("trex", 0, 0, u32(i + 1, 1, 0, 0, 0)));
  const mvhd = fullBox("mvhd", 1, 0, i64(0), i64(0), u32(90000), i64(0), u32(0x10000), u16(0x100, 0), u32(0, 0), MATRIX, new Uint8Array(24), u32(3));
  return concat(box("ftyp", ascii("iso6"), u32(0), ascii("iso6mp41")), box("moov", mvhd, ...traks, box("mvex", ...trex)));
}

function fragment(sequence: number, to: Line, sample: LiveSample, dts: number, cts: number): Bytes {
  const flags = sample.key || to.shape.kind === "audio" ? 0x02000000 : 0x01010000;
  const build = (offset: number): Bytes =>
    box("moof", fullBox("mfhd", 0, 0, u32(sequence)), box("traf",
      fullBox("tfhd", 0, 0x20000, u32(to.shape.id)),
      fullBox("tfdt", 1, 0, i64(dts)),
      fullBox("trun", 1, 0xf01, u32(1, offset, Math.max(1, Math.round(to.step)), sample.data.length, flags, cts >>> 0)),
    ));
  return concat(build(build(0).length + 8), u32(sample.data.length + 8), ascii("mdat"), sample.data);
}
