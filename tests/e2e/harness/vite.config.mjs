// SPDX-License-Identifier: Apache-2.0
// Run from ui/, whose Vite it is: `npx vite build --config ../tests/e2e/harness/vite.config.mjs --outDir FOLDER`.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export default {
  root: dirname(fileURLToPath(import.meta.url)),
  base: "/engine-harness/",
  build: {
    target: "es2022",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    rollupOptions: { input: fileURLToPath(new URL("main.ts", import.meta.url)), output: { entryFileNames: "main.js" } },
  },
  worker: { format: "es" },
};
