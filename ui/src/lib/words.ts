// SPDX-License-Identifier: Apache-2.0
/** The words for states and causes. One place: a badge, a timeline and a ledger must say the same thing. */
import type { Mode, SpanKind, StateName } from "./types";

export const CAUSE: Record<string, { short: string; long: string; remedy?: string }> = {
  paused: { short: "Paused", long: "Recording was paused." },
  schedule: { short: "Outside its hours", long: "The schedule says not to record at this time." },
  "no-event": { short: "No event", long: "This camera records on events, and there was none." },
  "no-key": { short: "No key yet", long: "There was no owner's key, so nothing could be sealed." },
  deleted: { short: "Deleted", long: "It was recorded, and has been deleted since." },
  unreachable: {
    short: "Camera unreachable",
    long: "There was no connection to the camera.",
    remedy: "Check its power, its network cable and its address.",
  },
  refused: {
    short: "Camera refused",
    long: "The camera answered, and said no.",
    remedy: "Check its user name, password and path.",
  },
  broken: {
    short: "Stream broken",
    long: "What the camera sent could not be stored.",
    remedy: "Restart the camera, or choose another of its streams.",
  },
  "disk-full": {
    short: "Disk full",
    long: "There was no space, and nothing that may be deleted.",
    remedy: "Release a hold, keep fewer days, or add a disk.",
  },
  "disk-gone": {
    short: "Disk missing",
    long: "The disk was not there, was not the one set up, or failed.",
    remedy: "Check the disk and that it is mounted.",
  },
  overload: { short: "Machine too slow", long: "The machine or its disk could not keep up." },
  "process-down": { short: "Recorder not running", long: "Closed Circuit was not running." },
  "clock-stepped": { short: "Clock moved", long: "The machine's clock was set forward over this time." },
  unknown: { short: "Unknown", long: "There is no footage, and no reason on file." },
};

export const KIND: Record<SpanKind, { short: string; long: string }> = {
  recorded: { short: "Recorded", long: "Recorded" },
  off: { short: "Off", long: "Deliberately not recorded" },
  lost: { short: "Lost", long: "Lost" },
};

/** One phrase for a span: `Recorded`, `Lost: camera unreachable`, `Off: outside its hours`. */
export function spanWords(kind: SpanKind, cause: string | null, detail = ""): string {
  if (kind === "recorded") return KIND.recorded.short;
  const known = cause ? CAUSE[cause]?.short : undefined;
  const reason = known ? known.charAt(0).toLowerCase() + known.slice(1) : (cause ?? "no reason on file");
  return `${KIND[kind].short}: ${reason}${detail ? ` (${detail.replace(/\.$/, "")})` : ""}`;
}

export const causeShort = (cause: string): string => CAUSE[cause]?.short ?? cause;

export const STATE: Record<StateName, { label: string; long: string }> = {
  connecting: { label: "Connecting", long: "Connecting to the camera" },
  live: { label: "Live", long: "Pictures arrive as they should" },
  late: { label: "Late", long: "Pictures arrive with a growing delay" },
  frozen: { label: "Frozen", long: "Connected, but no new picture" },
  gone: { label: "Gone", long: "Not connected" },
  paused: { label: "Paused", long: "Paused: neither shown nor recorded" },
};

/** A sentence from elsewhere: begins large, ends with a stop. */
export function tidy(text: string): string {
  const whole = text.trim();
  return whole && `${whole.charAt(0).toUpperCase()}${whole.slice(1)}${/[.!?…]$/.test(whole) ? "" : "."}`;
}

export const MODE: Record<Mode, { label: string; long: string }> = {
  continuous: { label: "Always", long: "Record all the time" },
  schedule: { label: "On a schedule", long: "Record in the hours below" },
  event: { label: "On events", long: "Record when something happens, and some seconds before" },
  paused: { label: "Paused", long: "Do not connect or record" },
};

export const DISK: Record<string, string> = {
  ok: "In use",
  missing: "Missing: not mounted",
  wrong: "Not the disk that was set up",
  full: "Full",
};

export const ROLE: Record<string, { label: string; long: string }> = {
  recorder: { label: "Recorder", long: "Takes in the cameras, seals and writes. Listens on no port." },
  keeper: { label: "Keeper", long: "Deletes what is due, watches the disks. Cannot open footage." },
  web: { label: "Web", long: "Serves these pages. Cannot open footage or reach a camera." },
  pretend: { label: "Pretend site", long: "Draws the pretend cameras." },
};
