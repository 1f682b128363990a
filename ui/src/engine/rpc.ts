// SPDX-License-Identifier: Apache-2.0
/**
 * Page and worker: calls with an answer, and events of handles. In order both ways; nothing is retried. A call that
 * was cancelled (`cancel`) still answers, with the error `cancelled`.
 */

import type { CameraStates, Clip, ExportOptions, ExportProgress, LiveStats, Owner, PassphraseBlob, PlayerGap, PlayerStats, PlayerTime, SocketState, StreamName, ViewState } from "./api";
import type { EngineErrorCode } from "./errors";

export interface WireError {
  code: EngineErrorCode;
  message: string;
  remedy: string;
  facts: Record<string, unknown>;
}

/** What the worker can be asked. `canvas` and `view`, `player` are numbers that the page gives. */
export interface Calls {
  setup(options: { base: string }): void;
  makeOwner(): Owner;
  recipientOf(identity: string): string;
  passphraseAuth(passphrase: string, salt: string, iterations: number): string;
  sealBlobWithPassphrase(identity: string, passphrase: string): PassphraseBlob;
  openBlobWithPassphrase(blob: string, passphrase: string, salt: string, iterations: number): { identity: string; auth: string };
  unlockWithPassphrase(blob: string, passphrase: string, salt: string, iterations: number): void;
  sealBlobWithPrf(identity: string, prf: Uint8Array<ArrayBuffer>): string;
  openBlobWithPrf(blob: string, prf: Uint8Array<ArrayBuffer>): string;
  unlockWithPrf(blob: string, prf: Uint8Array<ArrayBuffer>): void;
  unlock(identity: string): void;
  remembered(): boolean;
  lock(): void;
  connect(): void;
  retryNow(): void;
  addCanvas(canvas: number, surface: OffscreenCanvas): void;
  sizeCanvas(canvas: number, width: number, height: number): void;
  dropCanvas(canvas: number): void;
  liveOpen(view: number, to: { canvas: number | null; camera: string; stream: StreamName; pictures: boolean }): void;
  liveStream(view: number, stream: StreamName): void;
  liveMuted(view: number, muted: boolean): void;
  liveSnapshot(view: number): Blob;
  liveClose(view: number): void;
  playerOpen(player: number, cameras: [string, number][], stream: StreamName): void;
  playerCameras(player: number, cameras: [string, number][]): void;
  playerSeek(player: number, t90k: number): void;
  playerPlay(player: number, rate: number): void;
  playerPause(player: number): void;
  playerStep(player: number, direction: number): void;
  playerSound(player: number, on: boolean, camera: string | null): void;
  playerSnapshot(player: number, camera: string): Blob;
  playerClose(player: number): void;
  preview(camera: string, t90k: number): ImageBitmap | null;
  exportClip(job: number, camera: string, from90k: number, to90k: number, options: ExportOptions): Clip;
  cancel(job: number): void;
}

/** A sound to be played: PCM of one decoded frame. `at_ms` on the clock of `performance.timeOrigin + performance.now()`. */
export interface Sound {
  data: AudioData;
  at_ms: number;
}

/** Clear fragments for a `MediaSource`. */
export interface MseChunk {
  mime?: string; // a new beginning: make a new source buffer of this type
  bytes: Uint8Array<ArrayBuffer>;
  zero90k?: number; // wall time of media time zero, with `mime`
}

/** What the worker tells without being asked. */
export interface Events {
  states: CameraStates;
  socket: SocketState;
  edge: { camera: string; stream: StreamName; end_90k: number };
  "view.state": ViewState;
  "view.picture": { t90k: number; width: number; height: number };
  "view.problem": WireError | null;
  "view.stats": LiveStats;
  "view.mse": MseChunk;
  "view.sound": Sound;
  "player.time": PlayerTime;
  "player.jump": { from_90k: number; to_90k: number };
  "player.gap": { camera: string; gap: PlayerGap | null };
  "player.problem": { camera: string; problem: WireError | null };
  "player.picture": { camera: string; t90k: number; width: number; height: number };
  "player.end": null;
  "player.stats": { camera: string; stats: PlayerStats };
  "player.sound": Sound;
  "player.hush": null; // forget sounds that wait to be played
  "job.progress": ExportProgress;
}

export type CallName = keyof Calls;
export type EventName = keyof Events;

export interface Request<K extends CallName = CallName> {
  id: number;
  call: K;
  args: Parameters<Calls[K]>;
}

export type Answer = { id: number; value: unknown } | { id: number; error: WireError };

export interface News<K extends EventName = EventName> {
  event: K;
  handle: number;
  value: Events[K];
}
