// SPDX-License-Identifier: Apache-2.0
/** Short messages: seen for some seconds at the foot of the page, and said by screen readers. */
import { Problem } from "./api";
import { tidy } from "./words";

export interface Notice {
  id: number;
  kind: "good" | "bad" | "plain";
  text: string;
  remedy: string;
}

class Notices {
  list = $state<Notice[]>([]);
  /** Said, not shown: state changes that the eye sees where they happen. */
  said = $state("");
  #next = 1;

  show(text: string, kind: Notice["kind"] = "plain", remedy = ""): void {
    const id = this.#next++;
    this.list = [...this.list.filter((n) => n.text !== text), { id, kind, text, remedy }].slice(-3);
    setTimeout(() => this.close(id), kind === "bad" ? 12_000 : 5_000);
  }

  problem(error: unknown): void {
    const { text, remedy } = wordsOf(error);
    this.show(text, "bad", remedy);
  }

  close(id: number): void {
    this.list = this.list.filter((n) => n.id !== id);
  }

  say(text: string): void {
    // The same text twice is not read twice unless it changes.
    this.said = this.said === text ? `${text} ` : text;
  }
}

/** Any failure as a sentence and a remedy. */
export function wordsOf(error: unknown): { text: string; remedy: string; code: string } {
  if (error instanceof Problem) return { text: tidy(error.message), remedy: tidy(error.remedy), code: error.code };
  if (error instanceof Error) {
    const { remedy, code } = error as { remedy?: unknown; code?: unknown };
    return {
      text: tidy(error.message),
      remedy: typeof remedy === "string" ? tidy(remedy) : "",
      code: typeof code === "string" ? code : "",
    };
  }
  return { text: String(error), remedy: "", code: "" };
}

export const notices = new Notices();
