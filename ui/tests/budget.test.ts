// SPDX-License-Identifier: Apache-2.0
// @vitest-environment node
/** Builds the pages as they are shipped and weighs them. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

interface Weights {
  total: number;
  budget: number;
  start: Record<string, number>;
  later: Record<string, number>;
  broken: string[];
}

test("the console is light, keeps to its policy and calls nobody else", { timeout: 120_000 }, () => {
  const script = fileURLToPath(new URL("../dev/budget.mjs", import.meta.url));
  const stdout = execFileSync("node", [script, "--say"], { encoding: "utf-8" });
  const weights = JSON.parse(stdout.trim().split("\n").at(-1) as string) as Weights;
  expect(weights.broken).toEqual([]);
  expect(weights.total).toBeLessThanOrEqual(weights.budget);
  // Pages that are not the first one come later.
  const later = Object.keys(weights.later).join();
  for (const page of ["Playback", "Cameras", "Storage", "System", "Setup", "SignIn", "age"]) expect(later).toContain(page);
});
