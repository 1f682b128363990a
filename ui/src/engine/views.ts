// SPDX-License-Identifier: Apache-2.0
/** The live views of the page: which stream each shows, on which canvas, and the truth about it. */

import type { CameraStates, LiveStats, StreamName, StreamState, ViewState } from "./api";
import { EngineError } from "./errors";
import { toWire } from "./failures";
import { Feed } from "./feed";
import type { Keyring } from "./keyring";
import { LiveMse } from "./livemse";
import { LivePicture, type PictureSink } from "./livepicture";
import type { EventName, Events, Sound } from "./rpc";
import type { Screen, Screens } from "./screen";
import type { LiveSocket } from "./socket";
import { wall90k, wallMs } from "./time";

export type Tell = <K extends EventName>(event: K, handle: number, value: Events[K], transfer?: Transferable[]) => void;

const LATE_MS = 1500; // the delay grew by this over the best one seen
const FROZEN_MIN_MS = 2000;
const FROZEN_PICTURES = 6; // no picture for as long as this many should take
const LOOK_MS = 250;
const STATS_MS = 1000;

/** One feed and what it ends in; shared by the views that show it. */
interface Source {
  feed: Feed;
  picture: LivePicture | null;
  mse: LiveMse | null;
  views: Set<View>;
  bestDelayMs: number; // the smallest delay between capture and arrival that was seen
  rates: { at: number; bytes: number; drawn: number };
}

export class Views {
  private readonly views = new Map<number, View>();
  private readonly sources = new Map<string, Source>();
  states: CameraStates = {};

  constructor(
    private readonly keyring: Keyring,
    readonly socket: LiveSocket,
    private readonly screens: Screens,
    readonly tell: Tell,
  ) {
    setInterval(() => this.look(), LOOK_MS);
    setInterval(() => this.stats(), STATS_MS);
  }

  open(handle: number, to: { canvas: number | null; camera: string; stream: StreamName; pictures: boolean }): void {
    const screen = to.canvas === null ? null : this.screens.get(to.canvas);
    const view = new View(this, handle, to.camera, to.stream, screen, to.pictures);
    this.views.set(handle, view);
    view.begin();
  }

  get(handle: number): View {
    const view = this.views.get(handle);
    if (!view) throw new EngineError("cancelled", "This view is closed.");
    return view;
  }

  close(handle: number): void {
    this.views.get(handle)?.end();
    this.views.delete(handle);
  }

  /** The key came or went: every stream begins anew. */
  again(): void {
    for (const source of [...this.sources.values()]) {
      this.socket.unwatch(source.feed.camera, source.feed.stream);
      source.feed.lost();
      // In a later turn, so that the server sees the stream leave and come back, and sends its config again.
      setTimeout(() => source.views.size && this.socket.watch(source.feed.camera, source.feed.stream, source.feed), 0);
    }
  }

  attach(view: View, stream: StreamName): Source {
    const key = `${view.camera}/${stream}${view.screen ? "" : " mse"}`;
    let source = this.sources.get(key);
    if (!source) {
      const changed = (): void => {
        for (const one of source?.views ?? []) one.changed();
      };
      const picture = view.screen ? new LivePicture(changed) : null;
      const mse = view.screen ? null : new LiveMse();
      const outlet = picture ?? mse!;
      const feed = new Feed(view.camera, stream, this.keyring, outlet, changed);
      if (picture) picture.feed = feed;
      source = { feed, picture, mse, views: new Set(), bestDelayMs: Infinity, rates: { at: wallMs(), bytes: 0, drawn: 0 } };
      this.sources.set(key, source);
      this.socket.watch(view.camera, stream, feed);
    }
    source.views.add(view);
    return source;
  }

  detach(view: View, source: Source): void {
    source.views.delete(view);
    if (source.views.size) return;
    for (const [key, one] of this.sources) if (one === source) this.sources.delete(key);
    this.socket.unwatch(source.feed.camera, source.feed.stream);
    source.feed.stop();
  }

  private look(): void {
    for (const source of this.sources.values()) {
      const delay = source.feed.arrivedMs - source.feed.newest90k / 90;
      if (source.feed.arrivedMs && delay < source.bestDelayMs) source.bestDelayMs = delay;
    }
    for (const view of this.views.values()) view.look();
  }

  private stats(): void {
    const now = wallMs();
    for (const source of this.sources.values()) {
      const { rates, feed, picture } = source;
      const seconds = Math.max(0.001, (now - rates.at) / 1000);
      const kbps = (8 * (feed.bytes - rates.bytes)) / 1000 / seconds;
      const fps = ((picture?.drawn ?? 0) - rates.drawn) / seconds;
      source.rates = { at: now, bytes: feed.bytes, drawn: picture?.drawn ?? 0 };
      for (const view of source.views) view.stats(source, Math.round(kbps), Math.round(fps * 10) / 10);
    }
  }
}

export class View implements PictureSink {
  listening = false;
  private source: Source | null = null;
  private next: Source | null = null; // until its first picture, `source` stays on the canvas
  private readonly openedMs = wallMs();
  private firstPictureMs: number | null = null;
  private said: ViewState = { state: "connecting", since_90k: wall90k(), why: "" };
  private saidProblem: string | null = null;
  private readonly mseSink = (chunk: Events["view.mse"]): void => this.views.tell("view.mse", this.handle, chunk);

  constructor(
    private readonly views: Views,
    private readonly handle: number,
    readonly camera: string,
    private wanted: StreamName,
    readonly screen: Screen | null,
    private readonly pictures: boolean,
  ) {}

  begin(): void {
    this.source = this.attach(this.wanted);
    this.look();
  }

  setStream(stream: StreamName): void {
    this.wanted = stream;
    this.turnTo(stream);
  }

  snapshot(): Promise<Blob> {
    if (!this.screen) throw new EngineError("failed", "The page has this picture, not the worker.");
    return this.screen.snapshot();
  }

  end(): void {
    for (const source of [this.source, this.next]) if (source) this.detach(source);
    this.source = this.next = null;
    this.screen?.clear();
  }

  // ---------------------------------------------------------------------------------------------- pictures

  picture(frame: VideoFrame, t90k: number): void {
    if (!this.screen) return frame.close();
    this.screen.show(frame);
    this.firstPictureMs ??= wallMs() - this.openedMs;
    if (this.pictures) this.views.tell("view.picture", this.handle, { t90k, width: frame.displayWidth, height: frame.displayHeight });
  }

  sound(sound: Sound): void {
    this.views.tell("view.sound", this.handle, sound, [sound.data]);
  }

  /** The feed or its decoder has something new to say. */
  changed(): void {
    const source = this.next ?? this.source;
    const unable = source?.picture?.problem?.code === "unsupported" ? source.picture.problem : null;
    if (source && unable) {
      const other: StreamName = source.feed.stream === "main" ? "sub" : "main";
      if (this.mayStandIn(other)) {
        this.turnTo(other);
        return;
      }
    }
    this.look();
  }

  private mayStandIn(stream: StreamName): boolean {
    const state = this.views.states[this.camera]?.[stream];
    return this.source?.feed.stream !== stream && this.next?.feed.stream !== stream && state !== undefined && state.codec === "h264";
  }

  private turnTo(stream: StreamName): void {
    if (this.source?.feed.stream === stream) {
      if (this.next) this.detach(this.next);
      this.next = null;
      return;
    }
    if (this.next?.feed.stream === stream) return;
    if (this.next) this.detach(this.next);
    this.next = this.attach(stream);
    if (!this.screen) this.settle();
  }

  private settle(): void {
    if (!this.next) return;
    if (this.source) this.detach(this.source);
    this.source = this.next;
    this.next = null;
  }

  private attach(stream: StreamName): Source {
    const source = this.views.attach(this, stream);
    source.picture?.sinks.add(this.sinkOf(source));
    source.mse?.sinks.add(this.mseSink);
    return source;
  }

  private detach(source: Source): void {
    source.picture?.sinks.delete(this.sinkOf(source));
    source.mse?.sinks.delete(this.mseSink);
    this.views.detach(this, source);
  }

  private readonly sinks = new Map<LivePicture, PictureSink>();

  /** A view hears two feeds while it turns from one to the other: each with a sink of its own. */
  private sinkOf(source: Source): PictureSink {
    const { picture } = source;
    if (!picture) return this;
    let sink = this.sinks.get(picture);
    if (!sink) {
      const view = this;
      sink = {
        picture: (frame, t90k) => {
          if (view.next?.picture === picture) view.settle();
          if (view.source?.picture === picture) view.picture(frame, t90k);
          else frame.close();
        },
        sound: (sound) => (view.source?.picture === picture ? view.sound(sound) : sound.data.close()),
        get listening() {
          return view.listening && view.source?.picture === picture;
        },
      };
      this.sinks.set(picture, sink);
    }
    return sink;
  }

  // ---------------------------------------------------------------------------------------------- the truth

  look(): void {
    const state = this.truth();
    if (state.state !== this.said.state || state.why !== this.said.why || state.since_90k !== this.said.since_90k) {
      this.said = state;
      this.views.tell("view.state", this.handle, state);
    }
    const problem = this.problem();
    const words = problem && `${problem.code} ${problem.message}`;
    if (words !== this.saidProblem) {
      this.saidProblem = words;
      this.views.tell("view.problem", this.handle, problem && toWire(problem));
    }
  }

  private problem(): EngineError | null {
    const source = this.next ?? this.source;
    if (!source) return null;
    return source.feed.problem ?? source.picture?.problem ?? null;
  }

  private truth(): ViewState {
    const { socket } = this.views;
    if (socket.state.state !== "open")
      return { state: "connecting", since_90k: socket.state.since_90k, why: socket.state.why || "Connecting to the server." };
    const source = this.source!;
    const server: StreamState | undefined = this.views.states[this.camera]?.[source.feed.stream];
    if (server && server.state !== "live" && server.state !== "late") return { state: server.state, since_90k: server.since_90k, why: server.why };
    const { feed } = source;
    if (!feed.arrivedMs) return this.local("connecting", "Waiting for the first picture.");
    const silence = wallMs() - feed.arrivedMs;
    const fps = server?.fps || 10;
    if (silence > Math.max(FROZEN_MIN_MS, (1000 * FROZEN_PICTURES) / fps))
      return { state: "frozen", since_90k: Math.round((feed.arrivedMs - socket.clockOffsetMs) * 90), why: "No picture is coming." };
    const behind = Math.max(0, feed.arrivedMs - feed.newest90k / 90 - source.bestDelayMs);
    const decoding = source.picture ? Math.max(0, source.picture.delayMs - source.bestDelayMs) : 0;
    if (behind > LATE_MS) return this.local("late", "Pictures arrive late: the connection to the server is too slow.");
    if (decoding > LATE_MS) return this.local("late", "Pictures are shown late: this device cannot decode them fast enough.");
    if (server?.state === "late") return { state: "late", since_90k: server.since_90k, why: server.why };
    if (this.screen && this.firstPictureMs === null) return this.local("connecting", "Waiting for the first picture.");
    return this.local("live", "", server?.since_90k);
  }

  private local(state: ViewState["state"], why: string, since?: number): ViewState {
    const same = this.said.state === state && this.said.why === why;
    return { state, why, since_90k: same ? this.said.since_90k : (since ?? this.views.socket.serverNow()) };
  }

  stats(source: Source, kbps: number, fps: number): void {
    if (source !== this.source) return;
    const { feed, picture, mse } = source;
    const track = feed.video;
    const value: LiveStats = {
      fps,
      kbps,
      // The recorder reckons when a picture was captured; it can be some ms after the truth.
      delay_ms: Math.max(0, Math.round((picture?.delayMs ?? 0) - this.views.socket.clockOffsetMs)),
      decoded: picture?.decoded ?? 0,
      dropped: feed.skipped + (picture?.skipped ?? mse?.skipped ?? 0),
      firstPictureMs: this.firstPictureMs,
      width: track?.width ?? 0,
      height: track?.height ?? 0,
      codec: track?.codecString ?? "",
      stream: feed.stream,
      hasAudio: feed.audio !== null,
      path: picture ? "webcodecs" : "mse",
    };
    this.views.tell("view.stats", this.handle, value);
  }
}
