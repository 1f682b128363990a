// SPDX-License-Identifier: Apache-2.0
/** The HTTP API as the worker uses it (`docs/design/http.md`). Errors come out as `EngineError`; nothing is retried. */

import { Damaged, View, type Bytes } from "../vault";
import type { StreamName } from "./api";
import { EngineError } from "./errors";

/** A row of a segment's fragment list. */
export interface Row {
  start: number; // wall time, 90k
  duration: number;
  offset: number;
  size: number;
  key: boolean;
  keyBytes: number;
}

export interface Segment {
  start_90k: number;
  end_90k: number;
  kid: string;
  key_id: string;
  run: string;
  size_bytes: number;
  init_bytes: number;
  sha256: string | null;
  path: string;
  rows: Row[];
}

export interface AtHeader {
  camera: string;
  stream: StreamName;
  kid: string;
  key_id: string;
  start_90k: number;
  end_90k: number;
  row: Row;
  init_bytes: number;
  next_90k: number | null;
  prev_90k: number | null;
}

export interface At {
  header: AtHeader;
  init: Bytes;
  fragment: Bytes;
}

const HEADER_MAX = 1 << 20;

function rowOf(value: unknown): Row {
  if (!Array.isArray(value) || value.length < 6) throw new Damaged("a fragment row that is none");
  const [start, duration, offset, size, key, keyBytes] = value as [number, number, number, number, boolean, number];
  for (const number of [start, duration, offset, size, keyBytes])
    if (!Number.isSafeInteger(number) || number < 0) throw new Damaged("a fragment row that is none");
  return { start, duration, offset, size, key: Boolean(key), keyBytes };
}

export class Server {
  constructor(readonly base: string) {}

  liveUrl(): string {
    return `${this.base.replace(/^http/, "ws")}/api/live`;
  }

  async json<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await (await this.get(path, {}, signal)).json()) as T;
  }

  async bytes(path: string, signal?: AbortSignal): Promise<Bytes> {
    return new Uint8Array(await this.body(await this.get(path, {}, signal)));
  }

  key(camera: string, keyId: string): Promise<Bytes> {
    return this.bytes(`/api/keys/${encodeURIComponent(camera)}/${encodeURIComponent(keyId)}`);
  }

  /** Bytes [start, end) of a sealed file; all of it where `end` is null. */
  async footage(camera: string, stream: StreamName, kid: string, start: number, end: number | null, signal?: AbortSignal): Promise<Bytes> {
    const headers: Record<string, string> = end === null && start === 0 ? {} : { Range: `bytes=${start}-${end === null ? "" : end - 1}` };
    const path = `/api/footage/${encodeURIComponent(camera)}/${stream}/${encodeURIComponent(kid)}`;
    const answer = await this.get(path, headers, signal);
    const body = new Uint8Array(await this.body(answer));
    const whole = answer.status === 200 && (start > 0 || end !== null);
    const bytes = whole ? body.slice(start, end ?? undefined) : body;
    if (end !== null && bytes.length !== end - start) throw new Damaged(`${bytes.length} bytes of ${end - start} came`);
    return bytes;
  }

  async segments(camera: string, stream: StreamName, from: number, to: number, signal?: AbortSignal): Promise<{ segments: Segment[]; more: boolean }> {
    const query = new URLSearchParams({ camera, stream, from: String(from), to: String(to) });
    const answer = await this.json<{ segments: (Segment & { fragments: unknown[] })[]; more?: boolean }>(`/api/segments?${query}`, signal);
    if (!Array.isArray(answer.segments)) throw new Damaged("an answer without segments");
    const segments = answer.segments.map(({ fragments, ...segment }) => ({ ...segment, rows: fragments.map(rowOf) }));
    return { segments, more: Boolean(answer.more) };
  }

  /** One round trip to a picture. Rejects with `not-found` (facts `next_90k`, `prev_90k`) where nothing is recorded. */
  async at(
    camera: string,
    stream: StreamName,
    at: number,
    want: "fragment" | "key",
    dir: "before" | "after" | "near",
    signal?: AbortSignal,
  ): Promise<At> {
    const query = new URLSearchParams({ camera, stream, at: String(at), want, dir });
    const bytes = await this.bytes(`/api/at?${query}`, signal);
    const view = new View(bytes);
    const size = view.u32(0);
    if (size > HEADER_MAX) throw new Damaged("an answer with an absurd header");
    const header = JSON.parse(new TextDecoder().decode(view.slice(4, size))) as AtHeader & { fragment: unknown };
    const init = view.slice(4 + size, header.init_bytes);
    const fragment = bytes.slice(4 + size + header.init_bytes);
    return { header: { ...header, row: rowOf(header.fragment) }, init, fragment };
  }

  async signedIn(): Promise<boolean> {
    return Boolean((await this.json<{ signed_in?: boolean }>("/api/session")).signed_in);
  }

  private async body(answer: Response): Promise<ArrayBuffer> {
    try {
      return await answer.arrayBuffer();
    } catch (error) {
      throw broken(error);
    }
  }

  private async get(path: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    let answer: Response;
    try {
      answer = await fetch(this.base + path, { headers, credentials: "same-origin", signal: signal ?? null });
    } catch (error) {
      throw broken(error);
    }
    if (answer.ok) return answer;
    throw await refusal(answer);
  }
}

function broken(error: unknown): EngineError {
  if (error instanceof DOMException && error.name === "AbortError") return new EngineError("cancelled", "Cancelled.");
  return new EngineError("unreachable", "The server does not answer.", "Check that it runs and that this device reaches it.");
}

async function refusal(answer: Response): Promise<EngineError> {
  let problem: { title?: string; detail?: string; remedy?: string; code?: string } & Record<string, unknown> = {};
  try {
    problem = (await answer.json()) as typeof problem;
  } catch {
    // Not ours: a proxy's page. The status says enough.
  }
  const code = answer.status === 401 ? "signed-out" : answer.status === 404 ? "not-found" : "refused";
  const message = problem.detail ?? problem.title ?? `The server answered ${answer.status}.`;
  return new EngineError(code, message, problem.remedy ?? "", problem);
}
