// SPDX-License-Identifier: Apache-2.0
/** Wall time in 1/90000 s, and the microseconds of WebCodecs. */

/** This device's wall clock, ms since 1970 with a fraction; steady while the page lives. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}

export function wall90k(): number {
  return Math.round(wallMs() * 90);
}

/** A tick is over 11 us long, so that rounding to whole microseconds and back is exact. */
export function toUs(t90k: number): number {
  return Math.round((t90k * 100) / 9);
}

export function from90k(us: number): number {
  return Math.round((us * 9) / 100);
}

/** The next moment at which a picture can be shown; hidden pages get none. */
export function nextFrame(run: () => void): void {
  const scope = globalThis as { requestAnimationFrame?: (run: () => void) => number };
  if (scope.requestAnimationFrame) scope.requestAnimationFrame(run);
  else setTimeout(run, 16);
}
