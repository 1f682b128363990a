// SPDX-License-Identifier: Apache-2.0
/** What a key means on the timeline. One table, for the handler, the help and the tests. */

export type Action =
  | { do: "move"; share: number } // of the view
  | { do: "zoom"; factor: number }
  | { do: "page"; direction: 1 | -1 }
  | { do: "end"; which: "oldest" | "now" }
  | { do: "gap"; direction: 1 | -1 }
  | { do: "step"; direction: 1 | -1 }
  | { do: "mark"; which: "in" | "out" }
  | { do: "clear" }
  | { do: "speed"; direction: 1 | -1 }
  | { do: "toggle" };

export interface Key {
  key: string;
  shiftKey?: boolean;
  ctrlKey?: boolean;
  metaKey?: boolean;
  altKey?: boolean;
}

export function actionOf(event: Key): Action | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const fine = event.shiftKey ? 0.1 : 0.01;
  switch (event.key) {
    case "ArrowLeft":
      return { do: "move", share: -fine };
    case "ArrowRight":
      return { do: "move", share: fine };
    case "ArrowUp":
    case "+":
    case "=":
      return { do: "zoom", factor: 0.5 };
    case "ArrowDown":
    case "-":
    case "_":
      return { do: "zoom", factor: 2 };
    case "PageUp":
      return { do: "page", direction: -1 };
    case "PageDown":
      return { do: "page", direction: 1 };
    case "Home":
      return { do: "end", which: "oldest" };
    case "End":
      return { do: "end", which: "now" };
    case "[":
      return { do: "gap", direction: -1 };
    case "]":
      return { do: "gap", direction: 1 };
    case ",":
      return { do: "step", direction: -1 };
    case ".":
      return { do: "step", direction: 1 };
    case "<":
      return { do: "speed", direction: -1 };
    case ">":
      return { do: "speed", direction: 1 };
    case "i":
    case "I":
      return { do: "mark", which: "in" };
    case "o":
    case "O":
      return { do: "mark", which: "out" };
    case "Escape":
      return { do: "clear" };
    case " ":
      return { do: "toggle" };
    default:
      return null;
  }
}

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64] as const;

/** The next faster or slower speed; stays at the ends. */
export function nextSpeed(rate: number, direction: 1 | -1): number {
  const at = SPEEDS.findIndex((speed) => speed >= rate);
  const index = Math.min(SPEEDS.length - 1, Math.max(0, (at < 0 ? SPEEDS.length - 1 : at) + direction));
  return SPEEDS[index] as number;
}
