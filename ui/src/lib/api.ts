// SPDX-License-Identifier: Apache-2.0
/** The server's HTTP API. Every failure is a `Problem`: one sentence for a person, and what to do next. */
import type {
  Camera, CameraRequest, Hold, Identity, Ledger, Session, SessionRow, Storage, System, TestResult, Ticks, TimelineAnswer,
} from "./types";

/** RFC 9457, or the network itself (`status` 0, code `offline`). */
export class Problem extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    readonly remedy = "",
    readonly retryAfter = 0,
  ) {
    super(message);
    this.name = "Problem";
  }
}

type Listener = (reachable: boolean) => void;
const listeners = new Set<Listener>();

/** Hear of every answer (true) and every silence (false) of the server. */
export function onReach(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const tell = (reachable: boolean): void => listeners.forEach((listener) => listener(reachable));

async function problem(response: Response): Promise<Problem> {
  const retry = Number(response.headers.get("retry-after") ?? 0) || 0;
  try {
    const body = (await response.json()) as { title?: string; detail?: string; code?: string; remedy?: string };
    const text = body.detail || body.title || `The server answered ${response.status}.`;
    return new Problem(text, response.status, body.code ?? "unknown", body.remedy ?? "", retry);
  } catch {
    return new Problem(`The server answered ${response.status}.`, response.status, "unknown", "Try again in a moment.", retry);
  }
}

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    tell(false);
    throw new Problem("The server does not answer.", 0, "offline", "Check that Closed Circuit is running, and your network.");
  }
  // A proxy in front of a stopped server answers in its place.
  tell(response.status !== 502 && response.status !== 503 && response.status !== 504);
  if (!response.ok) throw await problem(response);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

function query(values: Record<string, string | number | readonly string[] | undefined>): string {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? (value as string[]) : [String(value)]) q.append(name, one);
  }
  return q.toString();
}

const id = encodeURIComponent;

export const api = {
  session: () => call<Session>("GET", "/api/session"),
  setupPasskey: (token: string, name: string) =>
    call<{ options: unknown }>("POST", "/api/setup/passkey", { token, name }),
  setup: (body: unknown) => call<unknown>("POST", "/api/setup", body),
  loginOptions: () =>
    call<{ kind: "passphrase"; salt: string; iterations: number } | { kind: "passkey"; options: unknown }>("GET", "/api/login"),
  login: (body: unknown) => call<{ recipient: string; blob: string; kind: string }>("POST", "/api/login", body),
  logout: () => call<void>("POST", "/api/logout"),
  sessions: () => call<{ sessions: SessionRow[] }>("GET", "/api/sessions"),
  revoke: (session: string) => call<void>("DELETE", `/api/sessions/${id(session)}`),
  identity: () => call<Identity>("GET", "/api/identity"),

  cameras: () => call<{ cameras: Camera[] }>("GET", "/api/cameras"),
  addCamera: (camera: CameraRequest) => call<Camera>("POST", "/api/cameras", camera),
  /** `known`: a camera whose password is used where none is typed. */
  testCamera: (camera: CameraRequest, known?: string, signal?: AbortSignal) =>
    call<TestResult>("POST", `/api/cameras/test${known ? `?${query({ camera: known })}` : ""}`, camera, signal),
  changeCamera: (camera: string, change: Partial<CameraRequest> & { paused?: boolean }) =>
    call<Camera | undefined>("PATCH", `/api/cameras/${id(camera)}`, change),
  removeCamera: (camera: string, footage: "keep" | "delete") =>
    call<void>("DELETE", `/api/cameras/${id(camera)}?footage=${footage}`),

  timeline: (cameras: string[], from: Ticks, to: Ticks, px: number, signal?: AbortSignal) =>
    call<TimelineAnswer>("GET", `/api/timeline?${query({ camera: cameras, from: Math.floor(from), to: Math.ceil(to), px })}`, undefined, signal),
  ledger: (camera: string, from: Ticks, to: Ticks) =>
    call<Ledger>("GET", `/api/ledger?${query({ camera, from: Math.floor(from), to: Math.ceil(to) })}`),
  holds: () => call<{ holds: Hold[] }>("GET", "/api/holds"),
  hold: (hold: Omit<Hold, "id" | "made_90k">) => call<Hold>("POST", "/api/holds", hold),
  release: (hold: string) => call<void>("DELETE", `/api/holds/${id(hold)}`),

  storage: () => call<Storage>("GET", "/api/storage"),
  keep: (keep_days: number) => call<unknown>("PATCH", "/api/storage", { keep_days }),
  system: () => call<System>("GET", "/api/system"),
};
