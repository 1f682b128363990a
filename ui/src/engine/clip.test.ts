// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** Clips, judged by FFmpeg: the very packets that were sealed, shown from the very frame that was asked for. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Damaged, type Bytes } from "../vault";
import { makeVectors, runPython, type VectorSegment, type Vectors } from "../vault/testing";
import type { Clip, ExportProgress } from "./api";
import { Exporter } from "./clip";
import { EngineError } from "./errors";
import { Keyring } from "./keyring";
import type { Segment, Server } from "./server";

const SECOND = 90_000;

interface Judged {
  streams: Record<string, { codec: string; packets: string[]; keys: number[]; dts: number[] }>;
  shown: [number, number, number][];
  heard: [number, number][];
  metadata: Record<string, string>;
  duration: number;
}

let vectors: Vectors;
let keyring: Keyring;
let files: Map<string, Bytes>;

/** The server's part that a clip needs, over the vectors. */
function server(only: VectorSegment[], spans: unknown[] = []): Server {
  const rows: Segment[] = only.map((segment) => ({
    ...segment,
    rows: segment.fragments.map(([start, duration, offset, size, key, keyBytes]) => ({ start, duration, offset, size, key, keyBytes })),
  }));
  const fake: Pick<Server, "key" | "segments" | "footage" | "json"> = {
    key: () => Promise.resolve(vectors.read("hour.age")),
    segments: (_camera, _stream, from, to) => {
      const found = rows.filter((row) => row.end_90k > from && row.start_90k < to);
      return Promise.resolve({ segments: found.slice(0, 2), more: found.length > 2 }); // pages of two
    },
    footage: (_camera, _stream, kid, start, end) => {
      const file = files.get(kid)!;
      return Promise.resolve(file.slice(start, end ?? file.length));
    },
    json: <T>() => Promise.resolve({ spans } as T),
  };
  return fake as Server;
}

beforeAll(async () => {
  vectors = makeVectors();
  files = new Map(vectors.segments.map((segment) => [segment.kid, vectors.read(`${segment.name}.mp4`)]));
  keyring = new Keyring(server([]));
  await keyring.unlock(vectors.identity, false);
}, 180_000);

afterAll(() => vectors.remove());

async function make(from: number, to: number, only = vectors.segments, spans: unknown[] = [], signal = new AbortController().signal): Promise<Clip> {
  const exporter = new Exporter(server(only, spans), keyring);
  const seen: ExportProgress[] = [];
  const clip = await exporter.run({ camera: vectors.camera, from, to, options: { cameraName: "Yard, north" }, progress: (p) => seen.push(p), signal });
  expect(seen.at(-1)).toMatchObject({ phase: "writing", done: 1 });
  return clip;
}

async function judge(blob: Blob): Promise<Judged> {
  const path = join(vectors.folder, `clip-${crypto.randomUUID()}.mp4`);
  writeFileSync(path, new Uint8Array(await blob.arrayBuffer()));
  return JSON.parse(runPython("tests/e2e/vectors/judge.py", path)) as Judged;
}

describe("a whole segment", () => {
  test.each(["h264-aac", "h264-b-flac", "h264-slices", "h265-opus"])("%s: the same packets, all shown", async (name) => {
    const segment = vectors.segment(name);
    const clip = await make(segment.start_90k, segment.end_90k);
    const judged = await judge(clip.blob);
    expect(judged.streams["video"]!.packets).toEqual(segment.video);
    expect(judged.streams["audio"]?.packets ?? []).toEqual(segment.audio);
    expect(judged.streams["video"]!.keys).toEqual([0, 25, 50, 75]);
    expect(judged.shown.length).toBe(100);
    expect(judged.shown[0]![0]).toBeCloseTo(0, 3);
    expect(judged.shown.at(-1)![0]).toBeCloseTo(3.96, 3);
    expect(judged.duration).toBeCloseTo(4, 1);
    if (segment.audio.length) expect(judged.heard.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(3.9 * 48_000);
    expect(clip.report).toMatchObject({ recorded_90k: 4 * SECOND, gaps: [], altered: [], verified: 1, unverified: 0 });
    expect(clip.more).toEqual([]);
  });
});

describe("a part", () => {
  test.each(["h264-aac", "h264-b-flac"])("%s: begins at the frame asked for, inside a group of pictures", async (name) => {
    const segment = vectors.segment(name);
    const from = segment.start_90k + 1.4 * SECOND;
    const clip = await make(from, from + 1.2 * SECOND);
    const judged = await judge(clip.blob);
    // Frames at 1.40 ... 2.56 s: thirty of them; what comes before is in the file only to be decoded.
    expect(judged.shown.length).toBe(30);
    expect(judged.shown[0]![0]).toBeCloseTo(0, 2);
    expect(judged.shown.at(-1)![0]).toBeCloseTo(1.16, 2);
    const packets = judged.streams["video"]!.packets;
    expect(segment.video.slice(25)).toEqual(expect.arrayContaining(packets));
    expect(packets[0]).toBe(segment.video[25]);
    expect(clip.report.recorded_90k).toBe(1.2 * SECOND);
    const [first, samples] = judged.heard.find(([, count]) => count > 0)!;
    expect(Math.abs(first)).toBeLessThan(0.1);
    expect(samples).toBeGreaterThan(0);
  });

  test("one frame is a clip", async () => {
    const segment = vectors.segment("h264-slices");
    const clip = await make(segment.start_90k + 3 * SECOND, segment.start_90k + 3 * SECOND + 3600);
    expect((await judge(clip.blob)).shown.length).toBe(1);
  });
});

describe("what is missing", () => {
  test("a gap is left out of the file's time, and named with its cause", async () => {
    const [one, two] = [vectors.segment("h264-aac"), vectors.segment("h264-aac-small")];
    const spans = [
      [one.start_90k, one.end_90k, "recorded", null, ""],
      [one.end_90k, two.start_90k, "lost", "unreachable", "no answer"],
    ];
    // When the camera came back its pictures were smaller: two sample entries in one track.
    const clip = await make(one.start_90k + 2 * SECOND, two.start_90k + 2 * SECOND, [one, two], spans);
    expect(clip.report.gaps).toEqual([{ start_90k: one.end_90k, end_90k: two.start_90k, cause: "unreachable", detail: "no answer" }]);
    expect(clip.report.recorded_90k).toBe(4 * SECOND);
    const judged = await judge(clip.blob);
    expect(judged.duration).toBeCloseTo(4, 1);
    expect(judged.shown.map(([, width]) => width)).toEqual([...new Array<number>(50).fill(320), ...new Array<number>(50).fill(256)]);
    expect(judged.shown.at(-1)![0]).toBeCloseTo(3.96, 2);
    expect(clip.more).toEqual([]);
    expect(judged.metadata["comment"]).toContain("Yard, north");
    expect(judged.metadata["comment"]).toContain("10.0 s, unreachable");
    expect(judged.metadata["comment"]).toContain("Recorded 4.0 s of 14.0 s");
  });

  test("another codec goes on in another file", async () => {
    const [one, two] = [vectors.segment("h264-slices"), vectors.segment("h265-opus")];
    const clip = await make(one.start_90k, two.end_90k, [one, two]);
    expect(clip.more.length).toBe(1);
    expect((await judge(clip.blob)).streams["video"]).toMatchObject({ codec: "h264", packets: one.video });
    expect((await judge(clip.more[0]!.blob)).streams["video"]).toMatchObject({ codec: "hevc", packets: two.video });
    expect(clip.name).not.toBe(clip.more[0]!.name);
  });

  test("nothing at all is an error", async () => {
    await expect(make(SECOND, 2 * SECOND)).rejects.toMatchObject({ code: "not-found" });
  });

  test("no key: an error, not an empty clip", async () => {
    const segment = vectors.segment("h264-aac");
    const stranger = new Keyring(server([]));
    await stranger.unlock(vectors.stranger, false);
    const exporter = new Exporter(server([segment]), stranger);
    const request = { camera: "yard", from: segment.start_90k, to: segment.end_90k, options: {}, progress: () => undefined, signal: new AbortController().signal };
    await expect(exporter.run(request)).rejects.toThrow(/another key/);
  });
});

describe("what was altered", () => {
  test("a changed byte is told, and the rest of the file is still there", async () => {
    const segment = vectors.segment("h264-aac");
    const original = files.get(segment.kid)!;
    const changed = original.slice();
    changed[segment.fragments[1]![2] + segment.fragments[1]![5] - 10]! ^= 1;
    files.set(segment.kid, changed);
    try {
      const clip = await make(segment.start_90k, segment.end_90k);
      expect(clip.report).toMatchObject({ verified: 0, altered: [{ path: segment.path }], gaps: [] });
      expect((await judge(clip.blob)).metadata["comment"]).toContain("0 equal, 1 different");
    } finally {
      files.set(segment.kid, original);
    }
  });

  test("a fragment destroyed is a gap of the clip, not its end", async () => {
    const segment = vectors.segment("h264-aac");
    const original = files.get(segment.kid)!;
    const changed = original.slice();
    changed.fill(0xff, segment.fragments[2]![2] + 32, segment.fragments[2]![2] + 64);
    files.set(segment.kid, changed);
    try {
      const clip = await make(segment.start_90k, segment.end_90k);
      expect(clip.report.recorded_90k).toBe(3 * SECOND);
      expect(clip.report.gaps).toMatchObject([{ start_90k: segment.start_90k + 2 * SECOND, end_90k: segment.start_90k + 3 * SECOND, cause: "damaged" }]);
      const judged = await judge(clip.blob);
      expect(judged.shown.length).toBe(75);
      expect(judged.duration).toBeCloseTo(3, 1);
    } finally {
      files.set(segment.kid, original);
    }
  });

  test("a growing file is read as far as the catalogue knows it", async () => {
    const segment = { ...vectors.segment("h264-aac"), sha256: null };
    segment.fragments = segment.fragments.slice(0, 2);
    segment.end_90k = segment.start_90k + 2 * SECOND;
    const clip = await make(segment.start_90k, segment.end_90k + SECOND, [segment]);
    expect(clip.report).toMatchObject({ unverified: 1, verified: 0, recorded_90k: 2 * SECOND });
    expect((await judge(clip.blob)).shown.length).toBe(50);
  });
});

test("cancelling ends it", async () => {
  const cancel = new AbortController();
  cancel.abort();
  const segment = vectors.segment("h264-aac");
  await expect(make(segment.start_90k, segment.end_90k, [segment], [], cancel.signal)).rejects.toMatchObject({ code: "cancelled" });
  expect(EngineError).not.toBe(Damaged);
});
