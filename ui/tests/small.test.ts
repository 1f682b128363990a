// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test, vi } from "vitest";
import { check, emptyForm, formOf, host, request, splitAddress } from "../src/cameras/form";
import { api, onReach, Problem } from "../src/lib/api";
import { groups, strength } from "../src/lib/owner";
import { href, parse } from "../src/lib/route.svelte";
import { fileName } from "../src/lib/save";
import { sheetText } from "../src/lib/sheet";
import type { Camera } from "../src/lib/types";
import { CAUSE, spanWords, tidy } from "../src/lib/words";
import { Seeker } from "../src/playback/seeker";
import { arrow, grid } from "../src/wall/layout";
import { notRecording, sentence, truth } from "../src/wall/truth";
import { createSite } from "../dev/mock.mjs";

describe("addresses of pages", () => {
  test("the one-time link, pages with what they show, and nonsense", () => {
    expect(parse("#setup=ab%2Fc").setup).toBe("ab/c");
    expect(parse("#/playback?c=a,b&t=5").params.get("c")).toBe("a,b");
    expect(parse("#/playback?c=a").page).toBe("playback");
    expect(parse("").page).toBe("wall");
    expect(parse("#/../../etc").page).toBe("wall");
    expect(href("playback", { c: "a,b" })).toBe("#/playback?c=a%2Cb");
  });
});

describe("the wall's grid", () => {
  test("all fit, as large as can be", () => {
    expect(grid(4, { width: 1440, height: 800, gap: 6, strip: 30 })).toMatchObject({ columns: 2, scrolls: false });
    expect(grid(1, { width: 1440, height: 800, gap: 6, strip: 30 })).toMatchObject({ columns: 1, tileHeight: expect.any(Number) });
    expect(grid(9, { width: 2560, height: 1380, gap: 6, strip: 30 }).columns).toBe(3);
    for (const n of [1, 2, 3, 5, 8, 16, 25]) {
      const { columns, tileWidth, tileHeight, scrolls } = grid(n, { width: 1920, height: 1000, gap: 6, strip: 30 });
      const rows = Math.ceil(n / columns);
      expect(columns * tileWidth + (columns - 1) * 6).toBeLessThanOrEqual(1920);
      if (!scrolls) expect(rows * tileHeight + (rows - 1) * 6).toBeLessThanOrEqual(1000);
    }
  });

  test("a telephone gets one column that scrolls; a hundred cameras get a fair size", () => {
    expect(grid(6, { width: 378, height: 700, gap: 6, strip: 30 })).toMatchObject({ columns: 1, scrolls: true, tileWidth: 378 });
    expect(grid(100, { width: 1440, height: 800, gap: 6, strip: 30 })).toMatchObject({ scrolls: true });
    expect(grid(100, { width: 1440, height: 800, gap: 6, strip: 30 }).tileWidth).toBeGreaterThan(290);
  });

  test("arrows stay inside the wall", () => {
    expect(arrow("ArrowRight", 0, 6, 3)).toBe(1);
    expect(arrow("ArrowRight", 5, 6, 3)).toBe(5);
    expect(arrow("ArrowDown", 1, 6, 3)).toBe(4);
    expect(arrow("ArrowDown", 2, 5, 3)).toBe(4);
    expect(arrow("ArrowDown", 4, 5, 3)).toBe(4);
    expect(arrow("ArrowUp", 1, 6, 3)).toBe(1);
    expect(arrow("End", 0, 6, 3)).toBe(5);
    expect(arrow("x", 0, 6, 3)).toBeNull();
  });
});

describe("what a tile may claim", () => {
  const server = { state: "live", since_90k: 5, why: "" } as never;
  test("never live before a view says so", () => {
    expect(truth(null, server).state).toBe("connecting");
    expect(truth(null, undefined).state).toBe("connecting");
    expect(truth(null, { state: "gone", since_90k: 7, why: "no route" } as never)).toEqual({ state: "gone", since: 7, why: "no route" });
    expect(truth({ state: "frozen", since_90k: 9, why: "" }, server).state).toBe("frozen");
  });

  test("why is a sentence", () => {
    expect(sentence({ state: "gone", since: 1, why: "no picture for 11 s" })).toBe("No picture for 11 s.");
    expect(sentence({ state: "frozen", since: 1, why: "" })).toBe("Connected, but no new picture.");
    expect(tidy("Done!")).toBe("Done!");
  });

  test("a live substream does not hide that the main one is not kept", () => {
    expect(notRecording({ state: "gone", since_90k: 3 } as never, "continuous")).toMatchObject({ since_90k: 3 });
    expect(notRecording({ state: "gone" } as never, "paused")).toBeNull();
    expect(notRecording(server, "continuous")).toBeNull();
  });

  test("every cause that can be stored has words", () => {
    const stored = ["paused", "schedule", "no-event", "no-key", "unreachable", "refused", "broken", "disk-full", "disk-gone", "overload", "process-down", "clock-stepped", "deleted", "unknown"];
    expect(Object.keys(CAUSE).sort()).toEqual(stored.sort());
    expect(spanWords("lost", "refused", "401.")).toBe("Lost: camera refused (401)");
    expect(spanWords("lost", "new-cause")).toBe("Lost: new-cause");
  });
});

describe("a camera's form", () => {
  const camera = createSite().cameras[0] as Camera;

  test("a password leaves the address", () => {
    const form = splitAddress({ ...emptyForm(), address: " rtsp://me:p%40ss@10.0.0.2:554/x " });
    expect(form).toMatchObject({ address: "rtsp://10.0.0.2:554/x", username: "me", password: "p@ss" });
    expect(splitAddress({ ...emptyForm(), address: "rtsp://10.0.0.2/a@b" }).address).toBe("rtsp://10.0.0.2/a@b");
    expect(splitAddress({ ...emptyForm(), address: "rtsp://me:%zz@h/" }).password).toBe("%zz");
    expect(host("rtsp://me:x@Host:554/p")).toBe("host:554");
  });

  test("what is wrong is said by field", () => {
    expect(Object.keys(check(emptyForm()))).toEqual(["name", "address"]);
    const good = { ...emptyForm(), name: "Door", address: "rtsp://10.0.0.2/" };
    expect(check(good)).toEqual({});
    expect(check({ ...good, keep_days: "-1" }).keep_days).toBeTruthy();
    expect(check({ ...good, keep_gb: "lots" }).keep_gb).toBeTruthy();
    expect(check({ ...good, mode: "schedule", schedule: [{ days: [], from: "1", to: "2" }] }).schedule).toBeTruthy();
    expect(check({ ...good, pin_sha256: "AB:CD" }).pin_sha256).toBeTruthy();
    expect(check({ ...good, pin_sha256: "ab:".repeat(31) + "cd" })).toEqual({});
  });

  test("editing says nothing of a password that was not typed, and can take the substream away", () => {
    const form = formOf(camera);
    expect(request(form, true)).not.toHaveProperty("password");
    expect(request({ ...form, sub_address: "" }, true).sub_address).toBe("");
    expect(request({ ...form, password: "new" }, true).password).toBe("new");
    expect(request({ ...form, keep_days: " " }, true).recording?.keep_days).toBeNull();
  });

  test("a form that was not touched sends back what it was given", () => {
    const body = request(formOf(camera), true);
    expect(body).toMatchObject({ name: camera.name, address: camera.address, sub_address: camera.sub_address, audio: camera.audio });
    expect(body.recording).toMatchObject({ mode: "continuous", keep_days: null, record_sub: true });
  });
});

describe("the owner's key", () => {
  test("weak passphrases do not pass", () => {
    for (const weak of ["", "short", "password1234567", "aaaaaaaaaaaaaaaa", "123456789012345"]) expect(strength(weak).enough).toBe(false);
    expect(strength("correct horse battery staple")).toMatchObject({ score: 3, enough: true });
    expect(strength("correct horse corner")).toMatchObject({ enough: true });
  });

  test("groups join to what they were", () => {
    const identity = `AGE-SECRET-KEY-PQ-1${"QX5K2ZTR".repeat(7)}PD`;
    expect(groups(identity)[0]).toBe("AGE-SECRET-KEY-PQ-1");
    expect(groups(identity).join("")).toBe(identity);
    expect(Math.max(...groups(identity).slice(1).map((group) => group.length))).toBe(4);
  });

  test("the saved sheet is an age identity file: comments, then the key on a line of its own", () => {
    const owner = { identity: "I", recipient: "r", recoveryIdentity: "AGE-SECRET-KEY-PQ-1ABC", recoveryRecipient: "age1pq1x" };
    const lines = sheetText({ site: "Shop", made: "Sat 21 Nov 2026", owner }).trimEnd().split("\n");
    expect(lines.filter((line) => !line.startsWith("#"))).toEqual(["AGE-SECRET-KEY-PQ-1ABC"]);
    expect(lines.every((line) => !line.includes("undefined"))).toBe(true);
  });
});

describe("the server's answers", () => {
  test("a problem keeps its sentence, code and remedy; silence is a problem too", async () => {
    const heard: boolean[] = [];
    const stop = onReach((ok) => heard.push(ok));
    const body = { title: "t", code: "camera.refused", detail: "No.", remedy: "Ask." };
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify(body), { status: 429, headers: { "retry-after": "17" } }));
    const problem = await api.session().catch((error: unknown) => error as Problem);
    expect(problem).toMatchObject({ message: "No.", code: "camera.refused", remedy: "Ask.", status: 429, retryAfter: 17 });
    vi.stubGlobal("fetch", async () => new Response("<html>", { status: 502 }));
    await expect(api.session()).rejects.toMatchObject({ status: 502 });
    vi.stubGlobal("fetch", async () => Promise.reject(new TypeError("x")));
    await expect(api.session()).rejects.toMatchObject({ code: "offline" });
    expect(heard).toEqual([true, false, false]);
    stop();
    vi.unstubAllGlobals();
  });

  test("questions carry every camera and whole ticks", async () => {
    let asked = "";
    vi.stubGlobal("fetch", async (path: string) => ((asked = path), new Response("{}")));
    await api.timeline(["a", "b c"], 1.5, 2.5, 100);
    expect(asked).toBe("/api/timeline?camera=a&camera=b+c&from=1&to=3&px=100");
    vi.unstubAllGlobals();
  });
});

describe("scrubbing", () => {
  test("one seek runs, only the newest waits, and what was cancelled is no failure", async () => {
    const asked: number[] = [];
    const ends: (() => void)[] = [];
    const failed: unknown[] = [];
    const seeker = new Seeker(
      (moment) => {
        asked.push(moment);
        return new Promise((done, fail) => ends.push(moment === 9 ? () => fail(Object.assign(new Error("x"), { code: "cancelled" })) : done));
      },
      (error) => failed.push(error),
    );
    for (let i = 1; i <= 9; i += 1) seeker.to(i);
    expect(asked).toEqual([1]);
    ends[0]?.();
    await vi.waitFor(() => expect(asked).toEqual([1, 9]));
    ends[1]?.();
    await Promise.resolve();
    seeker.to(10);
    await vi.waitFor(() => expect(asked).toEqual([1, 9, 10]));
    expect(failed).toEqual([]);
  });
});

test("files have names that every system takes", () => {
  expect(fileName("Café / Süd №1", new Date(2026, 10, 21, 14, 3, 2), "png")).toMatch(/^caf[\w-]*-no1_2026-11-21_14-03-02\.png$/);
  expect(fileName("???", new Date(2026, 0, 2), "mp4")).toBe("camera_2026-01-02_00-00-00.mp4");
});
