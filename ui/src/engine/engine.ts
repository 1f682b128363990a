// SPDX-License-Identifier: Apache-2.0
/** The page's end of the engine. See `api.ts` for the promises. */

import type { CameraStates, Clip, EngineOptions, ExportOptions, ExportProgress, LiveOptions, LiveView, Owner, PasskeyAnswer, PassphraseBlob, Player, PlayerOptions, Readable, SocketState, StreamName } from "./api";
import { EngineError } from "./errors";
import { Link } from "./link";
import { LiveHandle } from "./liveview";
import { MseScreen } from "./msescreen";
import * as passkey from "./passkey";
import { PlayerHandle } from "./playerhandle";
import { Store } from "./store";

export class Engine {
  /** Every camera's state as the server says it. The first subscriber opens the live socket. */
  readonly states: Readable<CameraStates>;
  readonly socket: Readable<SocketState>;
  /** The newest moment on disk, after each fragment. */
  readonly edge: Readable<{ camera: string; stream: StreamName; end_90k: number } | null>;
  private readonly link: Link;
  private readonly useMse: boolean;
  private nextHandle = 1;
  private readonly surfaces = new WeakMap<HTMLCanvasElement, number>();
  private readonly gone = new FinalizationRegistry<number>((id) => this.link.tell("dropCanvas", id));
  private readonly online = (): void => this.link.tell("retryNow");

  constructor(options: EngineOptions = {}) {
    this.useMse = options.forceMse ?? typeof VideoDecoder === "undefined";
    this.link = new Link(options.base || location.origin);
    const states = new Store<CameraStates>({});
    const socket = new Store<SocketState>({ state: "idle", since_90k: Date.now() * 90, why: "", retry_at_90k: null });
    const edge = new Store<{ camera: string; stream: StreamName; end_90k: number } | null>(null);
    this.link.on("states", 0, (value) => states.set(value));
    this.link.on("socket", 0, (value) => socket.set(value));
    this.link.on("edge", 0, (value) => edge.set(value));
    this.states = this.connecting(states);
    this.socket = this.connecting(socket);
    this.edge = this.connecting(edge);
    addEventListener("online", this.online);
  }

  /** Subscribing to what comes over the live socket opens it. */
  private connecting<T>(store: Store<T>): Readable<T> {
    return {
      subscribe: (run) => {
        this.link.tell("connect");
        return store.subscribe(run);
      },
    };
  }

  // ---------------------------------------------------------------------------------------------- the owner's key

  makeOwner(): Promise<Owner> {
    return this.link.call("makeOwner");
  }

  /** The recipient of an identity typed in by a person; rejects with `wrong-key` where it is none. */
  recipientOf(identity: string): Promise<string> {
    return this.link.call("recipientOf", identity);
  }

  /** What to send to `POST /api/login`. The same passphrase is not derived twice if the blob is opened next. */
  passphraseAuth(passphrase: string, salt: string, iterations: number): Promise<string> {
    return this.link.call("passphraseAuth", passphrase, salt, iterations);
  }

  sealBlobWithPassphrase(identity: string, passphrase: string): Promise<PassphraseBlob> {
    return this.link.call("sealBlobWithPassphrase", identity, passphrase);
  }

  openBlobWithPassphrase(blob: string, passphrase: string, salt: string, iterations: number): Promise<{ identity: string; auth: string }> {
    return this.link.call("openBlobWithPassphrase", blob, passphrase, salt, iterations);
  }

  /** As `openBlobWithPassphrase` and `unlock`, without the identity coming into the page: prefer it. */
  unlockWithPassphrase(blob: string, passphrase: string, salt: string, iterations: number): Promise<void> {
    return this.link.call("unlockWithPassphrase", blob, passphrase, salt, iterations);
  }

  passkeySupport(): Promise<boolean> {
    return passkey.passkeySupport();
  }

  createPasskey(options: Record<string, unknown>): Promise<PasskeyAnswer> {
    return passkey.createPasskey(options);
  }

  signInWithPasskey(options: Record<string, unknown>): Promise<PasskeyAnswer> {
    return passkey.signInWithPasskey(options);
  }

  sealBlobWithPrf(identity: string, prf: Uint8Array<ArrayBuffer>): Promise<string> {
    return this.link.call("sealBlobWithPrf", identity, prf);
  }

  openBlobWithPrf(blob: string, prf: Uint8Array<ArrayBuffer>): Promise<string> {
    return this.link.call("openBlobWithPrf", blob, prf);
  }

  /** As `openBlobWithPrf` and `unlock`, without the identity coming into the page: prefer it. */
  unlockWithPrf(blob: string, prf: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.link.call("unlockWithPrf", blob, prf);
  }

  /** From here on footage opens. Remembered in this browser, sealed by a key that cannot be taken out, until `lock`. */
  unlock(identity: string): Promise<void> {
    return this.link.call("unlock", identity);
  }

  /** True where an earlier page of this browser unlocked and nobody locked since; the worker is unlocked then. */
  remembered(): Promise<boolean> {
    return this.link.call("remembered");
  }

  /** Sign-out: forget identity and keys here and in this browser, close the socket and all views' keys. */
  lock(): Promise<void> {
    return this.link.call("lock");
  }

  // ---------------------------------------------------------------------------------------------- pictures

  live(canvas: HTMLCanvasElement, camera: string, stream: StreamName, options: LiveOptions = {}): LiveView {
    const handle = this.nextHandle++;
    const mse = this.useMse ? new MseScreen(canvas) : null;
    const surface = mse ? null : this.surface(canvas);
    const view = new LiveHandle(this.link, handle, camera, stream, mse, options);
    this.link.tell("liveOpen", handle, { canvas: surface, camera, stream, pictures: Boolean(options.onPicture) });
    return view;
  }

  player(canvases: Map<string, HTMLCanvasElement>, options: PlayerOptions = {}): Player {
    if (typeof VideoDecoder === "undefined")
      throw new EngineError("unsupported", "This browser cannot play recordings (it has no WebCodecs).", "Use a current Chrome, Edge, Firefox or Safari.");
    return new PlayerHandle(this.link, this.nextHandle++, canvases, (canvas) => this.surface(canvas), options);
  }

  /** The key frame nearest to a moment, small where there is a substream; null where nothing is recorded, or a newer
   * request for the same camera came before this one was answered. The caller closes the bitmap. */
  preview(camera: string, t90k: number): Promise<ImageBitmap | null> {
    return this.link.call("preview", camera, Math.round(t90k));
  }

  /** An ordinary MP4, nothing coded anew. Aborting `signal` rejects with `cancelled`. */
  async exportClip(
    camera: string,
    from90k: number,
    to90k: number,
    onProgress?: (progress: ExportProgress) => void,
    signal?: AbortSignal,
    options: ExportOptions = {},
  ): Promise<Clip> {
    const job = this.nextHandle++;
    const end = this.link.on("job.progress", job, (progress) => onProgress?.(progress));
    const abort = (): void => this.link.tell("cancel", job);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      if (signal?.aborted) throw new EngineError("cancelled", "The clip was cancelled.");
      return await this.link.call("exportClip", job, camera, Math.round(from90k), Math.round(to90k), options);
    } finally {
      end();
      signal?.removeEventListener("abort", abort);
    }
  }

  close(): void {
    removeEventListener("online", this.online);
    this.link.close();
  }

  /** A canvas can be handed to the worker once in its life; later views on it use it again. */
  private surface(canvas: HTMLCanvasElement): number {
    const known = this.surfaces.get(canvas);
    if (known !== undefined) return known;
    const id = this.nextHandle++;
    this.link.give(id, canvas.transferControlToOffscreen());
    // Must not hold the canvas itself: it would live as long as the page.
    new ResizeObserver(([entry]) => {
      const scale = devicePixelRatio || 1;
      if (entry) this.link.tell("sizeCanvas", id, Math.round(entry.contentRect.width * scale), Math.round(entry.contentRect.height * scale));
    }).observe(canvas);
    this.surfaces.set(canvas, id);
    this.gone.register(canvas, id);
    return id;
  }
}
