// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** Where fragments lie in time, over window borders, gaps and files that grow. */

import { beforeEach, expect, test, vi } from "vitest";
import { Archive, SECOND, endOf, isNothing, type Spot } from "./archive";
import { EngineError } from "./errors";
import type { Keyring } from "./keyring";
import type { Row, Segment, Server } from "./server";

const WINDOW = 300 * SECOND;
const T0 = Math.floor((1_790_000_000 * SECOND) / WINDOW) * WINDOW;

let rows: Row[];
let asked: number;

/** Rows two seconds long, from `start` on; every `keyed`th begins with a key frame. */
function record(start: number, count: number, keyed = 1): void {
  for (let i = 0; i < count; i++) rows.push({ start: start + i * 2 * SECOND, duration: 2 * SECOND, offset: i * 100, size: 100, key: i % keyed === 0, keyBytes: 10 });
}

/** Segments of thirty rows, answered two a page. */
const server: Partial<Server> = {
  segments: (_camera, _stream, from, to) => {
    asked++;
    const segments: Segment[] = [];
    for (let i = 0; i < rows.length; i += 30) {
      const mine = rows.slice(i, i + 30);
      const [first, last] = [mine[0]!, mine.at(-1)!];
      const kid = i.toString(16).padStart(32, "0");
      const end_90k = last.start + last.duration;
      if (end_90k > from && first.start < to)
        segments.push({ start_90k: first.start, end_90k, kid, key_id: "0".repeat(16), run: "", size_bytes: 0, init_bytes: 9, sha256: null, path: "", rows: mine });
    }
    return Promise.resolve({ segments: segments.slice(0, 2), more: segments.length > 2 });
  },
  at: (_camera, _stream, t) => {
    asked++;
    const next = rows.find((row) => row.start >= t);
    return Promise.reject(new EngineError("not-found", "nothing", "", { next_90k: next?.start ?? null, prev_90k: null }));
  },
};

let archive: Archive;

beforeEach(() => {
  rows = [];
  asked = 0;
  archive = new Archive(server as Server, {} as Keyring);
});

const find = (t: number) => archive.find("yard", "main", t);

test("every moment of an hour is found, with few questions", async () => {
  record(T0 + 7 * SECOND, 1800);
  for (let t = T0 + 7 * SECOND; t < T0 + 3600 * SECOND; t += 1.37 * SECOND) {
    const found = (await find(t)) as Spot;
    expect(found.row.start).toBeLessThanOrEqual(t);
    expect(endOf(found)).toBeGreaterThan(t);
  }
  expect(asked).toBeLessThan(100);
});

test("following from one to the next leaves none out, over window borders too", async () => {
  record(T0 - 40 * SECOND, 200);
  let spot = (await archive.after("yard", "main", 0 + T0 - 40 * SECOND))!;
  for (let i = 1; i < 200; i++) {
    spot = (await archive.next(spot))!;
    expect(spot.row.start).toBe(rows[i]!.start);
  }
  for (let i = 198; i >= 150; i--) {
    spot = (await archive.previous(spot))!;
    expect(spot.row.start).toBe(rows[i]!.start);
  }
});

test("a fragment that reaches over a window's border is found from both sides", async () => {
  record(T0 - SECOND, 10);
  for (const t of [T0 - SECOND / 2, T0, T0 + SECOND / 2]) expect((await find(t)) as Spot).toMatchObject({ row: { start: T0 - SECOND } });
});

test("a gap says where recording ends and where it goes on, days later too", async () => {
  record(T0, 30);
  record(T0 + 5 * 86_400 * SECOND, 30);
  const found = await find(T0 + 100 * SECOND);
  expect(found).toEqual({ prev_90k: T0 + 60 * SECOND, next_90k: T0 + 5 * 86_400 * SECOND });
  const last = (await find(T0 + 59 * SECOND)) as Spot;
  expect((await archive.next(last))!.row.start).toBe(T0 + 5 * 86_400 * SECOND);
  expect(asked).toBeLessThan(10);
});

test("before the first and after the last there is nothing", async () => {
  record(T0, 3);
  expect(await find(T0 - 1000 * SECOND)).toEqual({ prev_90k: null, next_90k: T0 });
  const after = await find(T0 + 7 * SECOND);
  expect(isNothing(after) && after.next_90k).toBeNull();
  expect(await archive.next((await find(T0 + 5 * SECOND)) as Spot)).toBeNull();
});

test("a decoder begins at the key frame before", async () => {
  record(T0, 30, 5);
  const spot = (await find(T0 + 17 * SECOND)) as Spot;
  expect(spot.row.key).toBe(false);
  expect((await archive.entry(spot)).row.start).toBe(T0 + 10 * SECOND);
  const key = (await find(T0 + 10.5 * SECOND)) as Spot;
  expect(await archive.entry(key)).toBe(key);
});

test("what grows is asked for again, what is finished is not", async () => {
  const now = Math.floor(Date.now() * 90);
  record(now - 20 * SECOND, 5);
  expect(isNothing(await find(now - 9 * SECOND))).toBe(true);
  record(now - 10 * SECOND, 3);
  vi.spyOn(performance, "now").mockReturnValue(performance.now() + 2000);
  expect(isNothing(await find(now - 9 * SECOND))).toBe(false);
  vi.restoreAllMocks();
  rows = [];
  record(T0, 10);
  await find(T0 + SECOND);
  const before = asked;
  vi.spyOn(performance, "now").mockReturnValue(performance.now() + 60_000);
  await find(T0 + SECOND);
  vi.restoreAllMocks();
  expect(asked).toBe(before);
});
