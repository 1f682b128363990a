// SPDX-License-Identifier: Apache-2.0
/** What a tile may claim. Only what is known to be so: a picture that stands still is never called live. */
import type { ViewState } from "../engine/api";
import type { StateName, StreamState, Ticks } from "../lib/types";
import { STATE, tidy } from "../lib/words";

export interface Truth {
  state: StateName;
  since: Ticks | null;
  why: string;
}

/** The view's own state (the worker has heard the server and sees the pictures); before it speaks, the server's. */
export function truth(view: ViewState | null, server: StreamState | undefined): Truth {
  if (view) return { state: view.state, since: view.since_90k, why: view.why };
  if (server && server.state !== "live") return { state: server.state, since: server.since_90k, why: server.why };
  return { state: "connecting", since: null, why: "" };
}

/** The sentence over a picture that is not live. */
export function sentence(t: Truth): string {
  return t.why ? tidy(t.why) : `${STATE[t.state].long}.`;
}

/** Is it being kept? The main stream is what is recorded, so its state counts whatever is on the screen. */
export function notRecording(main: StreamState | undefined, mode: string): StreamState | null {
  if (!main || mode === "paused") return null;
  return main.state === "gone" ? main : null;
}
