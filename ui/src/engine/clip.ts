// SPDX-License-Identifier: Apache-2.0
/**
 * A clip: sealed segments read whole, checked against the catalogue's SHA-256, opened, and written as an ordinary MP4,
 * nothing coded anew. What is missing is left out of the file's time and named in the report and in its comment.
 */

import { Damaged, hex, openFragment, parseFragment, parseInit, type Bytes, type Init, type InitTrack, type Sample } from "../vault";
import type { Clip, ClipFile, ClipGap, ClipReport, ExportOptions, ExportProgress, StreamName } from "./api";
import { EngineError } from "./errors";
import { isCancelled } from "./archive";
import { engineError } from "./failures";
import type { Keyring } from "./keyring";
import { Mp4, type ClipSample } from "./progressive";
import type { Row, Segment, Server } from "./server";

const SECOND = 90_000;
const TOUCH = SECOND / 2; // less than this between two fragments is no gap
const LOOK_BACK = 120 * SECOND; // segments that begin this long before may reach into the range
const PAGES_MAX = 10_000;

export interface ClipRequest {
  camera: string;
  from: number;
  to: number;
  options: ExportOptions;
  progress: (progress: ExportProgress) => void;
  signal: AbortSignal;
}

interface Span {
  kind: string;
  cause: string | null;
  detail: string;
  start: number;
  end: number;
}

/** One file in the making. */
interface Volume {
  mp4: Mp4;
  video: string; // codecs; a track holds one
  audio: string | null;
  from: number; // wall
  to: number;
  zero: number; // wall time of movie zero, moved on by what is left out
  hidden: number; // movie time at which the clip begins to show
  end: number; // movie time of the end of what was added
}

export class Exporter {
  constructor(
    private readonly server: Server,
    private readonly keyring: Keyring,
  ) {}

  async run(request: ClipRequest): Promise<Clip> {
    const { camera, from, to, options, progress } = request;
    if (!(to > from)) throw new EngineError("failed", "The clip ends before it begins.");
    progress({ phase: "listing", done: 0, bytes: 0 });
    const stream = options.stream ?? "main";
    const segments = await this.list(request, stream);
    const report: ClipReport = { camera, from_90k: from, to_90k: to, recorded_90k: 0, gaps: [], altered: [], verified: 0, unverified: 0 };
    const volumes: Volume[] = [];
    const job = new Job(request, stream, report, volumes, this.server, this.keyring);
    const total = segments.reduce((sum, segment) => sum + segment.size_bytes, 0) || 1;
    let read = 0;
    for (const segment of segments) {
      await job.segment(segment);
      read += segment.size_bytes;
      progress({ phase: "reading", done: read / total, bytes: volumes.reduce((sum, volume) => sum + volume.mp4.bytes, 0) });
    }
    if (!volumes.length) throw this.nothing(report);
    report.recorded_90k = job.recorded;
    report.gaps = await this.causes(camera, job.missing(), request.signal);
    progress({ phase: "writing", done: 1, bytes: 0 });
    const [first, ...more] = volumes.map((volume) => finish(volume, options.cameraName ?? camera, report));
    return { ...first!, more, report };
  }

  private nothing(report: ClipReport): EngineError {
    if (report.gaps.length) return new EngineError("damaged", `Nothing of this range could be opened: ${report.gaps[0]!.detail}`);
    return new EngineError("not-found", "Nothing is recorded in this range.");
  }

  private async list({ camera, from, to, signal }: ClipRequest, stream: StreamName): Promise<Segment[]> {
    const found: Segment[] = [];
    let start = from - LOOK_BACK;
    for (let i = 0; i < PAGES_MAX; i++) {
      const { segments, more } = await this.server.segments(camera, stream, start, to, signal);
      for (const segment of segments) if (!found.some((one) => one.kid === segment.kid)) found.push(segment);
      const end = segments.at(-1)?.end_90k ?? to;
      if (!more || end <= start) break;
      start = end;
    }
    return found.filter((segment) => segment.end_90k > from && segment.start_90k < to).sort((a, b) => a.start_90k - b.start_90k);
  }

  /** The ledger's word for each stretch that is missing. */
  private async causes(camera: string, missing: ClipGap[], signal: AbortSignal): Promise<ClipGap[]> {
    const out: ClipGap[] = [];
    for (const gap of missing) {
      if (gap.cause) {
        out.push(gap);
        continue;
      }
      const spans = await this.ledger(camera, gap, signal);
      const named = spans.filter((span) => span.kind !== "recorded" && span.end > gap.start_90k && span.start < gap.end_90k);
      for (const span of named)
        out.push({
          start_90k: Math.max(span.start, gap.start_90k),
          end_90k: Math.min(span.end, gap.end_90k),
          cause: span.cause ?? "unknown",
          detail: span.detail,
        });
      if (!named.length) out.push({ ...gap, cause: "unknown" });
    }
    return out;
  }

  private async ledger(camera: string, gap: ClipGap, signal: AbortSignal): Promise<Span[]> {
    const query = new URLSearchParams({ camera, from: String(gap.start_90k), to: String(gap.end_90k) });
    try {
      const answer = await this.server.json<{ spans: [number, number, string, string | null, string][] }>(`/api/ledger?${query}`, signal);
      return answer.spans.map(([start, end, kind, cause, detail]) => ({ start, end, kind, cause, detail }));
    } catch (error) {
      if (isCancelled(error)) throw error;
      return []; // the clip does not fail for want of a reason
    }
  }
}

/** What goes on while segments are read, one after the other. */
class Job {
  recorded = 0;
  private readonly have: [number, number][] = [];
  private readonly broken: ClipGap[] = [];

  constructor(
    private readonly request: ClipRequest,
    private readonly stream: StreamName,
    private readonly report: ClipReport,
    private readonly volumes: Volume[],
    private readonly server: Server,
    private readonly keyring: Keyring,
  ) {}

  async segment(segment: Segment): Promise<void> {
    const { camera, from, to, signal } = this.request;
    const rows = wanted(segment.rows, from, to);
    if (!rows.length) return;
    try {
      if (signal.aborted) throw new EngineError("cancelled", "The clip was cancelled.");
      const bytes = await this.server.footage(camera, this.stream, segment.kid, 0, segment.sha256 ? null : end(segment), signal);
      await this.check(segment, bytes);
      const init = parseInit(bytes.slice(0, segment.init_bytes));
      for (const row of rows) await this.attempt(row, () => this.fragment(segment, init, row, bytes.subarray(row.offset, row.offset + row.size)));
    } catch (error) {
      this.damage(error, segment.start_90k, segment.end_90k);
    }
  }

  /** One damaged fragment does not cost the others. */
  private async attempt(row: Row, what: () => Promise<void>): Promise<void> {
    try {
      await what();
    } catch (error) {
      this.damage(error, row.start, row.start + row.duration);
    }
  }

  private damage(error: unknown, start: number, stop: number): void {
    const { code, message } = engineError(error);
    if (code === "cancelled" || code === "unreachable" || code === "signed-out" || code === "locked") throw error;
    const { from, to } = this.request;
    this.broken.push({ start_90k: Math.max(from, start), end_90k: Math.min(to, stop), cause: "damaged", detail: message });
    this.report.gaps = this.broken;
  }

  private async check(segment: Segment, bytes: Bytes): Promise<void> {
    if (!segment.sha256) {
      this.report.unverified++;
      return;
    }
    const digest = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    if (digest === segment.sha256) this.report.verified++;
    else this.report.altered.push({ path: segment.path, start_90k: segment.start_90k, end_90k: segment.end_90k });
  }

  private async fragment(segment: Segment, init: Init, row: Row, sealed: Bytes): Promise<void> {
    const bytes = sealed.slice(); // of its own, so that the Blob keeps no whole file
    const parsed = parseFragment(bytes, init);
    for (const { track } of parsed.runs) if (track.kid !== null && track.kid !== segment.kid) throw new Damaged("a segment under another name");
    await openFragment(bytes, parsed, (kid) => this.keyring.segment(this.request.camera, kid));
    const pictures = parsed.runs.find((run) => run.track.kind === "video");
    if (!pictures?.samples.length) throw new Damaged("a fragment without pictures");
    const { timescale } = pictures.track;
    const zero = Math.min(...pictures.samples.map((sample) => sample.dts + sample.cts)) / timescale;
    this.place(row, pictures.track, parsed.runs.find((run) => run.track.kind === "audio")?.track ?? null);
    const volume = this.volumes.at(-1)!;
    for (const run of parsed.runs) volume.mp4.add(run.track, this.cut(run.track, run.samples, row, zero, volume));
    const stop = Math.min(row.start + row.duration, this.request.to);
    if (stop <= this.request.from) return; // there to decode what follows, not to be seen
    volume.end = Math.max(volume.end, stop - volume.zero);
    volume.to = stop;
    const start = Math.max(row.start, this.request.from);
    this.recorded += stop - start;
    const last = this.have.at(-1);
    if (last && start - last[1] < TOUCH) {
      this.recorded += start - last[1]; // a rounding of clocks, either way, is no gap
      last[1] = stop;
    } else this.have.push([start, stop]);
  }

  /** Where this fragment goes: on in the file, after a stretch left out, or into a new file where the codec is another. */
  private place(row: Row, video: InitTrack, audio: InitTrack | null): void {
    const volume = this.volumes.at(-1);
    const start = Math.max(row.start, this.request.from);
    if (!volume || volume.video !== video.codec || (audio && volume.audio && volume.audio !== audio.codec)) {
      const hidden = Math.max(0, start - row.start);
      const [from, to, zero] = [start, start, row.start];
      this.volumes.push({ mp4: new Mp4(), video: video.codec, audio: audio?.codec ?? null, from, to, zero, hidden, end: hidden });
      return;
    }
    volume.audio ??= audio?.codec ?? null;
    const gap = row.start - volume.to;
    if (gap >= TOUCH) volume.zero += gap;
  }

  private cut(track: InitTrack, samples: Sample[], row: Row, zero: number, volume: Volume): ClipSample[] {
    const { timescale } = track;
    const base = ((row.start - volume.zero) * timescale) / SECOND - zero * timescale;
    const last = ((this.request.to - volume.zero) * timescale) / SECOND;
    const first = ((this.request.from - volume.zero) * timescale) / SECOND;
    const out = samples.map((sample) => ({
      dts: base + sample.dts,
      pts: base + sample.dts + sample.cts,
      duration: sample.duration,
      key: sample.key,
      data: sample.data,
    }));
    if (track.kind === "audio") return out.filter((sample) => sample.pts < last && sample.pts + sample.duration > first && sample.pts >= 0);
    const stop = out.findLastIndex((sample) => sample.pts < last);
    return out.slice(0, stop + 1); // pictures that later ones need stay
  }

  /** Stretches of the range without footage, in order. */
  missing(): ClipGap[] {
    const { from, to } = this.request;
    const out: ClipGap[] = [];
    let at = from;
    const hole = (start_90k: number, end_90k: number): void => {
      if (end_90k - start_90k < TOUCH) return;
      const known = this.broken.find((one) => one.start_90k < end_90k && one.end_90k > start_90k);
      out.push({ start_90k, end_90k, cause: known?.cause ?? "", detail: known?.detail ?? "" });
    };
    for (const [start, stop] of this.have) {
      hole(at, start);
      at = Math.max(at, stop);
    }
    hole(at, to);
    return out;
  }
}

/** The bytes of a growing file that the catalogue knows of; more may have been written since. */
function end(segment: Segment): number {
  const last = segment.rows.at(-1);
  return last ? last.offset + last.size : segment.init_bytes;
}

/** Rows of a range, and those before it back to the key frame that its first picture needs. */
function wanted(rows: Row[], from: number, to: number): Row[] {
  let first = rows.findIndex((row) => row.start + row.duration > from && row.start < to);
  if (first < 0) return [];
  while (first > 0 && !rows[first]!.key) first--;
  return rows.slice(first).filter((row) => row.start < to);
}

function finish(volume: Volume, camera: string, report: ClipReport): ClipFile {
  const iso = (t90k: number): string => new Date(t90k / 90).toISOString();
  const seconds = (ticks: number): string => (ticks / SECOND).toFixed(1);
  const gaps = report.gaps.map((gap) => `${iso(gap.start_90k)} to ${iso(gap.end_90k)} (${seconds(gap.end_90k - gap.start_90k)} s, ${gap.cause})`);
  const comment = [
    `Camera ${camera}, ${iso(volume.from)} to ${iso(volume.to)} (UTC).`,
    `Recorded ${seconds(report.recorded_90k)} s of ${seconds(report.to_90k - report.from_90k)} s asked for.`,
    gaps.length ? `Not in this file: ${gaps.join("; ")}.` : "Nothing is missing.",
    `Sealed files checked against the catalogue: ${report.verified} equal, ${report.altered.length} different, ${report.unverified} still open.`,
    "Made by Closed Circuit; nothing was coded anew.",
  ].join("\n");
  const stamp = iso(volume.from).slice(0, 19).replace(/[-:]/g, "") + "Z";
  const safe = camera.normalize("NFKD").replace(/[^A-Za-z0-9]+/g, "-").replace(/^-+|-+$/g, "") || "camera";
  const length = Math.max(1, Math.round((volume.to - volume.from) / SECOND));
  const blob = volume.mp4.finish(volume.hidden, volume.end, { title: `${camera} ${iso(volume.from)}`, comment, created90k: volume.from });
  return { blob, name: `${safe}_${stamp}_${length}s.mp4` };
}
