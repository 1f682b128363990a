// SPDX-License-Identifier: Apache-2.0
/** What the server says, as docs/design/http.md has it. Times `*_90k` are 1/90000 s since 1970 UTC. */

export type Ticks = number;
export type StreamName = "main" | "sub";
export type StateName = "connecting" | "live" | "late" | "frozen" | "gone" | "paused";
export type SpanKind = "recorded" | "off" | "lost";
export type Mode = "continuous" | "schedule" | "event" | "paused";

export interface Session {
  owner: boolean;
  signed_in: boolean;
  name: string;
  pretend: boolean;
  version: string;
}

export interface StreamState {
  state: StateName;
  since_90k: Ticks;
  why: string;
  codec: string;
  width: number;
  height: number;
  fps: number;
  kbps: number;
  audio: string | boolean | null;
  run: string;
  clock_offset_ms: number | null;
  clock_drift_ppm: number | null;
  lost_packets: number;
  reconnects: number;
  last_sample_90k: Ticks | null;
  dropped_live: number;
}

export type CameraStates = Partial<Record<StreamName, StreamState>>;

export interface Weekly {
  days: string[];
  from: string;
  to: string;
}

export interface Recording {
  mode: Mode;
  schedule: Weekly[];
  pre_roll_s: number;
  post_roll_s: number;
  keep_days: number | null;
  keep_gb: number | null;
  record_sub: boolean;
}

export interface Camera {
  id: string;
  name: string;
  address: string;
  sub_address: string | null;
  username: string;
  has_password: boolean;
  pin_sha256: string;
  audio: boolean;
  pretend: boolean;
  recording: Recording;
  disk: string;
  added_90k: Ticks;
  streams: CameraStates;
}

export interface CameraRequest {
  name: string;
  address: string;
  sub_address?: string;
  username?: string;
  password?: string;
  pin_sha256?: string;
  audio?: boolean;
  recording?: Partial<Recording>;
}

export interface TestTrack {
  kind: "video" | "audio";
  codec: string;
  codec_string?: string;
  width?: number;
  height?: number;
  channels?: number;
  timescale?: number;
}

export interface TestResult {
  ok: boolean;
  tracks: TestTrack[];
  first_picture_ms: number | null;
  fps: number | null;
  kbps: number | null;
  error: { code: string; message: string; remedy: string } | null;
}

/** [start, end, kind, cause, detail]: what became of a stretch of one camera's time. */
export type Span = [Ticks, Ticks, SpanKind, string | null, string];
/** [start, end, id, reason] */
export type HoldSpan = [Ticks, Ticks, string, string];

export interface TimelineAnswer {
  now_90k: Ticks;
  cameras: Record<string, { oldest_90k: Ticks | null; spans: Span[]; holds: HoldSpan[] }>;
}

export interface Ledger {
  recorded_90k: number;
  off_90k: number;
  lost_90k: number;
  total_90k: number;
  by_cause: Record<string, number>;
  spans: Span[];
}

export interface Hold {
  id: string;
  camera: string;
  start_90k: Ticks;
  end_90k: Ticks;
  reason: string;
  made_90k?: Ticks;
}

export interface Disk {
  id: string;
  path: string;
  state: "ok" | "missing" | "wrong" | "full";
  total_bytes: number;
  free_bytes: number;
  footage_bytes: number;
}

export interface Storage {
  disks: Disk[];
  cameras: {
    id: string;
    bytes: number;
    oldest_90k: Ticks | null;
    bytes_per_day: number;
    keep_days: number | null;
    keep_gb: number | null;
  }[];
  forecast_days: number | null;
  keep_days: number;
  reserve_bytes: number;
  holds: Hold[];
}

export interface ProcessStatus {
  role: string;
  pid: number;
  version?: string;
  started_90k?: Ticks;
  at_90k?: Ticks;
  cpu_s?: number;
  rss_bytes?: number;
  alive: boolean;
  restarts: number;
  writer?: { queue_bytes: number; dropped_fragments: number; written_bytes: number; synced_90k: Ticks };
  index?: { behind_rows: number; waiting_since_90k: Ticks | null };
}

export interface System {
  version: string;
  processes: ProcessStatus[];
  data: string;
  listening: string[];
  pretend: boolean;
}

/** One browser that is signed in. */
export interface SessionRow {
  id: string;
  made_90k: Ticks;
  seen_90k: Ticks;
  expires_90k: Ticks;
  agent: string;
  this: boolean;
}

export interface Identity {
  recipient: string;
  recovery_recipient: string;
  blob: string;
  kind: "passphrase" | "passkey";
  salt?: string;
  iterations?: number;
}
