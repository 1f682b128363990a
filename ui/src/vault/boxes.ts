// SPDX-License-Identifier: Apache-2.0
/** ISO base media file format boxes (ISO/IEC 14496-12, 4.2), as ranges of a buffer. */

import { Damaged, type View } from "./bytes";

export interface Box {
  type: string;
  start: number; // of the header
  body: number; // first byte after the header
  end: number;
}

/**
 * The boxes that fill [start, end). Each is at least 8 bytes long and ends inside, so this ends.
 * `torn`: the last box may reach past `end` (the beginning of a file); it is given cut at `end`.
 */
export function* boxes(view: View, start: number, end: number, torn = false): Generator<Box> {
  let at = start;
  while (at < end) {
    if (end - at < 8) {
      if (torn) return;
      throw new Damaged(`${end - at} stray bytes at ${at}`);
    }
    let size = view.u32(at);
    let header = 8;
    if (size === 1) {
      size = view.u64(at + 8);
      header = 16;
    } else if (size === 0) size = end - at;
    const type = view.fourcc(at + 4);
    if (size < header || (!torn && at + size > end)) throw new Damaged(`box ${JSON.stringify(type)} of ${size} bytes at ${at}`);
    yield { type, start: at, body: at + header, end: Math.min(at + size, end) };
    at += size;
  }
}

export function child(view: View, parent: { body: number; end: number }, type: string): Box | undefined {
  for (const box of boxes(view, parent.body, parent.end)) if (box.type === type) return box;
  return undefined;
}

export function needChild(view: View, parent: Box, type: string): Box {
  const box = child(view, parent, type);
  if (!box) throw new Damaged(`no ${type} in ${parent.type}`);
  return box;
}
