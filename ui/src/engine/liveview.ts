// SPDX-License-Identifier: Apache-2.0
/** The page's handle of one live picture. */

import type { LiveOptions, LiveStats, LiveView, StreamName } from "./api";
import { fromWire, type Link } from "./link";
import { MseScreen } from "./msescreen";
import { Speaker } from "./sound";

export class LiveHandle implements LiveView {
  private shown: StreamName;
  private quiet = true;
  private closed = false;
  private readonly ends: (() => void)[] = [];
  private speaker: Speaker | null = null;
  private latest: LiveStats;

  constructor(
    private readonly link: Link,
    private readonly handle: number,
    readonly camera: string,
    stream: StreamName,
    private readonly mse: MseScreen | null,
    options: LiveOptions,
  ) {
    this.shown = stream;
    this.latest = {
      fps: 0, kbps: 0, delay_ms: 0, decoded: 0, dropped: 0, firstPictureMs: null, width: 0, height: 0, codec: "", stream,
      hasAudio: false, path: mse ? "mse" : "webcodecs",
    };
    const on = link.on.bind(link);
    this.ends.push(
      on("view.state", handle, (state) => options.onState?.(state)),
      on("view.problem", handle, (problem) => options.onProblem?.(problem && fromWire(problem))),
      on("view.stats", handle, (stats) => (this.latest = mse ? { ...stats, ...mse.stats() } : stats)),
      on("view.sound", handle, (sound) => (this.speaker ? this.speaker.play(sound) : sound.data.close())),
    );
    if (mse) {
      this.ends.push(on("view.mse", handle, (chunk) => mse.append(chunk)));
      mse.onPicture = (picture) => options.onPicture?.(picture);
      mse.onProblem = (problem) => options.onProblem?.(problem);
    } else this.ends.push(on("view.picture", handle, (picture) => options.onPicture?.(picture)));
  }

  get stream(): StreamName {
    return this.shown;
  }

  setStream(stream: StreamName): void {
    if (this.closed || stream === this.shown) return;
    this.shown = stream;
    this.link.tell("liveStream", this.handle, stream);
  }

  get muted(): boolean {
    return this.quiet;
  }

  set muted(muted: boolean) {
    if (this.closed || muted === this.quiet) return;
    this.quiet = muted;
    if (this.mse) this.mse.setMuted(muted);
    else if (muted) {
      this.speaker?.close();
      this.speaker = null;
    } else {
      this.speaker = new Speaker();
      this.speaker.open();
    }
    this.link.tell("liveMuted", this.handle, muted);
  }

  snapshot(): Promise<Blob> {
    return this.mse ? this.mse.snapshot() : this.link.call("liveSnapshot", this.handle);
  }

  stats(): LiveStats {
    return this.latest;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const end of this.ends) end();
    this.speaker?.close();
    this.mse?.close();
    this.link.tell("liveClose", this.handle);
  }
}
