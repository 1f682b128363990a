// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** Which fragment is decoded next: all of them, those that the clock leaves time for, or key frames alone. */

import { beforeEach, expect, test } from "vitest";
import { SECOND, endOf, type Archive, type Nothing, type Spot } from "./archive";
import { Route } from "./route";

const T0 = 1_790_000_000 * SECOND;
let spots: Spot[];
let route: Route;
const clock = { at: T0, playing: true, rate: 1, now: () => clock.at };

function record(from: number, count: number, key = true): void {
  for (let i = 0; i < count; i++) {
    const row = { start: T0 + (from + 2 * i) * SECOND, duration: 2 * SECOND, offset: 0, size: 1, key, keyBytes: 1 };
    spots.push({ camera: "yard", stream: "main", segment: { kid: "", key_id: "", init_bytes: 0 }, row });
  }
}

const archive: Pick<Archive, "next" | "find" | "after"> = {
  next: (spot) => Promise.resolve(spots[spots.indexOf(spot) + 1] ?? null),
  after: (_camera, _stream, t) => Promise.resolve(spots.find((spot) => spot.row.start >= t) ?? null),
  find: (_camera, _stream, t): Promise<Spot | Nothing> => {
    const next = spots.find((spot) => spot.row.start > t)?.row.start ?? null;
    const before = spots.findLast((spot) => spot.row.start <= t);
    return Promise.resolve(before && endOf(before) > t ? before : { next_90k: next, prev_90k: before ? endOf(before) : null });
  },
};

beforeEach(() => {
  spots = [];
  route = new Route(archive as Archive, clock);
  Object.assign(clock, { at: T0, playing: true, rate: 1 });
});

test("one after the other while the clock is not ahead", async () => {
  record(0, 5);
  for (let i = 0; i < 4; i++) expect(await route.after(spots[i]!, false)).toEqual({ spot: spots[i + 1], behind: false });
  expect(await route.after(spots[4]!, false)).toBeNull();
});

test("where decoding cannot keep up, it goes on at the clock, from a key frame", async () => {
  record(0, 10);
  clock.at = T0 + 13 * SECOND;
  expect(await route.after(spots[1]!, false)).toEqual({ spot: spots[6], behind: true });
  expect(await route.after(spots[1]!, true)).toEqual({ spot: spots[2], behind: false }); // on the way to a wanted picture
  spots[6]!.row.key = false;
  expect(await route.after(spots[1]!, false)).toEqual({ spot: spots[2], behind: false });
});

test("at high rates only as many key frames as can be seen", async () => {
  record(0, 200);
  clock.rate = 64;
  const step = (await route.after(spots[0]!, false))!;
  expect(step.spot.row.start - T0).toBeGreaterThanOrEqual(6 * SECOND);
  expect(step.spot.row.start - T0).toBeLessThanOrEqual(8 * SECOND);
  clock.rate = 16;
  expect((await route.after(spots[0]!, false))!.spot).toBe(spots[1]);
});

test("a gap is known once it was gone over, at any rate, and forgotten once it is past", async () => {
  for (const rate of [1, 64]) {
    spots = [];
    route.reset();
    record(0, 3);
    record(60, 3);
    Object.assign(clock, { at: T0 + 5 * SECOND, rate });
    expect((await route.after(spots[2]!, false))!.spot.row.start).toBe(T0 + 60 * SECOND);
    expect(route.gapAt(T0 + 5 * SECOND)).toBeNull();
    expect(route.gapAt(T0 + 30 * SECOND)).toEqual({ prev_90k: T0 + 6 * SECOND, next_90k: T0 + 60 * SECOND });
    expect(route.gapAt(T0 + 61 * SECOND)).toBeNull();
    expect(route.gapAt(T0 + 30 * SECOND)).toBeNull();
  }
});

test("a leap over a gap at a high rate notes it", async () => {
  record(0, 30);
  record(100, 30);
  Object.assign(clock, { at: T0 + 50 * SECOND, rate: 64 });
  clock.at = T0 + 70 * SECOND; // inside the gap
  expect((await route.after(spots[10]!, false))!.spot.row.start).toBe(T0 + 100 * SECOND);
  expect(route.gapAt(T0 + 70 * SECOND)).toEqual({ prev_90k: T0 + 60 * SECOND, next_90k: T0 + 100 * SECOND });
});

test("recordings that nearly touch are one", async () => {
  record(0, 1);
  record(2.5, 1);
  await route.after(spots[0]!, false);
  expect(route.gapAt(T0 + 2.2 * SECOND)).toBeNull();
});
