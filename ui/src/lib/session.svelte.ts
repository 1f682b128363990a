// SPDX-License-Identifier: Apache-2.0
/** Who is here, and whether this browser holds the owner's key. */
import { api, Problem } from "./api";
import { theEngine } from "./engine";
import { site } from "./site.svelte";
import type { Session } from "./types";

export type Phase =
  | "loading"
  | "offline" // no answer yet
  | "no-owner" // set up first, by the one-time link
  | "sign-in"
  | "open"; // signed in, and footage opens here

class SessionStore {
  phase = $state<Phase>("loading");
  info = $state.raw<Session | null>(null);
  /** Signed in, but this browser does not hold the key (any more). */
  locked = $state(false);

  async refresh(): Promise<void> {
    try {
      this.info = await api.session();
    } catch (error) {
      if (this.phase === "loading" || this.phase === "offline") {
        this.phase = "offline";
        setTimeout(() => this.phase === "offline" && void this.refresh(), 2000);
      }
      if (!(error instanceof Problem)) throw error;
      return;
    }
    if (!this.info.owner) {
      this.phase = "no-owner";
      return;
    }
    if (!this.info.signed_in) {
      this.leave(false);
      return;
    }
    const engine = await theEngine();
    if (await engine.remembered()) await this.enter();
    else this.leave(true);
  }

  /** The key is in the worker and the session is good: show the console. */
  async enter(): Promise<void> {
    this.locked = false;
    this.phase = "open";
    await site.start(() => void this.signedOut());
  }

  /** After a good sign-in: ask who this is now, and show the console. */
  async signedIn(): Promise<void> {
    this.info = await api.session();
    await this.enter();
  }

  /** The server does not know the session any more; the key stays where it is until someone signs out here. */
  async signedOut(): Promise<void> {
    if (this.phase !== "open") return;
    this.leave(false);
    await this.refresh();
  }

  async signOut(): Promise<void> {
    const engine = await theEngine();
    await engine.lock();
    try {
      await api.logout();
    } finally {
      this.leave(false);
      await this.refresh();
    }
  }

  private leave(locked: boolean): void {
    site.stop();
    this.locked = locked;
    this.phase = "sign-in";
  }
}

export const session = new SessionStore();
