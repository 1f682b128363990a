// SPDX-License-Identifier: Apache-2.0
// What tests use of Node, and no more: with all of its types here, browser code could use them by accident.
declare module "node:child_process" {
  export function execFileSync(file: string, args: string[], options: { encoding: "utf-8"; maxBuffer?: number }): string;
}
declare module "node:fs" {
  export function existsSync(path: string): boolean;
  export function mkdtempSync(prefix: string): string;
  export function readFileSync(path: string): Uint8Array;
  export function readFileSync(path: string, encoding: "utf-8"): string;
  export function writeFileSync(path: string, data: Uint8Array): void;
  export function rmSync(path: string, options: { recursive: boolean }): void;
}
declare module "node:os" {
  export function tmpdir(): string;
}
declare module "node:path" {
  export function join(...parts: string[]): string;
}
declare module "node:url" {
  export function fileURLToPath(url: URL): string;
}
declare module "node:process" {
  export const env: Record<string, string | undefined>;
}
