// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** What the Python side sealed, opened by the browser's code: sample for sample the bytes that were sealed. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as age from "./age";
import { Damaged, fromBase64, hourKey, liveKey, openBlob, openFragment, openLive, parseFragment, parseInit, parseLive, passphraseKeys, prfKey, sealBlob, segmentKey, splitSegment, type Bytes, type Fragment } from ".";
import { makeVectors, sha256, type Vectors } from "./testing";

let vectors: Vectors;
let hour: CryptoKey;

beforeAll(async () => {
  vectors = makeVectors();
  hour = await hourKey(await new age.Opener(vectors.identity).open(vectors.read("hour.age")));
}, 180_000);

afterAll(() => vectors.remove());

const keyOf = (kid: string): Promise<CryptoKey> => segmentKey(hour, kid);

async function hashes(fragments: Fragment[], kind: string): Promise<string[]> {
  const all = fragments.flatMap((fragment) => fragment.runs.filter((run) => run.track.kind === kind).flatMap((run) => run.samples));
  return Promise.all(all.map((sample) => sha256(sample.data)));
}

async function openAll(file: Bytes): Promise<Fragment[]> {
  const { init, fragments } = splitSegment(file);
  const parsed = parseInit(file.slice(0, init));
  const out: Fragment[] = [];
  for (const [start, end] of fragments) {
    const bytes = file.slice(start, end);
    const fragment = parseFragment(bytes, parsed);
    await openFragment(bytes, fragment, keyOf);
    out.push(fragment);
  }
  return out;
}

describe("a sealed segment", () => {
  test.each(["h264-aac", "h264-b-flac", "h264-slices", "h265-opus"])("%s opens to the samples that were sealed", async (name) => {
    const segment = vectors.segment(name);
    const file = vectors.read(`${name}.mp4`);
    const { init, fragments } = splitSegment(file);
    expect(init).toBe(segment.init_bytes);
    expect(fragments).toEqual(segment.fragments.map(([, , offset, size]) => [offset, offset + size]));
    const opened = await openAll(file);
    expect(await hashes(opened, "video")).toEqual(segment.video);
    expect(await hashes(opened, "audio")).toEqual(segment.audio);
  });

  test.each(["h264-aac", "h264-b-flac", "h264-slices", "h265-opus"])("%s names its tracks as the recorder does", (name) => {
    const segment = vectors.segment(name);
    const { tracks, header } = parseInit(vectors.read(`${name}.mp4`).slice(0, segment.init_bytes));
    expect(header).toMatchObject({ camera: vectors.camera, stream: "main", start_90k: segment.start_90k });
    expect(tracks.map((track) => [track.kind, track.codec, track.codecString, track.timescale, track.width, track.height])).toEqual(
      segment.tracks.map((track) => [track.kind, track.codec, track.codec_string, track.timescale, track.width, track.height]),
    );
    expect(tracks.map((track) => track.config)).toEqual(segment.tracks.map((track) => fromBase64(track.config)));
    for (const track of tracks) expect(track.kid).toBe(segment.kid);
    for (const track of tracks.filter((one) => one.kind === "audio")) expect([track.channels, track.sampleRate]).toEqual([1, 48_000]);
  });

  test("pictures keep their times, reordered ones too", async () => {
    const segment = vectors.segment("h264-b-flac");
    const samples = (await openAll(vectors.read("h264-b-flac.mp4"))).flatMap(({ runs }) => runs[0]!.samples);
    expect(samples.map((sample) => sample.dts + sample.cts)).toEqual(segment.pts);
    expect(new Set(samples.map((sample) => sample.cts)).size).toBeGreaterThan(1);
    for (const [i, sample] of samples.entries()) if (i) expect(sample.dts).toBeGreaterThan(samples[i - 1]!.dts);
  });

  test("the first key_bytes of a fragment are one whole picture", async () => {
    for (const segment of vectors.segments) {
      const file = vectors.read(`${segment.name}.mp4`);
      const init = parseInit(file.slice(0, segment.init_bytes));
      const [, , offset, , , keyBytes] = segment.fragments[1]!;
      const bytes = file.slice(offset, offset + keyBytes);
      const fragment = parseFragment(bytes, init, true);
      await openFragment(bytes, fragment, keyOf);
      const [picture, ...more] = fragment.runs[0]!.samples;
      expect(more).toEqual([]);
      expect(picture?.key).toBe(true);
      const place = segment.pts.indexOf(90_000);
      expect(await sha256(picture!.data)).toBe(segment.video[place]);
      expect(() => parseFragment(file.slice(offset, offset + keyBytes), init)).toThrow(Damaged);
    }
  });

  test("another key opens nothing", async () => {
    const segment = vectors.segment("h264-aac");
    const file = vectors.read("h264-aac.mp4");
    const init = parseInit(file.slice(0, segment.init_bytes));
    const [start, end] = splitSegment(file).fragments[0]!;
    const bytes = file.slice(start, end);
    const fragment = parseFragment(bytes, init);
    await openFragment(bytes, fragment, (kid) => segmentKey(hour, kid.replace(/^./, (digit) => (digit === "0" ? "1" : "0"))));
    const found = await hashes([fragment], "video");
    expect(found.filter((hash) => segment.video.includes(hash))).toEqual([]);
  });
});

describe("live messages", () => {
  function messages(): Bytes[] {
    const all = vectors.read("live.bin");
    const out: Bytes[] = [];
    for (let at = 0; at < all.length; ) {
      const size = new DataView(all.buffer).getUint32(at);
      out.push(all.slice(at + 4, at + 4 + size));
      at += 4 + size;
    }
    return out;
  }

  test("open to the samples that were sealed, whatever channel they come on", async () => {
    const key = await liveKey(hour, vectors.live.live_id);
    const found: string[] = [];
    for (const [i, bytes] of messages().entries()) {
      new DataView(bytes.buffer).setUint16(2, 4000 + i);
      const message = parseLive(bytes);
      expect([message.sequence, message.channel, message.liveId, message.audio]).toEqual([i, 4000 + i, vectors.live.live_id, vectors.live.audio[i]]);
      expect(message.sealed90k - message.pts90k).toBe(900);
      found.push(await sha256(await openLive(message, key)));
    }
    expect(found).toEqual(vectors.live.samples);
  });

  test("a bit changed anywhere but in the channel is found out", async () => {
    const key = await liveKey(hour, vectors.live.live_id);
    const [first] = messages();
    for (let at = 0; at < 64; at++) {
      if (at === 2 || at === 3) continue;
      const bytes = first!.slice();
      bytes[at]! ^= 0x10;
      await expect((async () => openLive(parseLive(bytes), key))(), `byte ${at}`).rejects.toThrow(Damaged);
    }
  });

  test("cut short at any byte they are refused", () => {
    const [first] = messages();
    for (let size = 0; size < 48; size++) expect(() => parseLive(first!.slice(0, size))).toThrow(Damaged);
  });
});

describe("the owner's key", () => {
  test("a key pair made here is one that opens what is wrapped to it", async () => {
    const pair = await age.makeKeyPair();
    expect(pair.identity).toMatch(/^AGE-SECRET-KEY-PQ-1[0-9A-Z]+$/);
    expect(await age.recipientOf(pair.identity)).toBe(pair.recipient);
    expect(await age.recipientOf(vectors.identity)).toBe(vectors.recipient);
  });

  test("a stranger's identity opens no hour", async () => {
    await expect(new age.Opener(vectors.stranger).open(vectors.read("hour.age"))).rejects.toThrow();
  });

  test("hour keys cannot be taken out again", async () => {
    expect(hour.extractable).toBe(false);
    expect((await segmentKey(hour, "00".repeat(16))).extractable).toBe(false);
    await expect(hourKey(new TextEncoder().encode("abc\n"))).rejects.toThrow(Damaged);
  });

  test("a passphrase gives what the Python side gives", async () => {
    const { text, salt, auth, blob, iterations } = vectors.passphrase;
    const keys = await passphraseKeys(text, fromBase64(salt), iterations);
    expect(keys.auth).toBe(auth);
    expect(await openBlob(blob, keys.key)).toBe(vectors.identity);
    const wrong = await passphraseKeys(`${text} `, fromBase64(salt), iterations);
    await expect(openBlob(blob, wrong.key)).rejects.toThrow(Damaged);
  });

  test("a server cannot ask for a weak derivation", async () => {
    const salt = new Uint8Array(16);
    await expect(passphraseKeys("x", salt, 1000)).rejects.toThrow(Damaged);
    await expect(passphraseKeys("x", salt, 1e9)).rejects.toThrow(Damaged);
    await expect(passphraseKeys("x", new Uint8Array(4), 600_000)).rejects.toThrow(Damaged);
  });

  test("a blob opens with the PRF result it was sealed with and no other", async () => {
    const prf = crypto.getRandomValues(new Uint8Array(32));
    const blob = await sealBlob(vectors.identity, await prfKey(prf));
    expect(await openBlob(blob, await prfKey(prf.slice()))).toBe(vectors.identity);
    prf[0]! ^= 1;
    await expect(openBlob(blob, await prfKey(prf))).rejects.toThrow(Damaged);
  });
});
