// SPDX-License-Identifier: Apache-2.0
/** How N pictures of 16:9, each under a strip with its name, share a screen. Pure. */

export interface Room {
  width: number;
  height: number;
  gap: number;
  strip: number; // height of the name's strip
  smallest?: number; // width below which the wall scrolls
}

export interface Grid {
  columns: number;
  tileWidth: number;
  tileHeight: number;
  scrolls: boolean;
}

const SMALLEST = 236; // px: below this a face is a smudge, so the wall scrolls instead

/** The largest tiles that all fit; where they would be too small, columns of a fair size that scroll. */
export function grid(count: number, room: Room): Grid {
  const { width, height, gap, strip } = room;
  const narrow = width < 560; // a telephone: one picture as wide as it is, and one scrolls
  const smallest = room.smallest ?? (narrow ? width * 0.8 : SMALLEST);
  const n = Math.max(1, count);
  let best = { columns: 1, tileWidth: 0 };
  for (let columns = 1; columns <= n; columns += 1) {
    const rows = Math.ceil(n / columns);
    const byWidth = (width - gap * (columns - 1)) / columns;
    const byHeight = ((height - gap * (rows - 1)) / rows - strip) * (16 / 9);
    const tileWidth = Math.min(byWidth, byHeight);
    if (tileWidth > best.tileWidth + 0.5) best = { columns, tileWidth };
  }
  let scrolls = false;
  if (best.tileWidth < Math.min(smallest, width)) {
    const columns = narrow ? 1 : Math.max(1, Math.floor((width + gap) / (300 + gap)));
    best = { columns, tileWidth: (width - gap * (columns - 1)) / columns };
    scrolls = true;
  }
  const tileWidth = Math.floor(best.tileWidth);
  return { columns: best.columns, tileWidth, tileHeight: Math.floor((tileWidth * 9) / 16) + strip, scrolls };
}

/** Where an arrow key goes from `index`; stays inside. Null for other keys. */
export function arrow(key: string, index: number, count: number, columns: number): number | null {
  const to: Record<string, number> = {
    ArrowLeft: index - 1,
    ArrowRight: index + 1,
    ArrowUp: index - columns,
    ArrowDown: index + columns,
    Home: 0,
    End: count - 1,
  };
  const next = to[key];
  if (next === undefined) return null;
  if (key === "ArrowDown" && next >= count) return Math.floor(index / columns) < Math.floor((count - 1) / columns) ? count - 1 : index;
  return next < 0 || next >= count ? index : next;
}
