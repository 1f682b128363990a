// SPDX-License-Identifier: Apache-2.0
/** A page's answer from the server: asked at once and every so often while the page is seen; old facts stay while asking. */
import { onMount } from "svelte";
import { wordsOf } from "./notices.svelte";

export interface Loaded<T> {
  readonly value: T | null;
  readonly problem: { text: string; remedy: string } | null;
  again: () => Promise<void>;
}

export function loaded<T>(ask: () => Promise<T>, everyMs = 0): Loaded<T> {
  let value = $state.raw<T | null>(null);
  let problem = $state.raw<{ text: string; remedy: string } | null>(null);
  const again = async (): Promise<void> => {
    try {
      value = await ask();
      problem = null;
    } catch (error) {
      problem = wordsOf(error);
    }
  };
  onMount(() => {
    void again();
    const timer = everyMs ? setInterval(() => document.visibilityState === "visible" && void again(), everyMs) : undefined;
    return () => clearInterval(timer);
  });
  return {
    get value() {
      return value;
    },
    get problem() {
      return problem;
    },
    again,
  };
}
