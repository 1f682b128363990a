// SPDX-License-Identifier: Apache-2.0
/** Action: put a page's own button into the frame's bar, for as long as the page is there. */
export function pageTool(node: HTMLElement): { destroy: () => void } {
  document.getElementById("page-tools")?.append(node);
  return { destroy: () => node.remove() };
}
