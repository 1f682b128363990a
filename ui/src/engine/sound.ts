// SPDX-License-Identifier: Apache-2.0
/** Plays decoded sound in the page, each piece at its moment; pieces that follow on are joined without a click. */

import type { Sound } from "./rpc";

const JOIN_MS = 60; // a piece due this near to the end of the last one is put right behind it
const AHEAD_MS = 10_000; // more is a clock gone wrong

export class Speaker {
  private context: AudioContext | null = null;
  private end = 0; // context time at which what was given so far ends
  private readonly playing = new Set<AudioBufferSourceNode>();

  /** Needs a user gesture the first time, where the browser wants one. */
  open(): void {
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    void this.context.resume().catch(() => undefined);
  }

  /** Takes `sound.data` and closes it. Pieces whose moment is past are left out. */
  play(sound: Sound): void {
    const { data } = sound;
    const context = this.context;
    if (!context || context.state !== "running") {
      data.close();
      return;
    }
    const now = context.currentTime;
    const wait = sound.at_ms - (performance.timeOrigin + performance.now());
    const duration = data.numberOfFrames / data.sampleRate;
    let start = now + wait / 1000;
    if (Math.abs(start - this.end) * 1000 < JOIN_MS) start = this.end;
    if (wait > AHEAD_MS || start < now - 0.005) {
      data.close();
      return;
    }
    const buffer = context.createBuffer(data.numberOfChannels, data.numberOfFrames, data.sampleRate);
    for (let channel = 0; channel < data.numberOfChannels; channel++)
      data.copyTo(buffer.getChannelData(channel), { planeIndex: channel, format: "f32-planar" });
    data.close();
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.destination);
    source.start(Math.max(start, now));
    source.onended = () => this.playing.delete(source);
    this.playing.add(source);
    this.end = start + duration;
  }

  /** Forget what waits to be played. */
  hush(): void {
    for (const source of this.playing) source.stop();
    this.playing.clear();
    this.end = 0;
  }

  close(): void {
    this.hush();
    void this.context?.close();
    this.context = null;
  }
}
