// SPDX-License-Identifier: Apache-2.0
/** Vectors for tests in Node: sealed footage made by the Python side at test time (`tests/e2e/vectors/make.py`). */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { env } from "node:process";
import { fileURLToPath } from "node:url";
import { hex, type Bytes } from "./bytes";

export interface VectorSegment {
  name: string;
  start_90k: number;
  end_90k: number;
  kid: string;
  key_id: string;
  run: string;
  size_bytes: number;
  init_bytes: number;
  sha256: string | null;
  path: string;
  tracks: { kind: string; codec: string; codec_string: string; timescale: number; config: string; width: number; height: number; channels: number }[];
  fragments: [start: number, duration: number, offset: number, size: number, key: boolean, keyBytes: number][];
  video: string[]; // SHA-256 of each sample before sealing
  audio: string[];
  pts: number[];
}

export interface Vectors {
  folder: string;
  camera: string;
  identity: string;
  recipient: string;
  stranger: string;
  key_id: string;
  passphrase: { text: string; salt: string; auth: string; blob: string; iterations: number };
  segments: VectorSegment[];
  live: { live_id: string; count: number; tracks: VectorSegment["tracks"]; samples: string[]; audio: boolean[] };
  read(name: string): Bytes;
  segment(name: string): VectorSegment;
  remove(): void;
}

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** The Python that has the package. */
export function python(): string {
  const named = env["CLOSEDCIRCUIT_PYTHON"];
  const here = join(ROOT, ".venv/bin/python");
  return named ?? (existsSync(here) ? here : "python3");
}

export function runPython(script: string, ...args: string[]): string {
  return execFileSync(python(), [join(ROOT, script), ...args], { encoding: "utf-8", maxBuffer: 64 << 20 });
}

export function makeVectors(): Vectors {
  const folder = mkdtempSync(join(tmpdir(), "vectors-"));
  runPython("tests/e2e/vectors/make.py", folder);
  const facts = JSON.parse(readFileSync(join(folder, "vectors.json"), "utf-8")) as Omit<Vectors, "folder" | "read" | "segment" | "remove">;
  return {
    ...facts,
    folder,
    read: (name) => new Uint8Array(readFileSync(join(folder, name))),
    segment: (name) => facts.segments.find((one) => one.name === name)!,
    remove: () => rmSync(folder, { recursive: true }),
  };
}

export async function sha256(bytes: Bytes): Promise<string> {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
