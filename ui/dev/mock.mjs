// SPDX-License-Identifier: Apache-2.0
/**
 * A pretend server for looking at pages and for component tests: answers docs/design/http.md from memory.
 * `MOCK=1 npx vite build --outDir /tmp/pages && node dev/mock.mjs 8099 /tmp/pages` serves pages with it, under the
 * server's own policy; tests import `createSite()`. Not part of the product.
 */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const HZ = 90_000;
const HOUR = 3600 * HZ;
const DAY = 24 * HOUR;
const nowTicks = () => Math.round(Date.now() * 90);

const state = (state, since, why = "", more = {}) => ({
  state, since_90k: since, why, codec: "h264", width: 1920, height: 1080, fps: 25, kbps: 3900, audio: false, run: "1f2e3d4c5b6a7988",
  clock_offset_ms: 12.4, clock_drift_ppm: 1.1, lost_packets: 0, reconnects: 0, last_sample_90k: nowTicks() - 900, dropped_live: 0, ...more,
});

function makeCameras(now) {
  const recording = { mode: "continuous", schedule: [], pre_roll_s: 5, post_roll_s: 10, keep_days: null, keep_gb: null, record_sub: true };
  const camera = (id, name, streams, more = {}) => ({
    id, name, address: `rtsp://192.168.20.1${id.length}/stream1`, sub_address: `rtsp://192.168.20.1${id.length}/stream2`, username: "viewer", has_password: true, pin_sha256: "", audio: true,
    pretend: false, recording, disk: "", added_90k: now - 45 * DAY, streams, ...more,
  });
  const sub = { width: 640, height: 360, kbps: 480, fps: 15 };
  return [
    camera("door", "Front door", { main: state("live", now - 9 * HOUR, "", { audio: "aac" }), sub: state("live", now - 9 * HOUR, "", sub) }),
    camera("yard", "Yard", { main: state("live", now - 30 * HOUR, "", { codec: "h265", width: 2560, height: 1440, kbps: 5200 }), sub: state("live", now - 30 * HOUR, "", sub) }),
    camera("till", "Till", { main: state("late", now - 90 * HZ, "Pictures are 2.8 s late: the network is slow."), sub: state("late", now - 90 * HZ, "Pictures are 2.8 s late: the network is slow.", sub) }),
    camera("garage", "Garage", {
      main: state("gone", now - 26 * 60 * HZ, "No answer from 192.168.20.16 (timed out).", { reconnects: 14, fps: 0, kbps: 0 }),
      sub: state("gone", now - 26 * 60 * HZ, "No answer from 192.168.20.16 (timed out).", sub),
    }),
    camera("office", "Office", { main: state("paused", now - 5 * HOUR), sub: state("paused", now - 5 * HOUR, "", sub) }, { recording: { ...recording, mode: "paused" } }),
    camera("lane", "Delivery lane", { main: state("live", now - 3 * DAY) }, { sub_address: null, recording: { ...recording, mode: "schedule", schedule: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "06:00", to: "20:00" }], keep_days: 7 } }),
  ];
}

/** Spans of one camera, oldest first: recorded, with the losses and pauses of a life. */
function makeSpans(id, now) {
  const from = now - 45 * DAY;
  const gaps = [];
  const seed = [...id].reduce((sum, c) => sum * 31 + c.charCodeAt(0), 7);
  let x = seed % 2147483647;
  const random = () => ((x = (x * 48271) % 2147483647) / 2147483647);
  const causes = [["lost", "unreachable", "no route to host"], ["lost", "process-down", ""], ["lost", "broken", "no key frame for 10 s"], ["off", "paused", ""], ["lost", "overload", ""]];
  for (let t = from + 5 * HOUR; t < now - 2 * HOUR; t += Math.round((8 + random() * 60) * HOUR)) {
    const [kind, cause, detail] = causes[Math.floor(random() * causes.length)];
    const long = cause === "paused" ? 3 + random() * 9 : random() * random() * 2;
    gaps.push([t, Math.round(t + long * HOUR) + 1, kind, cause, detail]);
  }
  gaps.push([from, from + 2 * HOUR, "off", "no-key", ""]);
  if (id === "garage") gaps.push([now - 26 * 60 * HZ, now, "lost", "unreachable", "timed out"]);
  if (id === "office") gaps.push([now - 5 * HOUR, now, "off", "paused", ""]);
  if (id === "door") gaps.push([now - 40 * 60 * HZ, now - 33 * 60 * HZ, "lost", "unreachable", "connection reset"], [now - 19 * 60 * HZ, now - 18.6 * 60 * HZ, "lost", "process-down", ""]);
  if (id === "yard") gaps.push([now - 12 * 60 * HZ, now - 9 * 60 * HZ, "off", "paused", ""]);
  gaps.sort((a, b) => a[0] - b[0]);
  const spans = [];
  let at = from;
  for (const gap of gaps) {
    if (gap[0] < at) continue;
    if (gap[0] > at) spans.push([at, gap[0], "recorded", null, ""]);
    spans.push(gap);
    at = gap[1];
  }
  if (at < now) spans.push([at, now, "recorded", null, ""]);
  return spans;
}

const RANK = { recorded: 0, off: 1, lost: 2 };
function merged(spans, from, to, px) {
  const step = (to - from) / px;
  const out = [];
  let small = false; // the last of `out` is made of spans that are shorter than a pixel
  for (const [a, b, kind, cause, detail] of spans) {
    if (b <= from || a >= to) continue;
    const next = [Math.max(a, from), Math.min(b, to), kind, cause, detail];
    const last = out[out.length - 1];
    const tiny = next[1] - next[0] < step;
    if (tiny && small && next[1] - last[0] < 2 * step) {
      const worse = RANK[next[2]] > RANK[last[2]] ? next : last;
      out[out.length - 1] = [last[0], next[1], worse[2], worse[3], worse[4]];
    } else out.push(next);
    small = tiny;
  }
  return out;
}

export function createSite({ owner = true, signedIn = true, empty = false } = {}) {
  const now = nowTicks();
  const site = {
    session: { owner, signed_in: signedIn, name: "Corner shop", pretend: false, version: "0.1.0" },
    cameras: empty ? [] : makeCameras(now),
    holds: empty ? [] : [{ id: "h1", camera: "door", start_90k: now - 33 * 60 * HZ, end_90k: now - 26 * 60 * HZ, reason: "Parcel taken, police file 4711", made_90k: now - 20 * 60 * HZ }],
    keepDays: 30,
    log: [],
  };
  const spansOf = (id) => makeSpans(id, nowTicks());
  const problem = (status, code, detail, remedy = "") => ({ status, json: { type: "about:blank", title: code, status, code, detail, remedy } });

  /** @returns {{status: number, json?: unknown}} */
  site.answer = (method, target, body) => {
    const url = new URL(target, "http://mock");
    const q = url.searchParams;
    const path = url.pathname;
    site.log.push([method, path, body]);
    const [, , , id] = path.split("/");
    const is = (m, p) => method === m && path === p;
    if (is("GET", "/api/session")) return { status: 200, json: site.session };
    if (is("POST", "/api/setup/passkey")) return { status: 200, json: { options: {} } };
    if (is("POST", "/api/setup")) {
      if (body?.token !== "good") return problem(403, "access.denied", "This link has been used, or is not the newest one.", "Restart Closed Circuit and open the link that it prints.");
      Object.assign(site.session, { owner: true, signed_in: true, name: body.name });
      return { status: 200, json: site.session };
    }
    if (is("GET", "/api/login")) return { status: 200, json: { kind: "passphrase", salt: "AAAAAAAAAAAAAAAAAAAAAA==", iterations: 600000 } };
    if (is("POST", "/api/login")) {
      if (body?.auth === "wrong") return problem(401, "access.denied", "Wrong passphrase.");
      site.session.signed_in = true;
      return { status: 200, json: { recipient: "age1pq1mock", blob: "AAAA", kind: "passphrase" } };
    }
    if (is("POST", "/api/logout")) return (site.session.signed_in = false), { status: 204 };
    if (!site.session.signed_in) return problem(401, "access.denied", "Not signed in.");
    if (is("GET", "/api/sessions")) {
      const row = (id, agent, here) => ({ id, made_90k: now - 20 * HOUR, seen_90k: now - HZ, expires_90k: now + 29 * DAY, agent, this: here });
      return { status: 200, json: { sessions: [row("s1", "Mozilla/5.0 (X11; Linux x86_64) Chrome/156.0", true), row("s2", "Mozilla/5.0 (iPhone; CPU) Safari/605", false)] } };
    }
    if (method === "DELETE" && path.startsWith("/api/sessions/")) return { status: 204 };
    if (is("GET", "/api/identity")) return { status: 200, json: { recipient: `age1pq1${"qzt7x4m9".repeat(24)}`, recovery_recipient: `age1pq1${"m0w5ce2k".repeat(24)}`, blob: "AAAA", kind: "passphrase", salt: "", iterations: 600000 } };
    if (is("GET", "/api/cameras")) return { status: 200, json: { cameras: site.cameras } };
    if (is("POST", "/api/cameras/test")) {
      if (/bad|refused/.test(body?.address ?? "")) return { status: 200, json: { ok: false, tracks: [], first_picture_ms: null, fps: null, kbps: null, error: { code: "camera.refused", message: "The camera did not accept the user name and password (401 Unauthorized).", remedy: "Check both; many cameras want a separate user for RTSP." } } };
      return { status: 200, json: { ok: true, tracks: [{ kind: "video", codec: "h264", codec_string: "avc1.640028", width: 1920, height: 1080 }, { kind: "audio", codec: "aac", channels: 1, timescale: 16000 }], first_picture_ms: 412, fps: 25, kbps: 3912, error: null } };
    }
    if (is("POST", "/api/cameras")) {
      if (!/^[a-z]+:\/\//.test(body?.address ?? "")) return problem(422, "config.invalid", "The address must begin with a scheme, as in rtsp://.", "Look for “RTSP” in the camera's manual.");
      const made = { ...makeCameras(nowTicks())[0], id: `c${site.cameras.length + 1}`, name: body.name, address: body.address, sub_address: body.sub_address ?? null, username: body.username ?? "" };
      site.cameras = [...site.cameras, made];
      return { status: 201, json: made };
    }
    if (method === "PATCH" && path.startsWith("/api/cameras/")) {
      const camera = site.cameras.find((one) => one.id === id);
      if (!camera) return problem(404, "not-found", "There is no such camera.");
      const { paused, recording, ...rest } = body;
      Object.assign(camera, rest, { recording: { ...camera.recording, ...recording, ...(paused === undefined ? {} : { mode: paused ? "paused" : "continuous" }) } });
      return { status: 200, json: camera };
    }
    if (method === "DELETE" && path.startsWith("/api/cameras/")) {
      if (!q.get("footage")) return problem(422, "config.invalid", "Say what becomes of the footage.");
      site.cameras = site.cameras.filter((one) => one.id !== id);
      return { status: 204 };
    }
    if (is("GET", "/api/timeline")) {
      const [from, to, px] = [Number(q.get("from")), Number(q.get("to")), Number(q.get("px"))];
      const cameras = Object.fromEntries(q.getAll("camera").map((camera) => {
        const spans = spansOf(camera);
        const holds = site.holds.filter((hold) => hold.camera === camera && hold.end_90k > from && hold.start_90k < to);
        return [camera, { oldest_90k: spans[0][0], spans: merged(spans, from, to, px), holds: holds.map((h) => [h.start_90k, h.end_90k, h.id, h.reason]) }];
      }));
      return { status: 200, json: { now_90k: nowTicks(), cameras } };
    }
    if (is("GET", "/api/ledger")) {
      const [from, to] = [Number(q.get("from")), Math.min(Number(q.get("to")), nowTicks())];
      const spans = merged(spansOf(q.get("camera")), from, to, 1e9);
      const sum = { recorded_90k: 0, off_90k: 0, lost_90k: 0, total_90k: 0, by_cause: {}, spans };
      for (const [a, b, kind, cause] of spans) {
        sum[`${kind}_90k`] += b - a;
        sum.total_90k += b - a;
        if (cause) sum.by_cause[cause] = (sum.by_cause[cause] ?? 0) + b - a;
      }
      return { status: 200, json: sum };
    }
    if (is("GET", "/api/holds")) return { status: 200, json: { holds: site.holds } };
    if (is("POST", "/api/holds")) {
      const hold = { ...body, id: `h${site.holds.length + 1}`, made_90k: nowTicks() };
      site.holds = [...site.holds, hold];
      return { status: 201, json: hold };
    }
    if (method === "DELETE" && path.startsWith("/api/holds/")) return (site.holds = site.holds.filter((hold) => hold.id !== id)), { status: 204 };
    if (is("GET", "/api/storage")) {
      return { status: 200, json: {
        disks: empty ? [] : [
          { id: "main", path: "/srv/closedcircuit", state: "ok", total_bytes: 4e12, free_bytes: 1.62e12, footage_bytes: 2.31e12 },
          { id: "attic", path: "/mnt/attic", state: "missing", total_bytes: 0, free_bytes: 0, footage_bytes: 0 },
        ],
        cameras: site.cameras.map((camera, i) => ({ id: camera.id, bytes: 4.1e11 / (i + 1), oldest_90k: spansOf(camera.id)[0][0], bytes_per_day: 4.2e10 / (i + 1), keep_days: camera.recording.keep_days, keep_gb: camera.recording.keep_gb })),
        forecast_days: 17.4, keep_days: site.keepDays, reserve_bytes: 5e10, holds: site.holds,
      } };
    }
    if (is("PATCH", "/api/storage")) return (site.keepDays = body.keep_days), { status: 200, json: { keep_days: site.keepDays } };
    if (is("GET", "/api/system")) {
      const process = (role, pid, rss, cpu, more = {}) => ({ role, pid, version: "0.1.0", started_90k: now - 9 * HOUR, at_90k: nowTicks(), cpu_s: cpu, rss_bytes: rss, alive: true, restarts: 0, ...more });
      return { status: 200, json: { version: "0.1.0", data: "/var/lib/closedcircuit", listening: ["http://localhost:8470"], pretend: false, processes: [
        process("recorder", 812, 61e6, 903, { writer: { queue_bytes: 120000, dropped_fragments: 0, written_bytes: 8.1e10, synced_90k: nowTicks() }, index: { behind_rows: 0, waiting_since_90k: null } }),
        process("keeper", 813, 42e6, 20), process("web", 814, 88e6, 64, { restarts: 1 }),
      ] } };
    }
    return problem(404, "not-found", `There is no ${method} ${path}.`);
  };
  return site;
}

const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

async function serve(path, response) {
  try {
    const bytes = await readFile(`${process.argv[3]}${path === "/" ? "/index.html" : path}`);
    response.writeHead(200, { "content-type": TYPES[/\w+$/.exec(path)?.[0] ?? "html"] ?? TYPES.html, "content-security-policy": POLICY });
    response.end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

if (process.argv[1] && import.meta.url === `file://${process.argv[1]}`) {
  const sites = new Map();
  const port = Number(process.argv[2] ?? process.env.MOCK_PORT ?? 8099);
  createServer((request, response) => {
    // ?mock=empty in the referring page's address is not sent (hash routes), so the kind of site is in a cookie.
    const kind = /mock=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "full";
    if (!sites.has(kind)) sites.set(kind, createSite({ owner: kind !== "new", signedIn: kind !== "new" && kind !== "out", empty: kind === "empty" }));
    if (!request.url.startsWith("/api/")) return void serve(request.url.split("?")[0], response);
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const { status, json } = kind === "down" ? { status: 503 } : sites.get(kind).answer(request.method, request.url, text ? JSON.parse(text) : undefined);
      response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json" });
      response.end(json === undefined ? "" : JSON.stringify(json));
    });
  }).listen(port, "127.0.0.1", () => console.log(`mock on ${port}`));
}
