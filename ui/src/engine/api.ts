// SPDX-License-Identifier: Apache-2.0
/**
 * What the pages see of the engine. One `Engine` a page; it talks to one module worker, which alone holds the
 * identity and the keys, the live socket and the decoders. Nothing here touches footage bytes.
 *
 * Times are integers of 1/90000 s since 1970 UTC (`t90k`, `*_90k`): up to 2^53, so plain numbers are exact.
 * Promises reject with `EngineError` (a code, a sentence, and where there is one, a remedy).
 */

import type { EngineError } from "./errors";

export { Engine } from "./engine";

export type StreamName = "main" | "sub";

export { EngineError, type EngineErrorCode } from "./errors";

/** The contract of Svelte's stores, so that pages can write `$value`. Calls back at once with the present value. */
export interface Readable<T> {
  subscribe(run: (value: T) => void): () => void;
}

export interface EngineOptions {
  /** Where the server is; empty is this origin. Tests name another. */
  base?: string;
  /** Use MSE even where WebCodecs is there. For tests. */
  forceMse?: boolean;
}

// ------------------------------------------------------------------------------------------------ the owner's key

export interface Owner {
  identity: string; // AGE-SECRET-KEY-PQ-1...
  recipient: string; // age1pq1...
  recoveryIdentity: string;
  recoveryRecipient: string;
}

/** All base64 is standard, padded. */
export interface PassphraseBlob {
  blob: string; // base64: 12-byte nonce and AES-256-GCM of the identity
  salt: string; // base64, 16 bytes
  iterations: number;
  auth: string; // base64, 32 bytes: what the server checks instead of the passphrase
}

/** A credential as the server wants it (WebAuthn level 3 JSON), and the PRF result that never leaves the page. */
export interface PasskeyAnswer {
  credential: Record<string, unknown>;
  prf: Uint8Array<ArrayBuffer>; // 32 bytes
}

// ------------------------------------------------------------------------------------------------ live

export type CameraState = "connecting" | "live" | "late" | "frozen" | "gone" | "paused";

/** As the server says it (`docs/design/processes.md`). */
export interface StreamState {
  state: CameraState;
  since_90k: number;
  why: string;
  codec?: string;
  width?: number;
  height?: number;
  fps?: number;
  kbps?: number;
  audio?: boolean | string;
  run?: string;
  clock_offset_ms?: number | null;
  clock_drift_ppm?: number | null;
  lost_packets?: number;
  reconnects?: number;
  last_sample_90k?: number | null;
  dropped_live?: number;
}

export type CameraStates = Record<string, Partial<Record<StreamName, StreamState>>>;

/** The page's one live socket. `signed-out`: it gave up, sign in again. */
export interface SocketState {
  state: "idle" | "connecting" | "open" | "lost" | "signed-out";
  since_90k: number;
  why: string;
  retry_at_90k: number | null; // when `lost`
}

/** What one view shows, the truth of server and of this browser together. */
export interface ViewState {
  state: CameraState;
  since_90k: number;
  why: string; // a sentence; empty when live
}

export interface LiveStats {
  fps: number; // pictures drawn a second
  kbps: number; // received
  delay_ms: number; // capture to drawn
  decoded: number;
  dropped: number; // not shown: lost on the way, or skipped because decoding lagged
  firstPictureMs: number | null; // from `live()` to the first picture
  width: number;
  height: number;
  codec: string;
  stream: StreamName; // really shown: the substream stands in where this browser cannot decode the main one
  hasAudio: boolean;
  path: "webcodecs" | "mse";
}

export interface LiveOptions {
  onState?: (state: ViewState) => void;
  /** A picture was drawn: its capture time. At most once a displayed frame. */
  onPicture?: (picture: { t90k: number; width: number; height: number }) => void;
  /** Something the person has to know, e.g. that this browser cannot decode H.265. `null`: over. */
  onProblem?: (problem: EngineError | null) => void;
}

export interface LiveView {
  readonly camera: string;
  readonly stream: StreamName;
  setStream(stream: StreamName): void; // the old picture stays until the new one is there
  muted: boolean; // true at first; setting false needs a user gesture in most browsers
  snapshot(): Promise<Blob>; // PNG of the picture shown
  stats(): LiveStats;
  close(): void;
}

// ------------------------------------------------------------------------------------------------ playback

export interface PlayerTime {
  t90k: number;
  playing: boolean;
  rate: number;
  /** The player waits for bytes or the decoder. */
  waiting: boolean;
}

/** One camera has nothing recorded at the present moment; `null` when it has again. */
export interface PlayerGap {
  camera: string;
  next_90k: number | null; // where recording goes on
  prev_90k: number | null; // the last recorded moment before
}

export interface PlayerOptions {
  stream?: StreamName; // "main"
  onTime?: (time: PlayerTime) => void;
  /** Playing jumped over time that no camera recorded. */
  onJump?: (jump: { from_90k: number; to_90k: number }) => void;
  onGap?: (camera: string, gap: PlayerGap | null) => void;
  onProblem?: (camera: string, problem: EngineError | null) => void;
  /** A picture was drawn: its own time (not the clock's). */
  onPicture?: (camera: string, picture: { t90k: number; width: number; height: number }) => void;
  /** Playing came to the newest recorded moment and stopped there. */
  onEnd?: () => void;
}

export interface PlayerStats {
  seekMs: number | null; // last seek: call to first picture
  exactMs: number | null; // last seek: call to the exact frame
  decoded: number;
  skipped: number;
}

export interface Player {
  readonly time: Readable<PlayerTime>;
  /** Resolves when every camera shows its picture of that moment (or is known to have none). A later seek cancels it. */
  seek(t90k: number): Promise<void>;
  play(rate?: number): void; // 0.25..64
  pause(): void;
  step(direction: 1 | -1): Promise<void>; // one frame of the first camera; the others follow in time
  onTime(callback: (time: PlayerTime) => void): () => void;
  muted: boolean; // true at first; sound only at rate 1
  soundCamera: string | null; // whose sound; null: the first camera that has any
  snapshot(camera: string): Promise<Blob>;
  setCameras(canvases: Map<string, HTMLCanvasElement>): void; // keeps time and rate
  stats(camera: string): PlayerStats;
  close(): void;
}

// ------------------------------------------------------------------------------------------------ export

export interface ExportProgress {
  phase: "listing" | "reading" | "writing";
  done: number; // 0..1
  bytes: number;
}

export interface ClipGap {
  start_90k: number;
  end_90k: number;
  cause: string; // of the ledger; "damaged" where a sealed file did not match its hash or could not be opened
  detail: string;
}

export interface ClipReport {
  camera: string;
  from_90k: number;
  to_90k: number;
  recorded_90k: number;
  gaps: ClipGap[];
  /** Sealed files whose SHA-256 is not the one in the catalogue; what could be opened of them is in the clip. */
  altered: { path: string; start_90k: number; end_90k: number }[];
  /** Files checked against the catalogue's SHA-256 and found equal. */
  verified: number;
  /** Files still growing, so without a hash to check. */
  unverified: number;
}

export interface ClipFile {
  blob: Blob; // video/mp4
  name: string;
}

export interface Clip extends ClipFile {
  report: ClipReport;
  /** Further files, where the camera changed its codec inside the range. Usually empty. */
  more: ClipFile[];
}

export interface ExportOptions {
  stream?: StreamName;
  cameraName?: string; // for the file's name and its comment
}
