// SPDX-License-Identifier: Apache-2.0
/**
 * What the console costs to load, and what its pages promise: `node dev/budget.mjs [FOLDER OF A BUILD]`.
 * Without a folder it builds one. Prints one line of JSON; exits 1 where a promise is broken (with `--say` it only says so).
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET = 80_000; // bytes, gzip: the page, its scripts and styles, the engine and its worker
const say = process.argv.includes("--say");
const given = process.argv.slice(2).find((argument) => argument !== "--say");
const folder = given ?? mkdtempSync(join(tmpdir(), "closedcircuit-ui-"));
if (!given) {
  // A test may have started this: the build must be the one that is shipped.
  for (const name of Object.keys(process.env)) if (/^(VITEST|MOCK|NODE_ENV|TZ$)/.test(name)) delete process.env[name];
  const { build } = await import("vite");
  const root = fileURLToPath(new URL("..", import.meta.url));
  await build({ root, configFile: join(root, "vite.config.ts"), logLevel: "error", build: { outDir: folder, emptyOutDir: true } });
}

const text = (name) => readFileSync(join(folder, name), "utf8");
const weight = (name) => gzipSync(readFileSync(join(folder, name)), { level: 9 }).length;
const html = text("index.html");
const assets = readdirSync(join(folder, "assets"));
const linked = [...html.matchAll(/(?:src|href)="\/([^"]+)"/g)].map((match) => match[1]).filter((name) => !name.endsWith(".svg"));
// The wall, the first page, goes on to load these.
const engine = assets.filter((name) => /^(api|worker)-.*\.js$/.test(name)).map((name) => `assets/${name}`);
const start = Object.fromEntries(["index.html", ...linked, ...engine].map((name) => [name, weight(name)]));
const total = Object.values(start).reduce((sum, bytes) => sum + bytes, 0);
const later = Object.fromEntries(assets.map((name) => `assets/${name}`).filter((name) => !(name in start)).map((name) => [name, weight(name)]));

const broken = [];
if (total > BUDGET) broken.push(`the console weighs ${total} bytes, ${BUDGET} are allowed`);
if (engine.length < 2) broken.push("the engine or its worker is not a file of its own");
if (/<script(?![^>]*\ssrc=)[^>]*>/.test(html)) broken.push("index.html has an inline script, which the policy forbids");
if (/<style|\sstyle=/.test(html)) broken.push("index.html has an inline style, which the policy forbids");
for (const name of assets) {
  const body = text(`assets/${name}`);
  // Static `style` attributes reach the page as HTML text, which `style-src 'self'` drops.
  if (name.endsWith(".js") && /<[a-z][^<>`]*\sstyle="/.test(body)) broken.push(`${name} writes a style attribute as text`);
  if (/\b(?:new Function|eval)\(/.test(body)) broken.push(`${name} makes code out of text`);
  if (name.endsWith(".css") && /url\(\s*["']?https?:|@import|@font-face/.test(body)) broken.push(`${name} asks for something from elsewhere`);
  if (/(?:fetch|import|importScripts|WebSocket)\(\s*["'`](?:https?|wss?):/.test(body)) broken.push(`${name} calls another origin`);
}
if (!given) rmSync(folder, { recursive: true });
console.log(JSON.stringify({ total, budget: BUDGET, start, later, broken }));
process.exitCode = broken.length && !say ? 1 : 0;
