// SPDX-License-Identifier: Apache-2.0
/** One key frame, decoded alone. */

import { videoConfig } from "../vault";
import type { Opened } from "./archive";
import { EngineError } from "./errors";
import { toUs } from "./time";

const WAIT_MS = 3000; // for the decoder

/** The first key frame of a fragment; the caller closes it. Rejects where there is none or this browser cannot decode it. */
export async function decodeKey(opened: Opened): Promise<VideoFrame> {
  const picture = opened.pictures.find((one) => one.key);
  if (!picture) throw new EngineError("damaged", "A fragment without a key frame.");
  let decoder: VideoDecoder | undefined;
  let late: ReturnType<typeof setTimeout> | undefined;
  let given = false;
  try {
    return await new Promise<VideoFrame>((resolve, reject) => {
      late = setTimeout(() => reject(new EngineError("failed", "The decoder gave no picture.")), WAIT_MS);
      decoder = new VideoDecoder({
        output: (frame) => {
          if (given) frame.close();
          given = true;
          resolve(frame);
        },
        error: reject,
      });
      decoder.configure(videoConfig(opened.video));
      decoder.decode(new EncodedVideoChunk({ type: "key", timestamp: toUs(picture.t90k), data: picture.data }));
      decoder.flush().catch(reject);
    });
  } finally {
    given = true;
    clearTimeout(late);
    if (decoder && decoder.state !== "closed") decoder.close();
  }
}
