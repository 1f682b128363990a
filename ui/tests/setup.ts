// SPDX-License-Identifier: Apache-2.0
// jsdom has no layout and no media: what pages merely call is answered here, nothing that a test looks at.
import { cleanup, configure } from "@testing-library/svelte";
import { afterEach } from "vitest";

if (typeof document !== "undefined") {
  configure({ asyncUtilTimeout: 10_000 }); // a busy machine is no failure
  class Observer {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  }
  const page = globalThis as Record<string, unknown>;
  page.ResizeObserver = Observer;
  page.IntersectionObserver = class extends Observer {
    constructor(told: (entries: { isIntersecting: boolean }[]) => void) {
      super();
      queueMicrotask(() => told([{ isIntersecting: true }]));
    }
  };
  page.matchMedia = () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined });
  HTMLCanvasElement.prototype.getContext = () => null;
  HTMLElement.prototype.setPointerCapture = () => undefined;
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
  };
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { get: () => 1000, configurable: true });
  Object.defineProperty(HTMLElement.prototype, "clientHeight", { get: () => 600, configurable: true });
  URL.createObjectURL = () => "blob:test";
  URL.revokeObjectURL = () => undefined;
  afterEach(() => cleanup());
}
