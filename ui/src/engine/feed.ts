// SPDX-License-Identifier: Apache-2.0
/**
 * One live stream as it comes: opened, in order, handed to an outlet (a decoder or a muxer). Samples that wait to be
 * opened are bounded by bytes; over that, and after any loss, nothing is handed on until the next key frame.
 */

import { audioOfConfig, codecString, fromBase64, openLive, type Bytes, type Codec, type Coding, type Kind, type LiveMessage } from "../vault";
import type { StreamName } from "./api";
import { EngineError } from "./errors";
import { engineError } from "./failures";
import type { Keyring } from "./keyring";
import type { Channel } from "./socket";
import { wallMs } from "./time";

export interface LiveTrack extends Coding {
  kind: Kind;
  timescale: number;
}

export interface LiveSample {
  key: boolean;
  pts90k: number; // capture, server's wall time
  sealed90k: number;
  data: Bytes;
}

/** Where opened samples go. Called in order, never at once. */
export interface Outlet {
  /** New coding: decoders begin anew. The next sample of video is a key frame. */
  begin(video: LiveTrack, audio: LiveTrack | null): void;
  video(sample: LiveSample): void;
  audio(sample: LiveSample): void;
  /** Samples of video are missing; the next one is a key frame. */
  missing(): void;
  /** The feed ended; forget everything that waits. */
  stop(): void;
}

const WAITING_MAX = 16 << 20; // bytes that wait to be opened
const CODECS = new Set<string>(["h264", "h265", "aac", "opus", "flac"]);

interface Run {
  liveId: string;
  key: Promise<CryptoKey>;
  sequence: number; // of the last message, -1 before the first
  video: LiveTrack;
  audio: LiveTrack | null;
  begun: boolean;
}

export class Feed implements Channel {
  video: LiveTrack | null = null;
  audio: LiveTrack | null = null;
  newest90k = 0; // pts of the newest video sample that came
  arrivedMs = 0; // when it came, wall
  bytes = 0; // received in all
  skipped = 0; // video samples not handed on
  problem: EngineError | null = null;
  private run: Run | null = null;
  private chain: Promise<void> = Promise.resolve();
  private waiting = 0;
  private needKey = true;
  private epoch = 0;

  constructor(
    readonly camera: string,
    readonly stream: StreamName,
    private readonly keyring: Keyring,
    private readonly outlet: Outlet,
    private readonly changed: () => void,
  ) {}

  config(message: unknown): void {
    const epoch = ++this.epoch;
    try {
      const config = message as { live_id: string; key_id: string; tracks: unknown[] };
      const tracks = config.tracks.map(readTrack).filter((track) => track !== null);
      const video = tracks.find((track) => track.kind === "video");
      if (!video) throw new EngineError("damaged", "This camera's stream has no picture that this program knows.");
      const audio = tracks.find((track) => track.kind === "audio") ?? null;
      const key = this.keyring.live(this.camera, config.key_id, config.live_id);
      this.run = { liveId: config.live_id, key, sequence: -1, video, audio, begun: false };
      this.video = video;
      this.audio = audio;
      this.needKey = true;
      key.then(
        () => this.say(epoch, null),
        (error: unknown) => this.say(epoch, engineError(error)),
      );
    } catch (error) {
      this.run = null;
      this.say(epoch, engineError(error));
    }
    this.changed();
  }

  message(message: LiveMessage): void {
    const { run } = this;
    if (!run || run.liveId !== message.liveId) return;
    this.bytes += message.bytes.length;
    if (!message.audio) {
      this.newest90k = message.pts90k;
      this.arrivedMs = wallMs();
    }
    const follows = run.sequence < 0 || message.sequence === run.sequence + 1;
    run.sequence = message.sequence;
    if (!follows || this.waiting > WAITING_MAX) this.lose();
    if (this.needKey) {
      if (message.audio || !message.key) {
        if (!message.audio) this.skipped++;
        return;
      }
      this.needKey = false;
    }
    this.waiting += message.bytes.length;
    const opened = run.key.then((key) => openLive(message, key));
    opened.catch(() => undefined); // looked at in `hand`; never "unhandled" while it waits for its turn
    const { epoch } = this;
    this.chain = this.chain.then(() => this.hand(run, epoch, message, opened));
  }

  dropped(count: number): void {
    this.skipped += count;
    this.lose();
  }

  lost(): void {
    this.epoch++;
    this.run = null;
    this.needKey = true;
    this.chain = this.chain.then(() => this.outlet.missing());
  }

  /** Nobody looks any more. */
  stop(): void {
    this.epoch++;
    this.run = null;
    this.outlet.stop();
  }

  private lose(): void {
    this.needKey = true;
    this.chain = this.chain.then(() => this.outlet.missing());
  }

  private async hand(run: Run, epoch: number, message: LiveMessage, opened: Promise<Bytes>): Promise<void> {
    let data: Bytes;
    try {
      data = await opened;
    } catch (error) {
      if (epoch === this.epoch && !this.problem) this.say(epoch, engineError(error));
      this.needKey = true;
      return;
    } finally {
      this.waiting -= message.bytes.length;
    }
    if (epoch !== this.epoch) return;
    if (!run.begun) {
      run.begun = true;
      this.outlet.begin(run.video, run.audio);
    }
    const sample = { key: message.key, pts90k: message.pts90k, sealed90k: message.sealed90k, data };
    if (message.audio) this.outlet.audio(sample);
    else this.outlet.video(sample);
  }

  private say(epoch: number, problem: EngineError | null): void {
    if (epoch !== this.epoch) return;
    this.problem = problem;
    this.changed();
  }
}

/** A track of a config message; null where its codec is none that we know. Throws where it makes no sense. */
function readTrack(value: unknown): LiveTrack | null {
  const track = value as { kind: Kind; codec: string; timescale: number; config: string; width: number; height: number; channels: number };
  if (!CODECS.has(track.codec)) return null;
  const codec = track.codec as Codec;
  const config = fromBase64(track.config);
  const { kind, timescale } = track;
  const sound = kind === "audio" ? audioOfConfig(codec, config, track.channels, timescale) : { channels: 0, sampleRate: 0 };
  return { kind, codec, codecString: codecString(codec, config), config, timescale, width: track.width, height: track.height, ...sound };
}
