// SPDX-License-Identifier: Apache-2.0
/** The page's canvases, in the worker's hands. */

import { EngineError } from "./errors";

/** One canvas: draws a frame at the size at which it is seen, keeps the newest for snapshots. */
export class Screen {
  private readonly context: OffscreenCanvasRenderingContext2D;
  private shown: VideoFrame | null = null;
  private room: [width: number, height: number] = [0, 0];

  constructor(private readonly canvas: OffscreenCanvas) {
    const context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    if (!context) throw new EngineError("unsupported", "This browser gives the worker no canvas to draw to.");
    this.context = context;
  }

  /** CSS size in device pixels, as the page lays it out. */
  resize(width: number, height: number): void {
    this.room = [width, height];
    if (this.shown) this.paint(this.shown);
  }

  /** Takes the frame and keeps it until the next: the caller may not close it. */
  show(frame: VideoFrame): void {
    this.paint(frame);
    if (this.shown !== frame) this.shown?.close();
    this.shown = frame;
  }

  clear(): void {
    this.shown?.close();
    this.shown = null;
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** PNG of the picture in its own size. */
  async snapshot(): Promise<Blob> {
    const frame = this.shown;
    if (!frame) throw new EngineError("not-found", "There is no picture to save yet.");
    const canvas = new OffscreenCanvas(frame.displayWidth, frame.displayHeight);
    canvas.getContext("2d")?.drawImage(frame, 0, 0, frame.displayWidth, frame.displayHeight);
    return canvas.convertToBlob({ type: "image/png" });
  }

  private paint(frame: VideoFrame): void {
    const { displayWidth: width, displayHeight: height } = frame;
    // Fewer pixels than the picture has, where it is seen smaller; its shape is kept for the page's layout.
    const scale = this.room[0] && this.room[1] ? Math.min(1, Math.max(this.room[0] / width, this.room[1] / height)) : 1;
    const w = scale > 0.8 ? width : Math.max(1, Math.round(width * scale));
    const h = scale > 0.8 ? height : Math.max(1, Math.round(height * scale));
    if (this.canvas.width !== w) this.canvas.width = w;
    if (this.canvas.height !== h) this.canvas.height = h;
    this.context.drawImage(frame, 0, 0, w, h);
  }
}

export class Screens {
  private readonly screens = new Map<number, Screen>();

  add(id: number, canvas: OffscreenCanvas): void {
    this.screens.set(id, new Screen(canvas));
  }

  get(id: number): Screen {
    const screen = this.screens.get(id);
    if (!screen) throw new EngineError("failed", "This canvas was never given to the engine.");
    return screen;
  }

  find(id: number): Screen | undefined {
    return this.screens.get(id);
  }

  drop(id: number): void {
    this.screens.get(id)?.clear();
    this.screens.delete(id);
  }
}
