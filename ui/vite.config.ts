// SPDX-License-Identifier: Apache-2.0
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type UserConfig } from "vite";

declare const process: { env: Record<string, string | undefined> };

// `test` is read by vitest, which is no dependency of the build; so its types cannot be asked for here.
const mockEngine = {
  name: "mock-engine",
  enforce: "pre" as const,
  resolveId: (id: string, from?: string) => (/engine\/api$/.test(id) && from?.endsWith("lib/engine.ts") ? "/dev/engine.ts" : null),
};

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
  // For looking at pages while writing them: `npm run mock` beside it.
  server: { proxy: { "/api": { target: `http://localhost:${process.env.MOCK_PORT ?? 8099}`, ws: true } } },
  test: {
    environment: "jsdom",
    include: ["tests/**/*.test.ts", "src/**/*.test.ts"],
    setupFiles: ["tests/setup.ts"],
    restoreMocks: true,
  },
  // `MOCK=1`: pages without a server or footage.
  ...(process.env.MOCK ? { plugins: [mockEngine, svelte()] } : {}),
  // Components are mounted for real in tests: take Svelte's browser half.
  ...(process.env.VITEST ? { resolve: { conditions: ["browser"] } } : {}),
};

export default defineConfig(config);
