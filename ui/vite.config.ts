// SPDX-License-Identifier: Apache-2.0
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type UserConfig } from "vite";

declare const process: { env: Record<string, string | undefined> };

// Tests read times as a person in Berlin does: a zone with daylight saving, whatever the machine's is.
if (process.env.VITEST) process.env.TZ = "Europe/Berlin";

/** `MOCK=1`: pages without a server or footage. */
const mockEngine = {
  name: "mock-engine",
  enforce: "pre" as const,
  resolveId: (id: string, from?: string) => (/engine\/api$/.test(id) && from?.endsWith("lib/engine.ts") ? new URL("dev/engine.ts", import.meta.url).pathname : null),
};

// `test` is read by vitest, which is no dependency of the build; so its types cannot be asked for here.
const config: UserConfig & { test: object } = {
  plugins: [svelte()],
  build: {
    outDir: "../src/closedcircuit/api/static",
    emptyOutDir: true,
    target: "es2022",
    // Nothing inline: the server's CSP allows files of its own origin only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { console: "index.html" } },
  },
  worker: { format: "es" },
  // For working on pages against a running server: `npx vite`, with SERVER=http://localhost:8470.
  server: { proxy: { "^/api/": { target: process.env.SERVER ?? "http://localhost:8470", ws: true } } },
  test: {
    environment: "jsdom",
    include: ["tests/**/*.test.ts", "src/**/*.test.ts"],
    setupFiles: ["tests/setup.ts"],
    restoreMocks: true,
    testTimeout: 30_000,
  },
  ...(process.env.MOCK ? { plugins: [mockEngine, svelte()] } : {}),
  // Components are mounted for real in tests: take Svelte's browser half.
  ...(process.env.VITEST ? { resolve: { conditions: ["browser"] } } : {}),
};

export default defineConfig(config);
