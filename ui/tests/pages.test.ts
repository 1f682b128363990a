// SPDX-License-Identifier: Apache-2.0
/** The pages as people use them: by role and label, over a pretend server. */
import { fireEvent, render, screen, waitFor, within } from "@testing-library/svelte";
import { afterEach, describe, expect, test, vi } from "vitest";
import { notices } from "../src/lib/notices.svelte";
import { router } from "../src/lib/route.svelte";
import { session } from "../src/lib/session.svelte";
import { site as shared } from "../src/lib/site.svelte";
import { HZ, now } from "../src/lib/time";
import Cameras from "../src/pages/Cameras.svelte";
import Setup from "../src/pages/Setup.svelte";
import SignIn from "../src/pages/SignIn.svelte";
import Storage from "../src/pages/Storage.svelte";
import System from "../src/pages/System.svelte";
import Wall from "../src/pages/Wall.svelte";
import ClipDialog from "../src/playback/ClipDialog.svelte";
import { stage } from "./site";

afterEach(() => {
  shared.stop();
  notices.list = [];
  session.phase = "loading";
  vi.unstubAllGlobals();
});

const type = async (label: RegExp | string, text: string): Promise<void> => {
  await fireEvent.input(screen.getByLabelText(label), { target: { value: text } });
};
const button = (name: RegExp | string): HTMLButtonElement => screen.getByRole("button", { name });

describe("first visit", () => {
  test("without the link it says where the link is", () => {
    stage({ owner: false });
    render(Setup, { token: "" });
    expect(screen.getByRole("heading").textContent).toBe("This recorder has no owner yet");
  });

  test("key, sheet, cameras; nothing is sent before the sheet is confirmed", async () => {
    const { site, engine } = stage({ owner: false, signedIn: false });
    render(Setup, { token: "good" });
    expect(button("Make my key").disabled).toBe(true);
    await type("Passphrase", "correct horse battery staple");
    await fireEvent.click(button("Make my key"));
    await screen.findByRole("heading", { name: "Keep this recovery sheet" });
    expect(screen.getByRole("group", { name: "Recovery key" }).textContent).toContain("RECO");
    expect(site.log.some(([, path]) => path === "/api/setup")).toBe(false);
    expect(button("Show my cameras").disabled).toBe(true);
    await fireEvent.click(screen.getByLabelText(/I have printed or saved it/));
    await fireEvent.click(button("Show my cameras"));
    await waitFor(() => expect(session.phase).toBe("open"));
    const sent = site.log.find(([, path]) => path === "/api/setup")?.[2] as Record<string, unknown>;
    expect(sent).toMatchObject({ token: "good", name: "Home", recipient: "age1pq1o", recovery_recipient: "age1pq1r", login: { kind: "passphrase", iterations: 600_000 } });
    expect(JSON.stringify(sent)).not.toContain("SECRET");
    expect(JSON.stringify(sent)).not.toContain("horse");
    expect(engine.calls).toContainEqual(["unlock", "AGE-SECRET-KEY-PQ-1OWNER"]);
  });

  test("a used link is refused in words", async () => {
    stage({ owner: false, signedIn: false });
    render(Setup, { token: "old" });
    await type("Passphrase", "correct horse battery staple");
    await fireEvent.click(button("Make my key"));
    await fireEvent.click(await screen.findByLabelText(/I have printed or saved it/));
    await fireEvent.click(button("Show my cameras"));
    expect((await screen.findByRole("alert")).textContent).toContain("This link has been used");
  });
});

describe("signing in", () => {
  test("a wrong passphrase is said, the right one opens", async () => {
    const { engine } = stage({ signedIn: false });
    render(SignIn);
    const field = await screen.findByLabelText("Passphrase");
    await fireEvent.input(field, { target: { value: "wrong one" } });
    await fireEvent.click(button(/Sign in/));
    expect((await screen.findByRole("alert")).textContent).toContain("That is not the passphrase.");
    await fireEvent.input(field, { target: { value: "right one" } });
    await fireEvent.click(button(/Sign in/));
    await waitFor(() => expect(session.phase).toBe("open"));
    expect(engine.calls.map(([name]) => name)).toContain("unlockWithPassphrase");
  });

  test("too many tries: the wait is counted, the button rests", async () => {
    stage({ signedIn: false });
    render(SignIn);
    const field = await screen.findByLabelText("Passphrase");
    vi.stubGlobal("fetch", async () => new Response("{}", { status: 429, headers: { "retry-after": "42" } }));
    await fireEvent.input(field, { target: { value: "x" } });
    await fireEvent.click(button(/Sign in/));
    expect((await screen.findByRole("alert")).textContent).toMatch(/Try again in 4\d s/);
    expect(button(/Sign in/).disabled).toBe(true);
  });

  test("signed in without the key: asks to unlock, not to sign in", async () => {
    const { engine } = stage();
    engine.remembered = false;
    await session.refresh();
    expect(session.phase).toBe("sign-in");
    render(SignIn);
    expect(screen.getByRole("heading").textContent).toBe("Unlock your footage");
  });
});

describe("the wall", () => {
  test("without cameras it leads to adding one", async () => {
    stage({ empty: true });
    await shared.load();
    render(Wall);
    expect(screen.getByRole("link", { name: /Add a camera/ }).getAttribute("href")).toBe("#/cameras?add=1");
  });

  test("substreams in the grid, the main stream when enlarged, Esc goes back", async () => {
    const { engine } = stage();
    await shared.load();
    render(Wall);
    await waitFor(() => expect(engine.views).toHaveLength(6));
    const streams = Object.fromEntries(engine.views.map((view) => [view.camera, view.stream]));
    expect(streams).toMatchObject({ door: "sub", yard: "sub", lane: "main" }); // lane has no substream
    await fireEvent.click(button(/^Front door:/));
    await waitFor(() => expect(engine.views.find((view) => view.camera === "door" && !view.closed)?.stream).toBe("main"));
    expect(engine.views.filter((view) => !view.closed)).toHaveLength(1);
    await fireEvent.keyDown(document.body, { key: "Escape" });
    await waitFor(() => expect(engine.views.filter((view) => !view.closed)).toHaveLength(6));
  });

  test("what the view says is what the tile says", async () => {
    const { engine } = stage();
    await shared.load();
    render(Wall);
    await waitFor(() => expect(engine.views).toHaveLength(6));
    const tile = (): HTMLElement => screen.getByRole("article", { name: "Front door" });
    expect(within(tile()).getByText("Connecting")).toBeTruthy();
    const door = engine.views.find((view) => view.camera === "door");
    door?.options.onState?.({ state: "live", since_90k: now(), why: "" });
    expect(await within(tile()).findByText("Live")).toBeTruthy();
    door?.options.onPicture?.({ t90k: now(), width: 1, height: 1 });
    door?.options.onState?.({ state: "frozen", since_90k: now() - 9 * HZ, why: "no picture for 9 s" });
    expect(await within(tile()).findByText("No picture for 9 s.")).toBeTruthy();
    expect(within(tile()).getByText("This is the last picture.")).toBeTruthy();
    door?.options.onProblem?.(Object.assign(new Error("This browser cannot show H.265."), { remedy: "Add its smaller stream." }));
    expect(await within(tile()).findByText("This browser cannot show H.265.")).toBeTruthy();
  });

  test("only one camera is heard", async () => {
    const { engine } = stage();
    await shared.load();
    render(Wall);
    await waitFor(() => expect(engine.views).toHaveLength(6));
    const live = (camera: string) => engine.views.find((view) => view.camera === camera);
    await fireEvent.click(await screen.findByRole("button", { name: "Sound of Front door" }));
    expect(live("door")?.muted).toBe(false);
    await fireEvent.click(await screen.findByRole("button", { name: "Sound of Yard" }));
    expect([live("door")?.muted, live("yard")?.muted]).toEqual([true, false]);
  });
});

describe("cameras", () => {
  const open = async () => {
    const staged = stage();
    await shared.load();
    render(Cameras);
    return staged;
  };

  test("a failed test says why and what to do", async () => {
    await open();
    await fireEvent.click(button("Add a camera"));
    await type("Address", "rtsp://me:secret@192.168.1.9/bad");
    await fireEvent.click(button("Test"));
    expect(await screen.findByText(/did not accept the user name/)).toBeTruthy();
    expect(screen.getByText(/many cameras want a separate user/)).toBeTruthy();
    expect((screen.getByLabelText("Address") as HTMLInputElement).value).toBe("rtsp://192.168.1.9/bad");
    expect((screen.getByLabelText("Password") as HTMLInputElement).value).toBe("secret");
  });

  test("add: what is missing is said, then it is there", async () => {
    const { site } = await open();
    await fireEvent.click(button("Add a camera"));
    await fireEvent.click(button("Add camera"));
    expect(screen.getByText("Give it a name.")).toBeTruthy();
    await type("Name", "Cellar");
    await type("Address", "rtsp://10.0.0.7/1");
    await fireEvent.click(button("Test"));
    expect(await screen.findByText("It works.")).toBeTruthy();
    await fireEvent.click(button("Add camera"));
    expect(await screen.findByRole("heading", { name: "Cellar" })).toBeTruthy();
    expect(site.cameras.at(-1)?.address).toBe("rtsp://10.0.0.7/1");
  });

  test("removing asks what becomes of the footage, and deleting wants the name", async () => {
    const { site } = await open();
    await fireEvent.click(button("Remove Yard"));
    const remove = (): HTMLButtonElement => button(/^Remove (camera|and delete)$/);
    expect(remove().disabled).toBe(true);
    await fireEvent.click(screen.getByLabelText(/Delete it now/));
    expect(remove().disabled).toBe(true);
    await type(/Type Yard/, "Yard");
    expect(remove().disabled).toBe(false);
    await fireEvent.click(remove());
    await waitFor(() => expect(site.cameras.some((camera) => camera.id === "yard")).toBe(false));
  });

  test("pause and resume", async () => {
    const { site } = await open();
    const card = screen.getByRole("heading", { name: "Front door" }).closest("li") as HTMLElement;
    await fireEvent.click(within(card).getByRole("button", { name: "Pause" }));
    await within(card).findByRole("button", { name: "Resume" });
    expect(site.cameras[0]?.recording.mode).toBe("paused");
  });
});

describe("clips", () => {
  const from = now() - 600 * HZ;
  const props = { cameras: [{ id: "door", name: "Front door" }], from, to: from + 60 * HZ, onclose: () => undefined, onheld: () => undefined, onrange: () => undefined };

  test("progress, and a cancel that stops it", async () => {
    const { engine } = stage();
    engine.clip = (signal, onProgress) => {
      onProgress?.({ phase: "reading", done: 0.5, bytes: 2e6 });
      return new Promise((_, fail) => signal?.addEventListener("abort", () => fail(Object.assign(new Error("Cancelled"), { code: "cancelled" }))));
    };
    render(ClipDialog, { ...props, what: "clip" as const });
    await fireEvent.click(button("Save clip"));
    await waitFor(() => expect((screen.getByRole("progressbar") as HTMLProgressElement).value).toBe(0.5));
    await fireEvent.click(button("Cancel"));
    expect(await screen.findByText("Cancelled.")).toBeTruthy();
  });

  test("the report names what is missing and what was altered", async () => {
    const { engine } = stage();
    engine.clip = async () => ({
      blob: new Blob(["x"]), name: "front-door.mp4", more: [],
      report: { camera: "door", from_90k: from, to_90k: props.to, recorded_90k: 1, gaps: [{ start_90k: from, end_90k: from + HZ, cause: "unreachable", detail: "" }], altered: [{ path: "p", start_90k: 0, end_90k: 1 }], verified: 2, unverified: 0 },
    });
    render(ClipDialog, { ...props, what: "clip" as const });
    await fireEvent.click(button("Save clip"));
    expect(await screen.findByText(/front-door\.mp4/)).toBeTruthy();
    expect(screen.getByText(/is missing: camera unreachable/)).toBeTruthy();
    expect(screen.getByText(/1 of its sealed files is not as recorded/)).toBeTruthy();
  });

  test("a hold wants a reason", async () => {
    const { site } = stage();
    render(ClipDialog, { ...props, what: "hold" as const });
    expect(button("Hold").disabled).toBe(true);
    await type(/Why is it held/, "Police");
    await fireEvent.click(button("Hold"));
    await waitFor(() => expect(site.holds.at(-1)).toMatchObject({ camera: "door", start_90k: from, reason: "Police" }));
  });
});

describe("storage and system", () => {
  test("a missing disk and a short forecast are said; days are changed; holds released", async () => {
    const { site } = stage();
    await shared.load();
    render(Storage);
    expect(await screen.findByText(/Disk “attic”: Missing/)).toBeTruthy();
    expect(screen.getByText("The disks hold 17 days, not the 30 days you set")).toBeTruthy();
    await type(/Footage is deleted after/, "14");
    expect(screen.getByText(/older than 14 days will be deleted at once/)).toBeTruthy();
    await fireEvent.click(button("Save"));
    await waitFor(() => expect(site.keepDays).toBe(14));
    await fireEvent.click(button("Release"));
    await fireEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Release" }));
    await waitFor(() => expect(site.holds).toHaveLength(0));
  });

  test("the account of every second is shown by cause and adds up", async () => {
    stage();
    await shared.load();
    render(System);
    expect(await screen.findByText(/add up to the total of every camera/)).toBeTruthy();
    const row = screen.getByRole("row", { name: /^Garage/ });
    expect(row.textContent).toContain("00:26:00");
    expect(await screen.findByText("Recorder")).toBeTruthy();
    expect(screen.getByText("This browser")).toBeTruthy();
  });
});

test("a camera that changes its state is told to ears", async () => {
  stage();
  await shared.load();
  expect(router.now.page).toBe("wall");
  notices.say("x");
  notices.say("x");
  expect(notices.said).toBe("x ");
});
