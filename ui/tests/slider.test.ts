// SPDX-License-Identifier: Apache-2.0
/** The timeline as a slider: what it says, and what its keys do. */
import { fireEvent, render, screen, waitFor } from "@testing-library/svelte";
import { afterEach, expect, test, vi } from "vitest";
import { HOUR, HZ, MINUTE, now } from "../src/lib/time";
import { TimelineData } from "../src/timeline/data.svelte";
import Timeline from "../src/timeline/Timeline.svelte";
import { stage } from "./site";

afterEach(() => vi.unstubAllGlobals());

async function show(at = now() - 36 * MINUTE) {
  const { site } = stage();
  const data = new TimelineData();
  await data.show(["door", "yard"]);
  const told = { seek: [] as number[], actions: [] as string[], scrub: [] as number[] };
  const props = {
    data, at, view: { from: now() - HOUR, to: now() }, range: null, choosing: false,
    cameras: [{ id: "door", name: "Front door" }, { id: "yard", name: "Yard" }],
    preview: async () => null,
    onscrub: (moment: number) => told.scrub.push(moment),
    onseek: (moment: number) => told.seek.push(moment),
    onaction: (action: { do: string }) => told.actions.push(action.do),
  };
  const made = render(Timeline, props);
  return { site, data, told, at, slider: screen.getByRole("slider"), rerender: made.rerender };
}

test("it says where it is and what every camera has there", async () => {
  const { slider, at } = await show();
  await waitFor(() => expect(slider.getAttribute("aria-valuetext")).toMatch(/Front door lost: camera unreachable; Yard recorded/));
  expect(slider.getAttribute("aria-valuenow")).toBe(String(Math.round(at / HZ)));
  expect(Number(slider.getAttribute("aria-valuemin"))).toBeLessThan(at / HZ - 40 * 86400);
  expect(slider.getAttribute("tabindex")).toBe("0");
});

test("arrows move by a share of what is in sight, Home and End go to the ends", async () => {
  const { slider, told, at, data } = await show();
  await fireEvent.keyDown(slider, { key: "ArrowRight" });
  expect(told.seek.at(-1)).toBeCloseTo(at + 0.01 * HOUR, -3);
  await fireEvent.keyDown(slider, { key: "ArrowLeft", shiftKey: true });
  expect(told.seek.at(-1)).toBeCloseTo(at - 0.1 * HOUR, -3);
  await fireEvent.keyDown(slider, { key: "Home" });
  expect(told.seek.at(-1)).toBe(data.oldest);
  await fireEvent.keyDown(slider, { key: "End" });
  expect(told.seek.at(-1)).toBe(data.now);
});

test("brackets go from gap to gap of any camera", async () => {
  const { slider, told, at, data } = await show();
  await waitFor(() => expect(data.detail).not.toBeNull());
  await fireEvent.keyDown(slider, { key: "]" });
  expect(told.seek.at(-1)).toBeCloseTo(at + 17 * MINUTE, -6); // Front door: the recorder was down
  await fireEvent.keyDown(slider, { key: "[" });
  expect(told.seek.at(-1)).toBeCloseTo(at - 4 * MINUTE, -6); // and unreachable before
});

test("what belongs to the player is handed on", async () => {
  const { slider, told } = await show();
  for (const key of [" ", ",", "i", "Escape", ">"]) await fireEvent.keyDown(slider, { key });
  expect(told.actions).toEqual(["toggle", "step", "mark", "clear", "speed"]);
  const browser = await fireEvent.keyDown(slider, { key: "Tab" });
  expect(browser).toBe(true); // not prevented
});

test("the ruler scrubs, a click on a row goes there, dragging a row does not", async () => {
  const { slider, told } = await show();
  const at = (x: number, y: number) => ({ clientX: x, clientY: y, button: 0, pointerId: 1, pointerType: "mouse" });
  await fireEvent.pointerDown(slider, at(500, 10));
  await fireEvent.pointerMove(slider, at(520, 10));
  expect(told.scrub).toHaveLength(2);
  await fireEvent.pointerUp(slider, at(520, 10));
  expect(told.seek).toHaveLength(1);
  await fireEvent.pointerDown(slider, at(300, 60));
  await fireEvent.pointerUp(slider, at(301, 60));
  expect(told.seek).toHaveLength(2);
  expect(told.seek.at(-1)).toBeCloseTo(now() - HOUR + 0.301 * HOUR, -6);
  await fireEvent.pointerDown(slider, at(300, 60));
  await fireEvent.pointerMove(slider, at(380, 60));
  await fireEvent.pointerUp(slider, at(380, 60));
  expect(told.seek).toHaveLength(2);
});

test("coarse facts are there at once, fine ones when the view asks; nothing is asked twice", async () => {
  const { site, data } = await show();
  const asked = (): number => site.log.filter(([, path]) => path === "/api/timeline").length;
  await waitFor(() => expect(data.detail).not.toBeNull());
  const before = asked();
  data.want({ from: now() - HOUR, to: now() }, 1000);
  data.want({ from: now() - 1.5 * HOUR, to: now() - HOUR / 2 }, 1000);
  await new Promise((done) => setTimeout(done, 150));
  expect(asked()).toBe(before);
  const far = { from: now() - 900 * HOUR, to: now() - 899 * HOUR };
  expect(data.spans("door", far).length).toBeGreaterThan(0); // coarse
  data.want(far, 1000);
  await waitFor(() => expect(asked()).toBe(before + 1));
});

test("stitched accounts never overlap and never leave a hole", async () => {
  const { data } = await show();
  await waitFor(() => expect(data.detail).not.toBeNull());
  const view = { from: now() - 5 * HOUR, to: now() - MINUTE };
  const spans = data.spans("door", view);
  expect(spans[0]?.[0]).toBe(view.from);
  for (let i = 1; i < spans.length; i += 1) expect(spans[i]?.[0]).toBe(spans[i - 1]?.[1]);
  expect(spans.at(-1)?.[1]).toBe(view.to);
});
