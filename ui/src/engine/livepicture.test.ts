// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** What is decoded and what is drawn of a live stream, with a decoder that the test works by hand. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Feed, LiveTrack } from "./feed";
import { LivePicture } from "./livepicture";

const TICKS = 90; // a millisecond
let now: number;
let decoders: FakeDecoder[];
let frames: (() => void)[];
let supported: boolean;

class FakeFrame {
  open = true;
  constructor(readonly timestamp: number) {}
  readonly displayWidth = 640;
  readonly displayHeight = 360;
  clone(): FakeFrame {
    return new FakeFrame(this.timestamp);
  }
  close(): void {
    this.open = false;
  }
}

class FakeDecoder {
  static isConfigSupported(): Promise<{ supported: boolean }> {
    return Promise.resolve({ supported });
  }
  state = "unconfigured";
  queue: { type: string; timestamp: number }[] = [];
  resets = 0;
  constructor(readonly init: { output: (frame: FakeFrame) => void; error: (error: unknown) => void }) {
    decoders.push(this);
  }
  configure(): void {
    this.state = "configured";
  }
  decode(chunk: { type: string; timestamp: number }): void {
    this.queue.push(chunk);
  }
  reset(): void {
    this.queue = [];
    this.resets++;
    this.state = "unconfigured";
  }
  close(): void {
    this.state = "closed";
  }
  /** Finish the next `count` samples. */
  finish(count = 1): void {
    for (const chunk of this.queue.splice(0, count)) this.init.output(new FakeFrame(chunk.timestamp));
  }
}

class FakeChunk {
  readonly type: string;
  readonly timestamp: number;
  constructor({ type, timestamp }: { type: string; timestamp: number }) {
    this.type = type;
    this.timestamp = timestamp;
  }
}

const track: LiveTrack = {
  kind: "video", codec: "h264", codecString: "avc1.42c00c", config: new Uint8Array(8), timescale: 90_000, width: 640, height: 360, channels: 0, sampleRate: 0,
};

let picture: LivePicture;
let drawn: number[];
const feed = { camera: "yard", newest90k: 0 } as Feed;

beforeEach(() => {
  now = 1_000_000;
  decoders = [];
  frames = [];
  supported = true;
  drawn = [];
  vi.stubGlobal("VideoDecoder", FakeDecoder);
  vi.stubGlobal("EncodedVideoChunk", FakeChunk);
  vi.stubGlobal("requestAnimationFrame", (run: () => void) => frames.push(run));
  vi.spyOn(performance, "now").mockImplementation(() => now - performance.timeOrigin);
  picture = new LivePicture(() => undefined);
  picture.feed = feed;
  picture.sinks.add({ picture: (frame, t90k) => (drawn.push(t90k / TICKS), frame.close()), sound: () => undefined, listening: false });
  picture.begin(track, null);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A sample captured at `ms`, arriving now. */
function send(ms: number, key = false): void {
  feed.newest90k = ms * TICKS;
  picture.video({ key, pts90k: ms * TICKS, sealed90k: ms * TICKS, data: new Uint8Array(4) });
}

function vsync(): void {
  for (const run of frames.splice(0)) run();
}

test("nothing is decoded before a key frame", () => {
  send(now, false);
  expect(decoders).toEqual([]);
  send(now + 40, true);
  expect(decoders[0]!.queue.length).toBe(1);
  expect(picture.skipped).toBe(1);
});

test("of several pictures for one displayed frame the newest is drawn", () => {
  for (let i = 0; i < 3; i++) send(now + 40 * i, i === 0);
  decoders[0]!.finish(3);
  vsync();
  expect(drawn).toEqual([now + 80]);
  expect(frames).toEqual([]);
});

test("a replayed group of pictures is decoded without being shown like a film", () => {
  const start = now - 2000;
  for (let i = 0; i <= 50; i++) send(start + 40 * i, i === 0);
  for (let i = 0; i <= 50; i++) {
    now += 3;
    decoders[0]!.finish();
    vsync();
  }
  expect(drawn.length).toBeLessThan(10);
  expect(drawn[0]).toBeGreaterThan(start + 1600);
  expect(drawn.at(-1)).toBe(start + 2000);
});

test("a replay that takes long shows something all the same", () => {
  const start = now - 2000;
  for (let i = 0; i <= 50; i++) send(start + 40 * i, i === 0);
  for (let i = 0; i <= 50; i++) {
    now += 60;
    decoders[0]!.finish();
    vsync();
  }
  expect(drawn.length).toBeGreaterThan(3);
  expect(decoders[0]!.resets).toBe(0);
});

test("a decoder half a second behind with fresh pictures is let off until the next key frame", () => {
  send(now, true);
  decoders[0]!.finish();
  vsync();
  for (let i = 1; i <= 20; i++) {
    now += 40;
    send(now); // nothing comes out
  }
  expect(decoders[0]!.resets).toBe(1);
  const skipped = picture.skipped;
  expect(skipped).toBeGreaterThan(12);
  now += 40;
  send(now);
  expect(decoders[0]!.queue).toEqual([]);
  now += 40;
  send(now, true);
  expect(decoders[0]!.queue.map(({ type }) => type)).toEqual(["key"]);
  decoders[0]!.finish();
  vsync();
  expect(drawn.at(-1)).toBe(now);
});

test("samples that are missing are waited out", () => {
  send(now, true);
  picture.missing();
  send(now + 40);
  expect(decoders[0]!.queue.length).toBe(1);
  send(now + 80, true);
  expect(decoders[0]!.queue.length).toBe(2);
});

test("a decoder that fails is replaced at the next key frame", () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  send(now, true);
  decoders[0]!.init.error(new Error("broken"));
  send(now + 40);
  expect(decoders.length).toBe(1);
  send(now + 80, true);
  expect(decoders.length).toBe(2);
  decoders[1]!.finish();
  vsync();
  expect(drawn).toEqual([now + 80]);
  expect(warn).toHaveBeenCalled();
});

test("what this browser cannot decode is said in words", async () => {
  supported = false;
  picture.begin({ ...track, codec: "h265", codecString: "hvc1.1.6.L93.B0" }, null);
  await Promise.resolve();
  await Promise.resolve();
  expect(picture.problem).toMatchObject({ code: "unsupported", message: expect.stringContaining("H.265") as string });
  send(now, true);
  expect(decoders).toEqual([]);
});

test("frames that are not drawn are closed", () => {
  const made: FakeFrame[] = [];
  send(now, true);
  const { output } = decoders[0]!.init;
  for (let i = 0; i < 5; i++) {
    const frame = new FakeFrame((now + i * 40) * 1000);
    made.push(frame);
    output(frame);
  }
  vsync();
  picture.stop();
  expect(made.filter((frame) => frame.open)).toEqual([]);
});
