// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** Live messages on their way to the decoder: opened, in order, and nothing after a loss before the next key frame. */

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parseLive, type LiveMessage } from "../vault";
import { makeVectors, sha256, type Vectors } from "../vault/testing";
import { Feed, type LiveSample, type LiveTrack, type Outlet } from "./feed";
import { Keyring } from "./keyring";
import type { Server } from "./server";

let vectors: Vectors;
let messages: LiveMessage[];

class Remembering implements Outlet {
  calls: string[] = [];
  samples: LiveSample[] = [];
  tracks: [LiveTrack, LiveTrack | null] | null = null;

  begin(video: LiveTrack, audio: LiveTrack | null): void {
    this.calls.push("begin");
    this.tracks = [video, audio];
  }
  video(sample: LiveSample): void {
    this.calls.push(sample.key ? "key" : "video");
    this.samples.push(sample);
  }
  audio(sample: LiveSample): void {
    this.calls.push("audio");
    this.samples.push(sample);
  }
  missing(): void {
    this.calls.push("missing");
  }
  stop(): void {
    this.calls.push("stop");
  }
}

async function ring(identity: string): Promise<Keyring> {
  const keyring = new Keyring({ key: () => Promise.resolve(vectors.read("hour.age")) } as Partial<Server> as Server);
  await keyring.unlock(identity, false);
  return keyring;
}

beforeAll(() => {
  vectors = makeVectors();
  const all = vectors.read("live.bin");
  messages = [];
  for (let at = 0; at < all.length; ) {
    const size = new DataView(all.buffer).getUint32(at);
    messages.push(parseLive(all.slice(at + 4, at + 4 + size)));
    at += 4 + size;
  }
}, 180_000);

afterAll(() => vectors.remove());

let outlet: Remembering;
let feed: Feed;

function config(): object {
  return { type: "config", channel: 7, camera: vectors.camera, stream: "main", live_id: vectors.live.live_id, key_id: vectors.key_id, tracks: vectors.live.tracks };
}

/** Everything that was given so far has been handed on. */
async function settled(): Promise<void> {
  for (let chain: unknown; chain !== feed["chain"]; ) await (chain = feed["chain"]);
}

beforeEach(async () => {
  outlet = new Remembering();
  feed = new Feed(vectors.camera, "main", await ring(vectors.identity), outlet, () => undefined);
});

test("every sample comes out, opened, in the order in which it was sealed", async () => {
  feed.config(config());
  for (const message of messages) feed.message(message);
  await settled();
  const skipped = messages.findIndex((message) => message.key); // sound before the first picture
  expect(await Promise.all(outlet.samples.map((sample) => sha256(sample.data)))).toEqual(vectors.live.samples.slice(skipped));
  expect(outlet.calls.slice(0, 2)).toEqual(["begin", "key"]);
  expect(outlet.tracks![0]).toMatchObject({ codec: "h264", codecString: "avc1.42c00c", width: 320, height: 180 });
  expect(outlet.tracks![1]).toMatchObject({ codec: "aac", channels: 1, sampleRate: 48_000 });
  expect(feed.problem).toBeNull();
});

test("after a message that is missing nothing is handed on before a key frame", async () => {
  feed.config(config());
  const keys = messages.flatMap((message, i) => (message.key ? [i] : []));
  const lost = keys[1]! + 3;
  for (const [i, message] of messages.entries()) if (i !== lost) feed.message(message);
  await settled();
  const at = outlet.calls.indexOf("missing");
  expect(at).toBeGreaterThan(0);
  expect(outlet.calls[at + 1]).toBe("key");
  const handed = await Promise.all(outlet.samples.map((sample) => sha256(sample.data)));
  expect(handed).toEqual([...vectors.live.samples.slice(keys[0], lost), ...vectors.live.samples.slice(keys[2])]);
  expect(feed.skipped).toBeGreaterThan(0);
});

test("what the server says it dropped is waited out", async () => {
  feed.config(config());
  const keys = messages.flatMap((message, i) => (message.key ? [i] : []));
  for (const message of messages.slice(0, keys[1]! + 2)) feed.message(message);
  feed.dropped(12);
  for (const message of messages.slice(keys[2])) feed.message(message);
  await settled();
  expect(outlet.calls.filter((call) => call === "missing").length).toBeGreaterThan(0);
  expect(outlet.calls[outlet.calls.lastIndexOf("missing") + 1]).toBe("key");
  expect(feed.skipped).toBeGreaterThanOrEqual(12);
});

test("messages of another live id are nobody's", async () => {
  feed.config({ ...config(), live_id: "00".repeat(8) });
  for (const message of messages) feed.message(message);
  await settled();
  expect(outlet.samples).toEqual([]);
});

test("a changed message is told and not handed on", async () => {
  feed.config(config());
  const first = messages.findIndex((message) => message.key);
  const bytes = messages[first]!.bytes.slice();
  bytes[100]! ^= 1;
  feed.message(parseLive(bytes));
  for (const message of messages.slice(first + 1)) feed.message(message);
  await settled();
  expect(outlet.calls.indexOf("key")).toBeGreaterThanOrEqual(0); // the next group of pictures
  expect(await sha256(outlet.samples[0]!.data)).not.toBe(vectors.live.samples[first]);
});

test("a stranger is told that the hour is not sealed for them", async () => {
  feed = new Feed(vectors.camera, "main", await ring(vectors.stranger), outlet, () => undefined);
  feed.config(config());
  for (const message of messages.slice(0, 20)) feed.message(message);
  await settled();
  expect(outlet.samples).toEqual([]);
  expect(feed.problem).toMatchObject({ code: "wrong-key" });
});

test("when the socket is gone, what was under way is forgotten", async () => {
  feed.config(config());
  for (const message of messages) feed.message(message);
  feed.lost();
  await settled();
  expect(outlet.samples).toEqual([]);
  expect(outlet.calls).toContain("missing");
});

test("a config that makes no sense is a problem, not a fault", () => {
  for (const tracks of [[], [{ kind: "video", codec: "h264", config: "***" }], [{ kind: "video", codec: "vp9", config: "" }]]) {
    feed.config({ ...config(), tracks });
    expect(feed.problem).toMatchObject({ code: "damaged" });
  }
});
