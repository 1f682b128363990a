// SPDX-License-Identifier: Apache-2.0
/** Small still pictures of the past, for scrubbing: the nearest key frame, of the substream where there is one. */

import { videoConfig } from "../vault";
import type { StreamName } from "./api";
import type { Archive, Opened } from "./archive";
import { engineError } from "./failures";
import { decodeKey } from "./still";

const WIDTH = 320;
const KEPT = 64;
const NEAR = 10 * 90_000; // a key frame further away than this is no picture of that moment

interface Kept {
  from: number; // fragment
  to: number;
  bitmap: ImageBitmap;
}

export class Previews {
  private readonly kept = new Map<string, Kept[]>();
  private readonly asked = new Map<string, AbortController>();
  private readonly streams = new Map<string, StreamName>();

  constructor(private readonly archive: Archive) {}

  clear(): void {
    for (const list of this.kept.values()) for (const { bitmap } of list) bitmap.close();
    this.kept.clear();
    this.streams.clear();
  }

  /** Null where nothing is recorded near, or a newer request for this camera came meanwhile. */
  async get(camera: string, t90k: number): Promise<ImageBitmap | null> {
    this.asked.get(camera)?.abort();
    const known = this.kept.get(camera)?.find(({ from, to }) => t90k >= from && t90k < to);
    if (known) return createImageBitmap(known.bitmap);
    const cancel = new AbortController();
    this.asked.set(camera, cancel);
    try {
      const opened = await this.find(camera, t90k, cancel.signal);
      if (!opened || cancel.signal.aborted) return null;
      const bitmap = await still(opened);
      if (!bitmap) return null;
      const { start, duration } = opened.spot.row;
      this.keep(camera, { from: start, to: start + duration, bitmap });
      return cancel.signal.aborted ? null : createImageBitmap(bitmap);
    } catch (error) {
      if (cancel.signal.aborted || engineError(error).code === "not-found") return null;
      throw error;
    } finally {
      if (this.asked.get(camera) === cancel) this.asked.delete(camera);
    }
  }

  private async find(camera: string, t90k: number, signal: AbortSignal): Promise<Opened | null> {
    const first = this.streams.get(camera) ?? "sub";
    for (const stream of new Set<StreamName>([first, "sub", "main"])) {
      const opened = await this.archive.openKeyAt(camera, stream, t90k, "near", signal);
      if (!opened) continue;
      const { start, duration } = opened.spot.row;
      if (start > t90k + NEAR || start + duration < t90k - NEAR) continue;
      this.streams.set(camera, stream);
      return opened;
    }
    return null;
  }

  private keep(camera: string, kept: Kept): void {
    const list = this.kept.get(camera) ?? [];
    list.unshift(kept);
    for (const old of list.splice(KEPT)) old.bitmap.close();
    this.kept.set(camera, list);
  }
}

async function still(opened: Opened): Promise<ImageBitmap | null> {
  if (!(await VideoDecoder.isConfigSupported(videoConfig(opened.video))).supported) return null;
  const frame = await decodeKey(opened);
  try {
    const width = Math.min(WIDTH, frame.displayWidth);
    const height = Math.max(1, Math.round((frame.displayHeight * width) / frame.displayWidth));
    return await createImageBitmap(frame, { resizeWidth: width, resizeHeight: height, resizeQuality: "medium" });
  } finally {
    frame.close();
  }
}
