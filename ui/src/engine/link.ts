// SPDX-License-Identifier: Apache-2.0
/** The page's end of the wire to the worker (`rpc.ts`). The worker is started by the first call. */

import { EngineError } from "./errors";
import type { Answer, CallName, Calls, EventName, Events, News, WireError } from "./rpc";

type Listener = (value: never) => void;

export function fromWire(error: WireError): EngineError {
  return new EngineError(error.code, error.message, error.remedy, error.facts);
}

export class Link {
  private worker: Worker | null = null;
  private nextId = 1;
  private readonly waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>();
  private readonly listeners = new Map<string, Listener>();

  constructor(private readonly base: string) {}

  /** Resolves with the worker's answer. */
  call<K extends CallName>(call: K, ...args: Parameters<Calls[K]>): Promise<ReturnType<Calls[K]>> {
    return this.send(call, args, []);
  }

  /** Like `call`, with the answer of no interest to anybody: failures go to the console. */
  tell<K extends CallName>(call: K, ...args: Parameters<Calls[K]>): void {
    this.send(call, args, []).catch((error: unknown) => console.warn(call, error));
  }

  give(canvas: number, surface: OffscreenCanvas): void {
    this.send("addCanvas", [canvas, surface], [surface]).catch((error: unknown) => console.warn("addCanvas", error));
  }

  /** One listener an event and handle; handle 0 is the engine itself. Returns what ends it. */
  on<K extends EventName>(event: K, handle: number, listener: (value: Events[K]) => void): () => void {
    const name = `${event} ${handle}`;
    this.listeners.set(name, listener as Listener);
    return () => void this.listeners.delete(name);
  }

  close(): void {
    this.worker?.terminate();
    this.worker = null;
    for (const one of this.waiting.values()) one.reject(new EngineError("cancelled", "The page closed the engine."));
    this.waiting.clear();
  }

  private send<K extends CallName>(call: K, args: Parameters<Calls[K]>, transfer: Transferable[]): Promise<ReturnType<Calls[K]>> {
    const worker = this.worker ?? this.start();
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      worker.postMessage({ id, call, args }, transfer);
    });
  }

  private start(): Worker {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "engine" });
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer | News>) => ("event" in data ? this.news(data) : this.answer(data));
    worker.onerror = (event) => {
      const failure = new EngineError("failed", `The engine could not run: ${event.message || "its file did not load"}.`, "Reload the page.");
      for (const one of this.waiting.values()) one.reject(failure);
      this.waiting.clear();
    };
    worker.postMessage({ id: 0, call: "setup", args: [{ base: this.base }] });
    return worker;
  }

  private news({ event, handle, value }: News): void {
    this.listeners.get(`${event} ${handle}`)?.(value as never);
  }

  private answer(answer: Answer): void {
    const one = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if (!one) return;
    if ("error" in answer) one.reject(fromWire(answer.error));
    else one.resolve(answer.value as never);
  }
}
