// SPDX-License-Identifier: Apache-2.0
/** Scrubbing asks for a moment at every movement; players answer more slowly. One seek runs, only the newest waits. */
import type { Ticks } from "../lib/types";

export class Seeker {
  #next: Ticks | null = null;
  #running = false;

  constructor(
    private readonly seek: (at: Ticks) => Promise<void>,
    private readonly failed: (error: unknown) => void,
  ) {}

  to(at: Ticks): void {
    this.#next = at;
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#next !== null) {
      const at = this.#next;
      this.#next = null;
      try {
        await this.seek(at);
      } catch (error) {
        // A newer seek cancelled it, or nothing is recorded there: the tiles say so themselves.
        const code = (error as { code?: string }).code;
        if (code !== "cancelled" && code !== "not-found") this.failed(error);
      }
    }
    this.#running = false;
  }
}
