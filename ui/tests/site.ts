// SPDX-License-Identifier: Apache-2.0
/** Puts a page over a pretend server and a pretend engine, for component tests. */
import { vi } from "vitest";
import { createSite, type MockSite } from "../dev/mock.mjs";
import type { Engine } from "../src/engine/api";
import { setEngine } from "../src/lib/engine";

export interface PretendEngine {
  unlocked: string[];
  calls: [name: string, ...args: unknown[]][];
  clip?: (signal?: AbortSignal, onProgress?: (p: { phase: string; done: number; bytes: number }) => void) => Promise<unknown>;
  views: { camera: string; stream: string; muted: boolean; closed: boolean; options: Record<string, (value: unknown) => void> }[];
  remembered: boolean;
}

/** Answer `fetch` from a pretend site, and engine calls from a script. `restore` is vitest's. */
export function stage(options: Parameters<typeof createSite>[0] = {}): { site: MockSite; engine: PretendEngine } {
  const site = createSite(options);
  vi.stubGlobal("fetch", async (path: string, init: { method?: string; body?: string } = {}) => {
    const { status, json } = site.answer(init.method ?? "GET", path, init.body ? JSON.parse(init.body) : undefined);
    return new Response(status === 204 ? null : JSON.stringify(json), { status });
  });
  const store = <T>(value: T) => ({ subscribe: (run: (value: T) => void) => (run(value), () => undefined) });
  const engine: PretendEngine = { unlocked: [], calls: [], views: [], remembered: true };
  const record = (name: string, answer: unknown) => async (...args: unknown[]) => {
    engine.calls.push([name, ...args]);
    return answer;
  };
  setEngine({
    states: store({}),
    socket: store({ state: "open", since_90k: 0, why: "", retry_at_90k: null }),
    edge: store(null),
    passkeySupport: async () => false,
    remembered: async () => engine.remembered,
    makeOwner: record("makeOwner", { identity: "AGE-SECRET-KEY-PQ-1OWNER", recipient: "age1pq1o", recoveryIdentity: "AGE-SECRET-KEY-PQ-1RECOVERY", recoveryRecipient: "age1pq1r" }),
    sealBlobWithPassphrase: record("seal", { blob: "AAAA", salt: "AAAA", iterations: 600_000, auth: "right" }),
    passphraseAuth: async (passphrase: string) => (passphrase === "wrong one" ? "wrong" : "right"),
    unlockWithPassphrase: record("unlockWithPassphrase", undefined),
    unlock: record("unlock", undefined),
    lock: record("lock", undefined),
    live: (_canvas: unknown, camera: string, stream: string, options: Record<string, (value: unknown) => void>) => {
      const view = { camera, stream, muted: true, closed: false, options };
      engine.views.push(view);
      return Object.assign(view, {
        setStream: (next: string) => (view.stream = next),
        snapshot: async () => new Blob(["png"]),
        stats: () => ({ hasAudio: true, fps: 25, kbps: 1, delay_ms: 1, codec: "h264", width: 1, height: 1, stream: view.stream }),
        close: () => (view.closed = true),
      });
    },
    exportClip: (_camera: string, _from: number, _to: number, onProgress: never, signal: AbortSignal) => engine.clip?.(signal, onProgress),
    preview: async () => null,
  } as unknown as Engine);
  return { site, engine };
}
