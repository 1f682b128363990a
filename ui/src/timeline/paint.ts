// SPDX-License-Identifier: Apache-2.0
/**
 * Draws a timeline. Recorded is solid, off is sparsely hatched, lost is closely cross-hatched with an edge and, where
 * there is room, its cause in words: three patterns, so that nobody needs the colours.
 */
import type { HoldSpan, Span, Ticks } from "../lib/types";
import { causeShort } from "../lib/words";
import { ruler } from "./ticks";
import { x, type View } from "./view";

export const RULER = 40;

export interface Colours {
  surface: string;
  row: string;
  line: string;
  text: string;
  muted: string;
  recorded: string;
  off: string;
  lost: string;
  lostTint: string;
  hold: string;
  head: string;
  onHead: string;
  accentTint: string;
}

export interface Row {
  name: string;
  spans: readonly Span[];
  holds: readonly HoldSpan[];
}

export interface Scene {
  view: View;
  width: number;
  height: number;
  rowHeight: number;
  rows: readonly Row[];
  at: Ticks;
  now: Ticks;
  range: { from: Ticks; to: Ticks } | null;
  hover: Ticks | null;
  colours: Colours;
}

type Ctx = CanvasRenderingContext2D;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

const patterns = new Map<string, CanvasPattern | null>();

function hatch(ctx: Ctx, ink: string, ground: string, kind: "sparse" | "cross"): CanvasPattern | string {
  const key = `${kind}|${ink}|${ground}`;
  let made = patterns.get(key);
  if (made === undefined) {
    const size = kind === "sparse" ? 10 : 6;
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const c = tile.getContext("2d");
    if (!c) return ground;
    c.fillStyle = ground;
    c.fillRect(0, 0, size, size);
    c.strokeStyle = ink;
    c.lineWidth = kind === "sparse" ? 1.25 : 1.1;
    c.beginPath();
    for (const shift of [-size, 0, size]) {
      c.moveTo(shift, size);
      c.lineTo(shift + size, 0);
      if (kind === "cross") {
        c.moveTo(shift, 0);
        c.lineTo(shift + size, size);
      }
    }
    c.stroke();
    made = ctx.createPattern(tile, "repeat");
    patterns.set(key, made);
  }
  return made ?? ground;
}

function label(ctx: Ctx, text: string, left: number, middle: number, room: number, ink: string, ground: string): void {
  const wide = ctx.measureText(text).width;
  if (wide + 12 > room) return;
  ctx.fillStyle = ground;
  ctx.beginPath();
  ctx.roundRect(left, middle - 9, wide + 10, 18, 4);
  ctx.fill();
  ctx.fillStyle = ink;
  ctx.fillText(text, left + 5, middle + 0.5);
}

function paintRow(ctx: Ctx, scene: Scene, row: Row, top: number): void {
  const { view, width, rowHeight, colours: c } = scene;
  const bottom = rowHeight - 6;
  const clear = Math.min(220, width / 2, ctx.measureText(row.name).width + 16) + 8; // the row's name stands there
  ctx.fillStyle = c.row;
  ctx.fillRect(0, top, Math.min(width, Math.max(0, x(view, width, scene.now))), bottom);
  for (const [from, to, kind, cause] of row.spans) {
    const left = Math.max(-2, x(view, width, from));
    const right = Math.min(width + 2, x(view, width, to));
    const wide = Math.max(kind === "lost" ? 1.5 : 0.6, right - left);
    if (kind === "recorded") ctx.fillStyle = c.recorded;
    else if (kind === "off") ctx.fillStyle = hatch(ctx, c.off, c.row, "sparse");
    else ctx.fillStyle = wide < 4 ? c.lost : hatch(ctx, c.lost, c.lostTint, "cross");
    ctx.fillRect(left, top, wide, bottom);
    if (kind === "lost" && wide >= 4) {
      ctx.fillStyle = c.lost;
      ctx.fillRect(left, top, wide, 2);
      ctx.fillRect(left, top + bottom - 2, wide, 2);
    }
    if (kind !== "recorded" && cause && wide > 70) {
      const start = Math.max(left + 6, clear);
      label(ctx, causeShort(cause), start, top + bottom / 2, right - start, kind === "lost" ? c.lost : c.muted, c.surface);
    }
  }
  for (const [from, to, , reason] of row.holds) {
    const left = x(view, width, from);
    const right = x(view, width, to);
    if (right < 0 || left > width) continue;
    ctx.fillStyle = c.hold;
    ctx.fillRect(left, top - 3, Math.max(3, right - left), 4);
    ctx.fillRect(left, top - 3, 2, bottom + 3);
    ctx.fillRect(Math.max(left + 1, right - 2), top - 3, 2, bottom + 3);
    if (right - left > 90) {
      const start = Math.max(left + 8, clear);
      label(ctx, `Held: ${reason}`, start, top + bottom / 2, right - start - 4, c.text, c.surface);
    }
  }
}

function paintRuler(ctx: Ctx, scene: Scene): void {
  const { view, width, colours: c, height } = scene;
  const { ticks, context } = ruler(view, width, width < 500 ? 74 : 92);
  ctx.strokeStyle = c.line;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const tick of ticks) {
    const px = Math.round(x(view, width, tick.t)) + 0.5;
    ctx.moveTo(px, tick.label ? RULER - 8 : RULER - 4);
    ctx.lineTo(px, tick.label ? height : RULER);
  }
  ctx.stroke();
  ctx.fillStyle = c.muted;
  for (const tick of ticks) {
    if (tick.label) ctx.fillText(tick.label, x(view, width, tick.t) + 5, RULER - 11);
  }
  ctx.fillStyle = c.text;
  ctx.font = `600 ${FONT}`;
  context.forEach((tick, i) => {
    const left = Math.max(8, x(view, width, tick.t) + 5);
    const after = context[i + 1];
    const room = (after ? x(view, width, after.t) : width) - left;
    if (ctx.measureText(tick.label).width + 8 < room) ctx.fillText(tick.label, left, 12);
  });
  ctx.font = FONT;
}

function paintNow(ctx: Ctx, scene: Scene): void {
  const { view, width, height, now, colours: c } = scene;
  const px = Math.round(x(view, width, now)) + 0.5;
  if (px < 0 || px > width) return;
  ctx.strokeStyle = c.muted;
  ctx.setLineDash([3, 3]);
  ctx.beginPath();
  ctx.moveTo(px, 18);
  ctx.lineTo(px, height);
  ctx.stroke();
  ctx.setLineDash([]);
  const text = "Now";
  ctx.fillStyle = c.muted;
  if (px + 36 < width) ctx.fillText(text, px + 5, height - 9);
}

function paintRange(ctx: Ctx, scene: Scene): void {
  const { range, view, width, height, colours: c } = scene;
  if (!range) return;
  const left = x(view, width, range.from);
  const right = x(view, width, range.to);
  ctx.globalAlpha = 0.28;
  ctx.fillStyle = c.head;
  ctx.fillRect(left, RULER - 2, right - left, height - RULER + 2);
  ctx.globalAlpha = 1;
  for (const edge of [left, right]) {
    ctx.fillRect(edge - 1, RULER - 6, 2, height);
    ctx.beginPath();
    ctx.roundRect(edge - 4, (RULER + height) / 2 - 11, 8, 22, 3);
    ctx.fill();
  }
}

function paintHead(ctx: Ctx, scene: Scene): void {
  const { view, width, height, at, colours: c } = scene;
  const px = Math.round(x(view, width, at)) + 0.5;
  if (px < -20 || px > width + 20) return;
  ctx.fillStyle = c.head;
  ctx.fillRect(px - 1, 8, 2, height);
  ctx.beginPath();
  ctx.roundRect(px - 7, 1, 14, 16, 4);
  ctx.fill();
  ctx.strokeStyle = c.onHead;
  ctx.lineWidth = 1.5;
  ctx.beginPath();
  ctx.moveTo(px - 2.25, 5.5);
  ctx.lineTo(px - 2.25, 12.5);
  ctx.moveTo(px + 2.25, 5.5);
  ctx.lineTo(px + 2.25, 12.5);
  ctx.stroke();
}

export function rowTop(scene: { rowHeight: number }, index: number): number {
  return RULER + 6 + index * scene.rowHeight;
}

/** Height that `rows` need. */
export const heightOf = (rows: number, rowHeight: number): number => RULER + 6 + Math.max(1, rows) * rowHeight + 2;

export function paint(ctx: Ctx, scene: Scene): void {
  const { width, height, colours: c, hover, view } = scene;
  ctx.fillStyle = c.surface;
  ctx.fillRect(0, 0, width, height);
  ctx.font = FONT;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  paintRuler(ctx, scene);
  scene.rows.forEach((row, i) => paintRow(ctx, scene, row, rowTop(scene, i)));
  scene.rows.forEach((row, i) => {
    const middle = rowTop(scene, i) + (scene.rowHeight - 6) / 2;
    label(ctx, row.name, 6, middle, Math.min(220, width / 2), c.text, c.surface);
  });
  paintNow(ctx, scene);
  paintRange(ctx, scene);
  if (hover !== null) {
    const px = Math.round(x(view, width, hover)) + 0.5;
    ctx.strokeStyle = c.text;
    ctx.globalAlpha = 0.45;
    ctx.beginPath();
    ctx.moveTo(px, RULER - 4);
    ctx.lineTo(px, height);
    ctx.stroke();
    ctx.globalAlpha = 1;
  }
  paintHead(ctx, scene);
}

