// SPDX-License-Identifier: Apache-2.0
/** Where WebCodecs is missing: clear fragments from the worker into a `MediaSource`, its pictures drawn to the canvas. */

import type { LiveStats } from "./api";
import { EngineError } from "./errors";
import type { MseChunk } from "./rpc";

const BEHIND_S = 1.0; // further behind the newest: jump
const KEEP_S = 10; // of what was played
const QUEUE_MAX = 32 << 20; // bytes that wait for the source buffer; more: begin anew at the next `mime`

export class MseScreen {
  onPicture: ((picture: { t90k: number; width: number; height: number }) => void) | null = null;
  onProblem: ((problem: EngineError | null) => void) | null = null;
  private readonly video: HTMLVideoElement;
  private readonly context: CanvasRenderingContext2D;
  private media: MediaSource | null = null;
  private buffer: SourceBuffer | null = null;
  private queue: Uint8Array<ArrayBuffer>[] = [];
  private queued = 0;
  private zero90k = 0;
  private stream = 0; // counts beginnings, so that late events of an old one are known
  private readonly opened = performance.now();
  private first: number | null = null;
  private delay = 0;
  private pictures = 0;
  private since = performance.now();
  private closed = false;

  constructor(private readonly canvas: HTMLCanvasElement) {
    const context = canvas.getContext("2d");
    if (!context) throw new EngineError("unsupported", "This browser gives no canvas to draw to.");
    this.context = context;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.addEventListener("error", () => this.fail(this.video.error?.message ?? "the video element stopped"));
    this.watch();
  }

  append(chunk: MseChunk): void {
    if (this.closed) return;
    if (chunk.mime) this.begin(chunk.mime, chunk.zero90k ?? 0);
    if (this.queued > QUEUE_MAX) return;
    this.queue.push(chunk.bytes);
    this.queued += chunk.bytes.byteLength;
    this.pump();
  }

  setMuted(muted: boolean): void {
    this.video.muted = muted;
  }

  stats(): Pick<LiveStats, "firstPictureMs" | "delay_ms" | "fps" | "path"> {
    const now = performance.now();
    const fps = (1000 * this.pictures) / Math.max(1, now - this.since);
    this.pictures = 0;
    this.since = now;
    return { firstPictureMs: this.first, delay_ms: this.delay, fps: Math.round(fps * 10) / 10, path: "mse" };
  }

  snapshot(): Promise<Blob> {
    return new Promise((resolve, reject) =>
      this.canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new EngineError("failed", "The canvas gave no picture."))), "image/png"),
    );
  }

  close(): void {
    this.closed = true;
    this.reset();
    this.video.removeAttribute("src");
    this.video.load();
  }

  private reset(): void {
    this.stream++;
    this.queue = [];
    this.queued = 0;
    this.buffer = null;
    this.media = null;
    if (this.video.src) URL.revokeObjectURL(this.video.src);
  }

  private begin(mime: string, zero90k: number): void {
    this.reset();
    if (typeof MediaSource === "undefined" || !MediaSource.isTypeSupported(mime)) {
      this.onProblem?.(new EngineError("unsupported", `This browser cannot show ${mime}.`, "Use a current Chrome, Edge, Firefox or Safari."));
      return;
    }
    const mine = this.stream;
    const media = new MediaSource();
    this.media = media;
    this.zero90k = zero90k;
    this.video.src = URL.createObjectURL(media);
    media.addEventListener("sourceopen", () => {
      if (mine !== this.stream) return;
      this.buffer = media.addSourceBuffer(mime);
      this.buffer.addEventListener("updateend", () => mine === this.stream && this.updated());
      this.pump();
    });
    void this.video.play().catch(() => undefined); // refused only while nothing is there yet; `updated` tries again
  }

  private pump(): void {
    if (!this.buffer || this.buffer.updating || !this.queue.length || this.media?.readyState !== "open") return;
    const size = this.queue.reduce((sum, one) => sum + one.byteLength, 0);
    const all = new Uint8Array(size);
    let at = 0;
    for (const one of this.queue) {
      all.set(one, at);
      at += one.byteLength;
    }
    this.queue = [];
    this.queued = 0;
    try {
      this.buffer.appendBuffer(all);
    } catch (error) {
      this.fail(error instanceof Error ? error.message : String(error));
    }
  }

  /** Stay near the newest moment: jump when far behind, hurry a little when behind; forget what was played. */
  private updated(): void {
    const { video, buffer } = this;
    const { buffered } = video;
    if (buffered.length && buffer) {
      const end = buffered.end(buffered.length - 1);
      const behind = end - video.currentTime;
      if (behind > BEHIND_S || video.currentTime < buffered.start(buffered.length - 1)) video.currentTime = Math.max(0, end - 0.06);
      else video.playbackRate = behind > 0.25 ? 1.15 : behind > 0.12 ? 1.05 : 1;
      if (video.paused) void video.play().catch(() => undefined);
      if (end - buffered.start(0) > 3 * KEEP_S && !buffer.updating) {
        buffer.remove(0, end - KEEP_S);
        return;
      }
    }
    this.pump();
  }

  private watch(): void {
    const draw = (): void => {
      if (this.closed) return;
      this.video.requestVideoFrameCallback(draw);
      const { videoWidth: width, videoHeight: height } = this.video;
      if (!width || !height) return;
      if (this.canvas.width !== width) this.canvas.width = width;
      if (this.canvas.height !== height) this.canvas.height = height;
      this.context.drawImage(this.video, 0, 0);
      this.first ??= performance.now() - this.opened;
      this.pictures++;
      const t90k = Math.round(this.zero90k + this.video.currentTime * 90000);
      this.delay = performance.timeOrigin + performance.now() - t90k / 90;
      this.onPicture?.({ t90k, width, height });
    };
    this.video.requestVideoFrameCallback(draw);
  }

  private fail(why: string): void {
    if (!this.closed) this.onProblem?.(new EngineError("failed", `The picture cannot be shown: ${why}.`));
  }
}
