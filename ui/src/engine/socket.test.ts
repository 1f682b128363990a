// @vitest-environment node
// SPDX-License-Identifier: Apache-2.0
/** The live socket: what it asks for, what it hands on, and how it comes back. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { CameraStates, SocketState } from "./api";
import type { Server } from "./server";
import { LiveSocket, type Channel } from "./socket";

class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: string[] = [];
  binaryType = "";
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.readyState = 3;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(value: unknown): void {
    this.onmessage?.({ data: value instanceof ArrayBuffer ? value : JSON.stringify(value) });
  }
  fail(code = 1006): void {
    this.readyState = 3;
    this.onclose?.({ code, reason: "" });
  }
}

let signedIn: boolean;
let states: CameraStates;
let said: SocketState[];
let socket: LiveSocket;
const heard: string[] = [];

function channel(name: string): Channel {
  return {
    config: () => heard.push(`${name} config`),
    message: (message) => heard.push(`${name} ${message.sequence}`),
    dropped: (count) => heard.push(`${name} dropped ${count}`),
    lost: () => heard.push(`${name} lost`),
  };
}

function message(number: number, sequence: number): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint8(0, 1);
  view.setUint16(2, number);
  view.setUint32(12, sequence);
  return view.buffer;
}

function last(): FakeSocket {
  return FakeSocket.all.at(-1)!;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  FakeSocket.all = [];
  heard.length = 0;
  signedIn = true;
  states = {};
  said = [];
  const server = { liveUrl: () => "ws://test/api/live", signedIn: () => Promise.resolve(signedIn) } as Partial<Server> as Server;
  socket = new LiveSocket(server, { states: (value) => (states = value), socket: (value) => said.push(value), edge: () => undefined });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("it asks for the whole set that is wanted, once a turn", async () => {
  socket.watch("a", "main", channel("a"));
  last().open();
  await vi.advanceTimersByTimeAsync(0);
  socket.watch("b", "sub", channel("b"));
  socket.unwatch("a", "main");
  await vi.advanceTimersByTimeAsync(0);
  expect(JSON.parse(last().sent.at(-1)!)).toEqual({ watch: [{ camera: "b", stream: "sub" }] });
  expect(FakeSocket.all.length).toBe(1);
});

test("messages go to the channel whose number the server gave", () => {
  socket.watch("a", "main", channel("a"));
  socket.watch("b", "main", channel("b"));
  last().open();
  last().say({ type: "watching", channels: { "a/main": 3, "b/main": 9 } });
  last().say({ type: "config", channel: 9, camera: "b", stream: "main" });
  last().say(message(9, 5));
  last().say(message(3, 6));
  last().say(message(4, 7)); // nobody's
  last().say({ type: "dropped", channel: 3, count: 8 });
  expect(heard).toEqual(["b config", "b 5", "a 6", "a dropped 8"]);
});

test("states of some cameras do not forget the others", () => {
  socket.connect();
  last().open();
  last().say({ type: "state", at_90k: 0, cameras: { a: { main: { state: "live", since_90k: 1, why: "" } } } });
  last().say({ type: "state", at_90k: 0, cameras: { b: { main: { state: "gone", since_90k: 1, why: "away" } } } });
  expect(Object.keys(states)).toEqual(["a", "b"]);
});

test("nonsense from the server ends nothing", () => {
  const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
  socket.watch("a", "main", channel("a"));
  last().open();
  last().onmessage?.({ data: "{" });
  last().say(new ArrayBuffer(3));
  last().say({ type: "state" });
  last().say({ type: "watching" });
  last().say({ type: "watching", channels: { "a/main": 1 } });
  last().say(message(1, 1));
  expect(heard).toEqual(["a 1"]);
  expect(warn).toHaveBeenCalled();
});

test("it comes back ever more slowly, never gives up, and begins anew when it held", async () => {
  socket.connect();
  const waits: number[] = [];
  for (let i = 0; i < 9; i++) {
    const began = Date.now();
    last().fail();
    const count = FakeSocket.all.length;
    while (FakeSocket.all.length === count) await vi.advanceTimersByTimeAsync(50);
    waits.push(Date.now() - began);
  }
  expect(waits[0]).toBeLessThan(800);
  expect(waits.at(-1)).toBeGreaterThan(10_000);
  expect(Math.max(...waits)).toBeLessThan(20_000);
  last().open();
  await vi.advanceTimersByTimeAsync(5000);
  last().say({ type: "edge" });
  await vi.advanceTimersByTimeAsync(6000);
  last().fail();
  const count = FakeSocket.all.length;
  await vi.advanceTimersByTimeAsync(800);
  expect(FakeSocket.all.length).toBe(count + 1);
});

test("a session that ended is the one reason to stop", async () => {
  socket.connect();
  signedIn = false;
  last().fail();
  await vi.advanceTimersByTimeAsync(180_000);
  expect(said.at(-1)).toMatchObject({ state: "signed-out" });
  const count = FakeSocket.all.length;
  socket.retryNow();
  await vi.advanceTimersByTimeAsync(180_000);
  expect(FakeSocket.all.length).toBe(count);
});

test("a line that went silent is taken for dead", async () => {
  socket.watch("a", "main", channel("a"));
  last().open();
  await vi.advanceTimersByTimeAsync(9000);
  expect(said.at(-1)?.state).toBe("open");
  await vi.advanceTimersByTimeAsync(3000);
  expect(heard).toContain("a lost");
  expect(FakeSocket.all.length).toBe(2);
});

test("closing is final until somebody connects again", async () => {
  socket.connect();
  last().open();
  socket.close();
  await vi.advanceTimersByTimeAsync(180_000);
  expect(FakeSocket.all.length).toBe(1);
  expect(said.at(-1)?.state).toBe("idle");
  socket.connect();
  expect(FakeSocket.all.length).toBe(2);
});
