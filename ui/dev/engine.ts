// SPDX-License-Identifier: Apache-2.0
/**
 * Stands in for the engine when pages are looked at without a server (`MOCK=1 npx vite`): draws scenes instead of
 * opening footage. Same shape as `src/engine/api.ts`; not part of the product.
 */
import type * as api from "../src/engine/api";

export class EngineError extends Error {
  constructor(readonly code: string, message: string, readonly remedy = "") {
    super(message);
  }
}

const now = (): number => Math.round(Date.now() * 90);
const store = <T>(value: T): api.Readable<T> => ({ subscribe: (run) => (run(value), () => undefined) });

function scene(canvas: HTMLCanvasElement | OffscreenCanvas, camera: string, t90k: number): void {
  const c = canvas.getContext("2d") as CanvasRenderingContext2D | null;
  if (!c) return;
  const [w, h] = [canvas.width, canvas.height];
  const hue = [...camera].reduce((sum, ch) => sum + ch.charCodeAt(0) * 7, 0) % 360;
  const sky = c.createLinearGradient(0, 0, 0, h);
  sky.addColorStop(0, `hsl(${hue} 18% 34%)`);
  sky.addColorStop(0.5, `hsl(${hue} 14% 52%)`);
  sky.addColorStop(0.51, "hsl(40 6% 30%)");
  sky.addColorStop(1, "hsl(40 5% 22%)");
  c.fillStyle = sky;
  c.fillRect(0, 0, w, h);
  c.fillStyle = `hsl(${hue + 20} 16% 26%)`;
  c.fillRect(w * 0.08, h * 0.22, w * 0.3, h * 0.42);
  c.fillStyle = `hsl(${hue + 40} 30% 66%)`;
  c.fillRect(w * 0.14, h * 0.32, w * 0.07, h * 0.12);
  c.fillRect(w * 0.25, h * 0.32, w * 0.07, h * 0.12);
  const s = t90k / 90_000;
  const px = ((s * 0.05 + hue / 360) % 1.3) * w - w * 0.15;
  c.fillStyle = "#20262c";
  c.beginPath();
  c.ellipse(px, h * 0.62, w * 0.022, h * 0.13, 0, 0, 7);
  c.fill();
  c.fillStyle = "#c99e7d";
  c.beginPath();
  c.arc(px, h * 0.47, h * 0.032, 0, 7);
  c.fill();
  c.fillStyle = "rgb(0 0 0 / 55%)";
  c.fillRect(w * 0.02, h * 0.9, w * 0.34, h * 0.07);
  c.fillStyle = "#fff";
  c.font = `${Math.round(h * 0.045)}px monospace`;
  c.fillText(new Date(t90k / 90).toISOString().replace("T", " ").slice(0, 22), w * 0.03, h * 0.95);
}

function size(canvas: HTMLCanvasElement): void {
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.max(2, Math.round(canvas.clientWidth * ratio)), Math.max(2, Math.round(canvas.clientHeight * ratio))];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
}

const TOLD: Record<string, [api.CameraState, number, string]> = {
  till: ["late", 90, "Pictures are 2.8 s late: the network is slow."],
  garage: ["gone", 1560, "No answer from 192.168.20.16 (timed out)."],
  office: ["paused", 18000, ""],
};

export class Engine {
  states = store<api.CameraStates>({});
  socket = store<api.SocketState>({ state: "open", since_90k: now(), why: "", retry_at_90k: null });
  edge = store(null);
  makeOwner = async () => ({
    identity: `AGE-SECRET-KEY-PQ-1${"QX5K2ZTR".repeat(7)}QX`, recipient: "age1pq1mock",
    recoveryIdentity: `AGE-SECRET-KEY-PQ-1${"7WMJ30VA".repeat(7)}PD`, recoveryRecipient: "age1pq1recover",
  });
  passphraseAuth = async (passphrase: string) => (passphrase === "wrong" ? "wrong" : "right");
  sealBlobWithPassphrase = async () => ({ blob: "AAAA", salt: "AAAA", iterations: 600000, auth: "right" });
  unlockWithPassphrase = async () => undefined;
  unlockWithPrf = async () => undefined;
  passkeySupport = async () => document.cookie.includes("passkeys");
  unlock = async () => undefined;
  remembered = async () => true;
  lock = async () => undefined;

  live(canvas: HTMLCanvasElement, camera: string, stream: api.StreamName, o: api.LiveOptions = {}) {
    const [state, ago, why] = TOLD[camera] ?? ["live", 3600, ""];
    o.onState?.({ state, since_90k: now() - ago * 90_000, why });
    const draw = (): void => {
      if (camera === "office") return;
      size(canvas);
      scene(canvas, camera, state === "gone" ? now() - ago * 90_000 : now());
      o.onPicture?.({ t90k: now(), width: canvas.width, height: canvas.height });
    };
    draw();
    const timer = setInterval(draw, 80);
    return {
      camera, stream, muted: true, setStream: () => undefined,
      snapshot: () => new Promise<Blob>((done) => canvas.toBlob((blob) => done(blob as Blob))),
      stats: () => ({ fps: 25, kbps: 3900, delay_ms: 84, decoded: 900, dropped: 0, firstPictureMs: 300, width: 1920, height: 1080, codec: "h264", stream, hasAudio: camera === "door", path: "webcodecs" }),
      close: () => clearInterval(timer),
    };
  }

  player(canvases: Map<string, HTMLCanvasElement>, o: api.PlayerOptions = {}) {
    let time: api.PlayerTime = { t90k: now(), playing: false, rate: 1, waiting: false };
    const subscribers = new Set<(time: api.PlayerTime) => void>(o.onTime ? [o.onTime] : []);
    const show = (): void => {
      for (const [camera, canvas] of canvases) {
        size(canvas);
        scene(canvas, camera, time.t90k);
        o.onGap?.(camera, camera === "garage" ? { camera, next_90k: null, prev_90k: now() - 1560 * 90_000 } : null);
      }
      for (const tell of subscribers) tell(time);
    };
    const timer = setInterval(() => {
      if (time.playing) time = { ...time, t90k: Math.min(now(), time.t90k + 0.05 * 90_000 * time.rate) };
      if (time.playing) show();
    }, 50);
    return {
      time: { subscribe: (run: (time: api.PlayerTime) => void) => (run(time), subscribers.add(run), () => subscribers.delete(run)) },
      seek: async (t90k: number) => ((time = { ...time, t90k }), show()),
      play: (rate = 1) => ((time = { ...time, playing: true, rate }), show()),
      pause: () => ((time = { ...time, playing: false }), show()),
      step: async (direction: number) => ((time = { ...time, playing: false, t90k: time.t90k + direction * 3600 }), show()),
      onTime: (run: (time: api.PlayerTime) => void) => (subscribers.add(run), () => subscribers.delete(run)),
      muted: true, soundCamera: null,
      snapshot: async () => new Blob(["png"]),
      setCameras: (next: Map<string, HTMLCanvasElement>) => ((canvases = next), show()),
      stats: () => ({ seekMs: 90, exactMs: 120, decoded: 1, skipped: 0 }),
      close: () => clearInterval(timer),
    };
  }

  async preview(camera: string, t90k: number): Promise<ImageBitmap> {
    const canvas = new OffscreenCanvas(384, 216);
    scene(canvas, camera, t90k);
    return canvas.transferToImageBitmap();
  }

  async exportClip(camera: string, from: number, to: number, onProgress?: (p: api.ExportProgress) => void, signal?: AbortSignal) {
    for (let i = 0; i <= 20; i += 1) {
      if (signal?.aborted) throw new EngineError("cancelled", "The clip was cancelled.");
      onProgress?.({ phase: i < 18 ? "reading" : "writing", done: i / 20, bytes: i * 2e6 });
      await new Promise((done) => setTimeout(done, 120));
    }
    return { blob: new Blob(["mp4"]), name: `${camera}.mp4`, more: [], report: { camera, from_90k: from, to_90k: to, recorded_90k: to - from - 90_000 * 25, gaps: [{ start_90k: from + 900_000, end_90k: from + 900_000 + 90_000 * 25, cause: "unreachable", detail: "connection reset" }], altered: [], verified: 4, unverified: 1 } };
  }
}
