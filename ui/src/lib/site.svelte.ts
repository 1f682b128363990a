// SPDX-License-Identifier: Apache-2.0
/**
 * What all pages show: the cameras, their states from the live socket, and whether the server answers.
 * One instance; owned by the page's thread. States come pushed; the list of cameras is asked for when something
 * changed it here, when a state names a camera that is not known, and every half minute.
 */
import type { Engine, SocketState } from "../engine/api";
import { api, onReach } from "./api";
import { theEngine } from "./engine";
import { notices } from "./notices.svelte";
import { now } from "./time";
import type { Camera, CameraStates, StreamState, Ticks } from "./types";
import { STATE, tidy } from "./words";

export interface Reach {
  ok: boolean;
  since: Ticks;
  why: string;
}

class Site {
  cameras = $state.raw<Camera[] | null>(null);
  states = $state.raw<Record<string, CameraStates>>({});
  reach = $state.raw<Reach>({ ok: true, since: now(), why: "" });
  socket = $state.raw<SocketState | null>(null);
  /** Ticks of the wall clock, once a second: for "since" and now-lines. */
  clock = $state(now());
  loadError = $state.raw<unknown>(null);
  #stops: (() => void)[] = [];

  async start(onSignedOut: () => void): Promise<void> {
    if (this.#stops.length) return;
    const second = setInterval(() => (this.clock = now()), 1000);
    const slow = setInterval(() => document.visibilityState === "visible" && void this.load(), 30_000);
    this.#stops.push(() => clearInterval(second), () => clearInterval(slow));
    this.#stops.push(onReach((ok) => this.#reached(ok)));
    await this.load();
    const engine: Engine = await theEngine();
    if (!this.#stops.length) return; // stopped meanwhile
    this.#stops.push(engine.states.subscribe((states) => this.#told(states as Record<string, CameraStates>)));
    this.#stops.push(
      engine.socket.subscribe((socket) => {
        this.socket = socket;
        if (socket.state === "signed-out") onSignedOut();
        if (socket.state === "lost") void this.#probe();
        if (socket.state === "open") this.#reached(true);
      }),
    );
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.cameras = null;
    this.states = {};
  }

  async load(): Promise<void> {
    try {
      this.cameras = (await api.cameras()).cameras;
      this.loadError = null;
    } catch (error) {
      this.loadError = error;
    }
  }

  camera(id: string): Camera | undefined {
    return this.cameras?.find((camera) => camera.id === id);
  }

  name(id: string): string {
    return this.camera(id)?.name ?? id;
  }

  /** A stream's state: pushed if there is one, else as the list of cameras had it. */
  stream(id: string, stream: "main" | "sub" = "main"): StreamState | undefined {
    return this.states[id]?.[stream] ?? this.camera(id)?.streams?.[stream];
  }

  /** Cameras that are not as they should be: neither live nor paused on purpose. */
  get troubled(): Camera[] {
    return (this.cameras ?? []).filter((camera) => {
      const state = this.stream(camera.id)?.state;
      return state !== undefined && state !== "live" && state !== "paused" && state !== "connecting";
    });
  }

  #told(states: Record<string, CameraStates>): void {
    for (const [id, streams] of Object.entries(states)) {
      const before = this.states[id]?.main?.state;
      const after = streams.main?.state;
      if (before && after && before !== after && this.camera(id)) {
        const why = streams.main?.why ? ` ${tidy(streams.main.why)}` : "";
        notices.say(`${this.name(id)}: ${STATE[after].label}.${why}`);
      }
    }
    this.states = states;
    if (this.cameras && Object.keys(states).some((id) => !this.camera(id))) void this.load();
  }

  #reached(ok: boolean): void {
    if (ok === this.reach.ok) return;
    this.reach = { ok, since: now(), why: ok ? "" : "The server does not answer." };
    notices.say(ok ? "The server answers again." : "The server does not answer. Trying again.");
    if (ok) void this.load();
    else this.#retry(1000);
  }

  async #probe(): Promise<void> {
    try {
      await api.session(); // its answer, or silence, goes to #reached
    } catch {
      // told already
    }
  }

  #retry(wait: number): void {
    const timer = setTimeout(async () => {
      if (this.reach.ok || !this.#stops.length) return;
      await this.#probe();
      if (!this.reach.ok) this.#retry(Math.min(wait * 1.6, 10_000));
    }, wait);
    this.#stops.push(() => clearTimeout(timer));
  }
}

export const site = new Site();
