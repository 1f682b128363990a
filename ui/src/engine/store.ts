// SPDX-License-Identifier: Apache-2.0
import type { Readable } from "./api";

/** A value that can be subscribed to. */
export class Store<T> implements Readable<T> {
  private readonly runs = new Set<(value: T) => void>();

  constructor(private current: T) {}

  get value(): T {
    return this.current;
  }

  set(value: T): void {
    this.current = value;
    for (const run of this.runs) run(value);
  }

  subscribe(run: (value: T) => void): () => void {
    this.runs.add(run);
    run(this.current);
    return () => void this.runs.delete(run);
  }
}
