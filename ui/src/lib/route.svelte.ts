// SPDX-License-Identifier: Apache-2.0
/** Where the page is: `#/playback?c=door&t=...`. Hash routes, so that any address is served by one file. */

export const PAGES = ["wall", "playback", "cameras", "storage", "system"] as const;
export type PageName = (typeof PAGES)[number];

export interface Route {
  page: PageName;
  params: URLSearchParams;
  /** The one-time link's token, until it is used. */
  setup: string;
}

export function parse(hash: string): Route {
  const text = hash.replace(/^#/, "");
  if (text.startsWith("setup=")) return { page: "wall", params: new URLSearchParams(), setup: decodeURIComponent(text.slice(6)) };
  const [path = "", search = ""] = text.replace(/^\//, "").split("?");
  const page = PAGES.find((name) => name === path) ?? "wall";
  return { page, params: new URLSearchParams(search), setup: "" };
}

export function href(page: PageName, params: Record<string, string> = {}): string {
  const search = new URLSearchParams(params).toString();
  return `#/${page}${search ? `?${search}` : ""}`;
}

class Router {
  now = $state.raw<Route>(parse(location.hash));

  constructor() {
    addEventListener("hashchange", () => (this.now = parse(location.hash)));
  }

  go(page: PageName, params: Record<string, string> = {}): void {
    location.hash = href(page, params);
  }

  /** Put the present place into the address without a step in the history. */
  replace(page: PageName, params: Record<string, string> = {}): void {
    history.replaceState(null, "", href(page, params));
  }

  /** The one-time link is spent: take it out of the address and the history entry. */
  forgetSetup(): void {
    history.replaceState(null, "", "#/wall");
    this.now = parse(location.hash);
  }
}

export const router = new Router();
