// SPDX-License-Identifier: Apache-2.0
/** The page's one engine. Loaded apart from the console's first screen: players and ciphers are not needed to sign in. */
import type { Engine } from "../engine/api";

let made: Promise<Engine> | null = null;

export function theEngine(): Promise<Engine> {
  made ??= import("../engine/api").then(({ Engine }) => new Engine());
  return made;
}

/** For tests: put another in its place. */
export function setEngine(engine: Engine | null): void {
  made = engine ? Promise.resolve(engine) : null;
}
