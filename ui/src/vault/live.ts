// SPDX-License-Identifier: Apache-2.0
/** Live messages: one sealed sample each (`docs/design/footage.md`, Live). */

import { Damaged, View, concat, hex, type Bytes } from "./bytes";

export interface LiveMessage {
  key: boolean;
  audio: boolean;
  replay: boolean; // the first of a replayed group of pictures
  changed: boolean; // the codec configuration changed before it
  channel: number;
  liveId: string; // 16 hex digits
  sequence: number;
  pts90k: number; // capture, wall time
  sealed90k: number; // wall time at which the recorder sealed it
  bytes: Bytes; // the whole message
}

export const LIVE_HEADER = 32;
const TAG = 16;

export function parseLive(bytes: Bytes): LiveMessage {
  const view = new View(bytes);
  if (view.length < LIVE_HEADER + TAG) throw new Damaged(`a live message of ${view.length} bytes`);
  if (view.u8(0) !== 1) throw new Damaged(`a live message of version ${view.u8(0)}`);
  const flags = view.u8(1);
  return {
    key: (flags & 1) !== 0,
    audio: (flags & 2) !== 0,
    replay: (flags & 4) !== 0,
    changed: (flags & 8) !== 0,
    channel: view.u16(2),
    liveId: hex(view.bytes.subarray(4, 12)),
    sequence: view.u32(12),
    pts90k: view.i64(16),
    sealed90k: view.i64(24),
    bytes,
  };
}

/** The opened sample. Throws `Damaged` where key or bytes are not the ones it was sealed with. */
export async function openLive(message: LiveMessage, key: CryptoKey): Promise<Bytes> {
  const { bytes } = message;
  const iv = concat(new Uint8Array(8), bytes.subarray(12, 16));
  const additionalData = concat(bytes.subarray(0, 2), bytes.subarray(4, LIVE_HEADER));
  try {
    return new Uint8Array(
      await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData, tagLength: 8 * TAG }, key, bytes.subarray(LIVE_HEADER)),
    );
  } catch {
    throw new Damaged("a live message that is not authentic");
  }
}
