// SPDX-License-Identifier: Apache-2.0
/**
 * The page's one live socket, in the worker. Comes back by itself, ever more slowly (0.5 s to 15 s, with jitter), for
 * as long as the page lives; a session that ended is the one reason to give up. Messages are handed on in order.
 */

import { Damaged, parseLive, type LiveMessage } from "../vault";
import type { CameraStates, SocketState, StreamName } from "./api";
import { wall90k, wallMs } from "./time";
import type { Server } from "./server";

export interface Channel {
  config(config: unknown): void;
  message(message: LiveMessage): void;
  /** The server left out samples up to the next key frame. */
  dropped(count: number): void;
  /** The socket is gone: what comes next is another run. */
  lost(): void;
}

export interface SocketNews {
  states(states: CameraStates): void;
  socket(state: SocketState): void;
  edge(edge: { camera: string; stream: StreamName; end_90k: number }): void;
}

const FIRST_MS = 500;
const LAST_MS = 15_000;
const STEADY_MS = 10_000; // open for this long: the next failure begins with FIRST_MS again
const SILENT_MS = 10_000; // the server says its states every second; this long without a word and the line is dead

export class LiveSocket {
  state: SocketState = { state: "idle", since_90k: wall90k(), why: "", retry_at_90k: null };
  cameras: CameraStates = {};
  /** Our clock minus the server's, in ms, as far as known: the smallest difference seen of this connection. */
  clockOffsetMs = 0;
  private socket: WebSocket | null = null;
  private wanted = false;
  private delay = FIRST_MS;
  private openedAt = 0;
  private heardAt = 0;
  private offsetSeen = Infinity;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly channels = new Map<string, Channel>();
  private numbers = new Map<number, string>();
  private asked = false;

  constructor(
    private readonly server: Server,
    private readonly news: SocketNews,
  ) {
    setInterval(() => this.look(), 1000);
  }

  /** The server's wall time, 90k, as far as known. */
  serverNow(): number {
    return Math.round((wallMs() - this.clockOffsetMs) * 90);
  }

  /** Open it, if it is not, and keep it open. */
  connect(): void {
    this.wanted = true;
    if (!this.socket && !this.timer) this.open();
  }

  /** Do not wait for the next try. */
  retryNow(): void {
    if (!this.wanted || this.socket) return;
    clearTimeout(this.timer);
    this.delay = FIRST_MS;
    this.open();
  }

  close(): void {
    this.wanted = false;
    clearTimeout(this.timer);
    this.timer = undefined;
    const { socket } = this;
    this.socket = null;
    socket?.close(1000);
    this.cameras = {};
    this.news.states(this.cameras);
    this.say("idle", "");
    for (const channel of this.channels.values()) channel.lost();
  }

  watch(camera: string, stream: StreamName, channel: Channel): void {
    this.channels.set(`${camera}/${stream}`, channel);
    this.connect();
    this.askSoon();
  }

  unwatch(camera: string, stream: StreamName): void {
    this.channels.delete(`${camera}/${stream}`);
    this.askSoon();
  }

  private askSoon(): void {
    if (this.asked) return;
    this.asked = true;
    queueMicrotask(() => {
      this.asked = false;
      this.ask();
    });
  }

  private ask(): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const watch = [...this.channels.keys()].map((name) => {
      const slash = name.lastIndexOf("/");
      return { camera: name.slice(0, slash), stream: name.slice(slash + 1) };
    });
    this.socket.send(JSON.stringify({ watch }));
  }

  private open(): void {
    this.timer = undefined;
    this.say("connecting", this.state.state === "lost" ? this.state.why : "");
    const socket = new WebSocket(this.server.liveUrl());
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.openedAt = this.heardAt = performance.now();
      this.offsetSeen = Infinity;
      this.say("open", "");
      this.ask();
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (this.socket !== socket) return;
      this.heardAt = performance.now();
      try {
        if (typeof data === "string") this.text(JSON.parse(data) as Record<string, unknown>);
        else this.binary(parseLive(new Uint8Array(data)));
      } catch (error) {
        if (!(error instanceof Damaged || error instanceof SyntaxError || error instanceof TypeError)) throw error;
        console.warn("live socket: a message that cannot be read", error);
      }
    };
    socket.onclose = (event) => {
      if (this.socket === socket) void this.closed(event.code, event.reason);
    };
  }

  private binary(message: LiveMessage): void {
    const name = this.numbers.get(message.channel);
    if (name !== undefined) this.channels.get(name)?.message(message);
  }

  private text(message: Record<string, unknown>): void {
    const channel = this.channels.get(this.numbers.get(Number(message["channel"])) ?? "");
    switch (message["type"]) {
      case "watching":
        this.numbers = new Map(Object.entries(message["channels"] as Record<string, number>).map(([name, number]) => [number, name]));
        break;
      case "config":
        this.numbers.set(Number(message["channel"]), `${String(message["camera"])}/${String(message["stream"])}`);
        this.channels.get(`${String(message["camera"])}/${String(message["stream"])}`)?.config(message);
        break;
      case "dropped":
        channel?.dropped(Number(message["count"]));
        break;
      case "state":
        this.offset(Number(message["at_90k"]));
        this.cameras = { ...this.cameras, ...(message["cameras"] as CameraStates) };
        this.news.states(this.cameras);
        break;
      case "edge":
        this.news.edge({ camera: String(message["camera"]), stream: message["stream"] as StreamName, end_90k: Number(message["end_90k"]) });
        break;
    }
  }

  /** Clocks within a quarter of a second are taken to be one clock, so that delays count the way here too. */
  private offset(at90k: number): void {
    this.offsetSeen = Math.min(this.offsetSeen, (wall90k() - at90k) / 90);
    this.clockOffsetMs = Math.abs(this.offsetSeen) < 250 ? 0 : this.offsetSeen;
  }

  private look(): void {
    const { socket } = this;
    if (socket?.readyState === WebSocket.OPEN && performance.now() - this.heardAt > SILENT_MS) {
      this.socket = null;
      socket.close();
      void this.closed(1006, "");
    }
  }

  private async closed(code: number, reason: string): Promise<void> {
    const steady = this.openedAt > 0 && performance.now() - this.openedAt > STEADY_MS;
    const refused = this.openedAt === 0 || code === 1008 || code >= 4400;
    this.socket = null;
    this.openedAt = 0;
    this.numbers.clear();
    for (const channel of this.channels.values()) channel.lost();
    if (!this.wanted) return;
    if (steady) this.delay = FIRST_MS;
    const wait = this.delay * (0.75 + crypto.getRandomValues(new Uint8Array(1))[0]! / 512);
    this.delay = Math.min(2 * this.delay, LAST_MS);
    const why = reason ? `The server closed the connection: ${reason}.` : "The connection to the server is lost.";
    this.say("lost", why, wall90k() + Math.round(wait * 90));
    this.timer = setTimeout(() => this.open(), wait);
    if (refused && (await this.signedOut()) && !this.socket) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.wanted = false;
      this.say("signed-out", "The session has ended.");
    }
  }

  private async signedOut(): Promise<boolean> {
    try {
      return !(await this.server.signedIn());
    } catch {
      return false; // no answer either: the server is away, not the session
    }
  }

  private say(state: SocketState["state"], why: string, retry: number | null = null): void {
    const since = state === this.state.state ? this.state.since_90k : wall90k();
    this.state = { state, since_90k: since, why, retry_at_90k: retry };
    this.news.socket(this.state);
  }
}
