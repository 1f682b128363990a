// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** Bytes that somebody else chose: an error or a value, soon, whatever they are. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { Damaged, parseFragment, parseInit, splitSegment, type Bytes, type Init } from ".";
import { makeVectors, type Vectors } from "./testing";

let vectors: Vectors;
const files: { init: Init; initBytes: Bytes; fragment: Bytes }[] = [];

beforeAll(() => {
  vectors = makeVectors();
  for (const segment of vectors.segments) {
    const file = vectors.read(`${segment.name}.mp4`);
    const initBytes = file.slice(0, segment.init_bytes);
    const [, , offset, size] = segment.fragments[1]!;
    files.push({ init: parseInit(initBytes), initBytes, fragment: file.slice(offset, offset + size) });
  }
}, 180_000);

afterAll(() => vectors.remove());

/** Runs it; anything thrown but `Damaged` is a fault of ours. */
function survives(what: () => unknown): "value" | "damaged" {
  try {
    what();
    return "value";
  } catch (error) {
    if (error instanceof Damaged) return "damaged";
    throw error;
  }
}

/** xorshift: the same numbers every time, so that a failure can be seen again. */
function* numbers(seed: number): Generator<number> {
  for (let x = seed; ; ) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    yield x >>> 0;
  }
}

test("a beginning cut at any byte", () => {
  for (const { initBytes } of files)
    for (let size = 0; size < initBytes.length; size++) survives(() => parseInit(initBytes.slice(0, size)));
});

test("a fragment cut at any byte of its boxes is damaged; torn, it gives whole samples only", () => {
  for (const { init, fragment } of files) {
    for (let size = 0; size < Math.min(fragment.length, 4000); size++) {
      const cut = fragment.slice(0, size);
      expect(survives(() => parseFragment(cut, init))).toBe("damaged");
      survives(() => {
        for (const run of parseFragment(cut, init, true).runs)
          for (const sample of run.samples) expect(sample.data.byteOffset + sample.data.length).toBeLessThanOrEqual(size);
      });
    }
  }
});

test("bytes changed at random", () => {
  const random = numbers(20261121);
  const next = (): number => random.next().value as number;
  let damaged = 0;
  const rounds = 4000;
  for (let round = 0; round < rounds; round++) {
    const { init, initBytes, fragment } = files[round % files.length]!;
    const bytes = (round & 4 ? initBytes : fragment.slice(0, 6000)).slice();
    for (let i = 0; i <= next() % 4; i++) bytes[next() % Math.min(bytes.length, 3000)] = next() & (next() % 3 ? 255 : 0);
    const outcome = survives(() => (round & 4 ? parseInit(bytes) : parseFragment(bytes, init, true)));
    if (outcome === "damaged") damaged++;
    survives(() => splitSegment(bytes));
  }
  expect(damaged).toBeGreaterThan(rounds / 20);
});

test("counts and sizes of four billion end at once", () => {
  const { init, fragment } = files[0]!;
  const text = new TextDecoder("latin1").decode(fragment.slice(0, 4000));
  for (const box of ["trun", "senc", "saiz", "traf", "moof", "mdat", "tfdt"]) {
    const at = text.indexOf(box);
    for (const offset of [-4, 4, 8, 12, 16]) {
      const bytes = fragment.slice();
      bytes.fill(255, at + offset, at + offset + 4);
      survives(() => parseFragment(bytes, init));
      survives(() => parseFragment(bytes, init, true));
    }
  }
});

test("a sample count without a size each cannot keep it busy", () => {
  // trun with data offset only: 2^32 - 1 samples of the default size, nothing else in the box.
  const { init, fragment } = files[0]!;
  const bytes = fragment.slice();
  const at = new TextDecoder("latin1").decode(bytes.slice(0, 4000)).indexOf("trun");
  new DataView(bytes.buffer).setUint32(at + 4, 0x00000001);
  new DataView(bytes.buffer).setUint32(at + 8, 0xffffffff);
  expect(survives(() => parseFragment(bytes, init, true))).toBe("damaged");
});
