// SPDX-License-Identifier: Apache-2.0
/** The page's handle of several cameras on one clock. */

import type { Player, PlayerOptions, PlayerStats, PlayerTime, StreamName } from "./api";
import { fromWire, type Link } from "./link";
import { Speaker } from "./sound";
import { Store } from "./store";

export class PlayerHandle implements Player {
  readonly time = new Store<PlayerTime>({ t90k: 0, playing: false, rate: 1, waiting: false });
  private readonly ends: (() => void)[] = [];
  private readonly numbers = new Map<string, PlayerStats>();
  private readonly callbacks = new Set<(time: PlayerTime) => void>();
  private speaker: Speaker | null = null;
  private loud: string | null = null;
  private closed = false;

  constructor(
    private readonly link: Link,
    private readonly handle: number,
    canvases: Map<string, HTMLCanvasElement>,
    private readonly canvasId: (canvas: HTMLCanvasElement) => number,
    options: PlayerOptions,
  ) {
    const on = link.on.bind(link);
    if (options.onTime) this.callbacks.add(options.onTime);
    this.ends.push(
      on("player.time", handle, (time) => {
        this.time.set(time);
        for (const callback of this.callbacks) callback(time);
      }),
      on("player.jump", handle, (jump) => options.onJump?.(jump)),
      on("player.gap", handle, ({ camera, gap }) => options.onGap?.(camera, gap)),
      on("player.problem", handle, ({ camera, problem }) => options.onProblem?.(camera, problem && fromWire(problem))),
      on("player.picture", handle, ({ camera, ...picture }) => options.onPicture?.(camera, picture)),
      on("player.end", handle, () => options.onEnd?.()),
      on("player.stats", handle, ({ camera, stats }) => void this.numbers.set(camera, stats)),
      on("player.sound", handle, (sound) => (this.speaker ? this.speaker.play(sound) : sound.data.close())),
      on("player.hush", handle, () => this.speaker?.hush()),
    );
    const stream: StreamName = options.stream ?? "main";
    link.tell("playerOpen", handle, this.numbered(canvases), stream);
  }

  private numbered(canvases: Map<string, HTMLCanvasElement>): [string, number][] {
    return [...canvases].map(([camera, canvas]) => [camera, this.canvasId(canvas)]);
  }

  seek(t90k: number): Promise<void> {
    return this.link.call("playerSeek", this.handle, Math.round(t90k));
  }

  play(rate = 1): void {
    this.link.tell("playerPlay", this.handle, Math.min(64, Math.max(0.25, rate)));
  }

  pause(): void {
    this.link.tell("playerPause", this.handle);
  }

  step(direction: 1 | -1): Promise<void> {
    return this.link.call("playerStep", this.handle, direction);
  }

  onTime(callback: (time: PlayerTime) => void): () => void {
    this.callbacks.add(callback);
    return () => void this.callbacks.delete(callback);
  }

  get muted(): boolean {
    return this.speaker === null;
  }

  set muted(muted: boolean) {
    if (this.closed || muted === this.muted) return;
    if (muted) {
      this.speaker?.close();
      this.speaker = null;
    } else {
      this.speaker = new Speaker();
      this.speaker.open();
    }
    this.link.tell("playerSound", this.handle, !muted, this.loud);
  }

  get soundCamera(): string | null {
    return this.loud;
  }

  set soundCamera(camera: string | null) {
    this.loud = camera;
    if (!this.closed) this.link.tell("playerSound", this.handle, !this.muted, camera);
  }

  snapshot(camera: string): Promise<Blob> {
    return this.link.call("playerSnapshot", this.handle, camera);
  }

  setCameras(canvases: Map<string, HTMLCanvasElement>): void {
    if (!this.closed) this.link.tell("playerCameras", this.handle, this.numbered(canvases));
  }

  stats(camera: string): PlayerStats {
    return this.numbers.get(camera) ?? { seekMs: null, exactMs: null, decoded: 0, skipped: 0 };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const end of this.ends) end();
    this.speaker?.close();
    this.link.tell("playerClose", this.handle);
  }
}
