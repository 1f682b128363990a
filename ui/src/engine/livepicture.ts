// SPDX-License-Identifier: Apache-2.0
/**
 * A live stream decoded by WebCodecs. The newest picture wins: at each displayed frame at most one is drawn. While
 * the decoder is catching up (a replayed group of pictures, a stall) pictures in between are not drawn; when it is
 * more than half a second behind with fresh samples, all up to the next key frame are skipped.
 */

import { audioConfig, videoConfig } from "../vault";
import { EngineError } from "./errors";
import { engineError } from "./failures";
import type { Feed, LiveSample, LiveTrack, Outlet } from "./feed";
import type { Sound } from "./rpc";
import { from90k, nextFrame, toUs, wallMs } from "./time";

export interface PictureSink {
  /** Takes the frame and closes it, or keeps it until the next. */
  picture(frame: VideoFrame, t90k: number): void;
  sound(sound: Sound): void;
  readonly listening: boolean;
}

const BEHIND_MS = 500;
const CATCHING_UP_MS = 250; // a frame this much older than the newest sample is not worth drawing ...
const PATIENCE_MS = 300; // ... unless nothing was drawn for this long
const REPLAY_GRACE_MS = 4000; // a replayed group may take this long to decode
const JITTER_MS = 60; // sound is played this much after the picture of its moment, lest it breaks off
const JITTER_MAX_MS = 400;

export class LivePicture implements Outlet {
  readonly sinks = new Set<PictureSink>();
  feed: Feed | null = null;
  decoded = 0;
  drawn = 0;
  skipped = 0;
  delayMs = 0; // capture to drawn, smoothed
  problem: EngineError | null = null;
  private decoder: VideoDecoder | null = null;
  private hearer: AudioDecoder | null = null;
  private track: LiveTrack | null = null;
  private soundTrack: LiveTrack | null = null;
  private readonly sent = new Map<number, number>(); // timestamp to when it was given to the decoder
  private latest: VideoFrame | null = null;
  private waitingForKey = true;
  private drawing = false;
  private drawnMs = 0;
  private freshAt = 0; // since when the decoder gets samples as they come, not a replay
  private soundDelay = 0; // local wall time at which a sound is played, minus its capture time
  private generation = 0;

  constructor(private readonly changed: () => void) {}

  begin(video: LiveTrack, audio: LiveTrack | null): void {
    this.track = video;
    this.soundTrack = audio;
    this.closeDecoders();
    this.waitingForKey = true;
    this.drawnMs = 0;
    this.freshAt = wallMs() + REPLAY_GRACE_MS;
    const mine = ++this.generation;
    const config = videoConfig(video);
    VideoDecoder.isConfigSupported(config).then(
      ({ supported }) => mine === this.generation && this.say(supported ? null : cannotDecode(video)),
      (error: unknown) => mine === this.generation && this.say(engineError(error)),
    );
  }

  video(sample: LiveSample): void {
    if (this.problem?.code === "unsupported" || !this.track) return;
    if (this.waitingForKey && !sample.key) {
      this.skipped++;
      return;
    }
    const now = wallMs();
    const oldest = this.sent.values().next().value ?? now;
    if (now > this.freshAt && now - oldest > BEHIND_MS && this.decoder) {
      this.skipped += this.sent.size;
      this.restart();
      if (!sample.key) {
        this.waitingForKey = true;
        this.skipped++;
        return;
      }
    }
    try {
      this.decoder ??= this.makeDecoder(this.track);
      this.waitingForKey = false;
      const timestamp = toUs(sample.pts90k);
      this.sent.set(timestamp, now);
      this.decoder.decode(new EncodedVideoChunk({ type: sample.key ? "key" : "delta", timestamp, data: sample.data }));
    } catch (error) {
      this.failed(error);
    }
  }

  audio(sample: LiveSample): void {
    if (!this.soundTrack || ![...this.sinks].some((sink) => sink.listening)) {
      this.closeHearer();
      return;
    }
    if (typeof AudioDecoder === "undefined") return;
    try {
      this.hearer ??= this.makeHearer(this.soundTrack);
      this.hearer.decode(new EncodedAudioChunk({ type: "key", timestamp: toUs(sample.pts90k), data: sample.data }));
    } catch (error) {
      console.warn("live sound", error);
      this.closeHearer();
      this.soundTrack = null;
    }
  }

  missing(): void {
    this.waitingForKey = true;
  }

  stop(): void {
    this.generation++;
    this.closeDecoders();
    this.track = null;
  }

  private makeDecoder(track: LiveTrack): VideoDecoder {
    const decoder: VideoDecoder = new VideoDecoder({
      output: (frame) => (decoder === this.decoder ? this.output(frame) : frame.close()),
      error: (error) => decoder === this.decoder && this.failed(error),
    });
    decoder.configure(videoConfig(track));
    return decoder;
  }

  private restart(): void {
    if (!this.decoder || !this.track) return;
    this.sent.clear();
    this.decoder.reset();
    this.decoder.configure(videoConfig(this.track));
  }

  private failed(error: unknown): void {
    console.warn("live picture", this.feed?.camera, error);
    this.sent.clear();
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.waitingForKey = true; // a new decoder at the next key frame
    if (error instanceof DOMException && error.name === "NotSupportedError" && this.track) this.say(cannotDecode(this.track));
  }

  private output(frame: VideoFrame): void {
    const now = wallMs();
    for (const [timestamp] of this.sent) {
      if (timestamp > frame.timestamp) break;
      this.sent.delete(timestamp);
    }
    this.decoded++;
    this.drawnMs ||= now; // the first picture, too, may wait for the end of a replay
    if (this.problem) this.say(null);
    const behind = ((this.feed?.newest90k ?? 0) - from90k(frame.timestamp)) / 90;
    if (behind > CATCHING_UP_MS && now - this.drawnMs < PATIENCE_MS) {
      frame.close();
      return;
    }
    this.freshAt = Math.min(this.freshAt, now);
    this.latest?.close();
    this.latest = frame;
    if (this.drawing) return;
    this.drawing = true;
    nextFrame(() => {
      this.drawing = false;
      this.draw();
    });
  }

  private draw(): void {
    const frame = this.latest;
    if (!frame) return;
    this.latest = null;
    const t90k = from90k(frame.timestamp);
    const now = wallMs();
    this.drawnMs = now;
    this.drawn++;
    const delay = now - t90k / 90;
    this.delayMs = this.drawn < 10 || Math.abs(delay - this.delayMs) > 1000 ? delay : 0.9 * this.delayMs + 0.1 * delay;
    for (const sink of this.sinks) sink.picture(frame.clone(), t90k);
    frame.close();
  }

  private makeHearer(track: LiveTrack): AudioDecoder {
    const hearer: AudioDecoder = new AudioDecoder({
      output: (data) => (hearer === this.hearer ? this.hear(data) : data.close()),
      error: (error) => {
        console.warn("live sound", error);
        if (hearer === this.hearer) this.hearer = null;
      },
    });
    hearer.configure(audioConfig(track));
    this.soundDelay = 0;
    return hearer;
  }

  /** Sound keeps one delay behind capture: the picture's and a little. It grows when pieces come too late. */
  private hear(data: AudioData): void {
    const captureMs = data.timestamp / 1000;
    const wanted = this.delayMs + JITTER_MS;
    if (!this.soundDelay || Math.abs(wanted - this.soundDelay) > JITTER_MAX_MS) this.soundDelay = wanted;
    const late = wallMs() + 10 - (captureMs + this.soundDelay);
    if (late > 0) this.soundDelay += late;
    const at_ms = captureMs + this.soundDelay;
    for (const sink of this.sinks) if (sink.listening) sink.sound({ data: data.clone(), at_ms });
    data.close();
  }

  private closeHearer(): void {
    if (this.hearer && this.hearer.state !== "closed") this.hearer.close();
    this.hearer = null;
  }

  private closeDecoders(): void {
    this.closeHearer();
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
    this.sent.clear();
    this.latest?.close();
    this.latest = null;
  }

  private say(problem: EngineError | null): void {
    this.problem = problem;
    this.changed();
  }
}

const NAMES: Record<string, string> = { h264: "H.264", h265: "H.265" };

export function cannotDecode(track: { codec: string; codecString: string }): EngineError {
  return new EngineError(
    "unsupported",
    `This camera sends ${NAMES[track.codec] ?? track.codec}, which this browser cannot decode.`,
    "Set the camera (or its second stream) to H.264, or use a browser with H.265, such as Safari, or Chrome on a machine with a hardware decoder.",
    { codec: track.codecString },
  );
}
