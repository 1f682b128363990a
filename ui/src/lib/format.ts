// SPDX-License-Identifier: Apache-2.0
/** Amounts in plain English. */
import { HZ } from "./time";

/** Decimal units, as on the disk's box: `1.4 GB`. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let value = Math.max(0, n);
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${trim(value.toFixed(digits))} ${units[unit]}`;
}

const trim = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

/** The two largest parts of a length of time: `3 h 12 min`, `48 s`, `0.4 s`, `2 d 5 h`. */
export function length(ticks: number): string {
  const s = Math.max(0, ticks) / HZ;
  if (s === 0) return "0 s";
  if (s < 9.95) return `${trim(s.toFixed(1))} s`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole} s`;
  const parts: [number, string][] = [
    [Math.floor(whole / 86400), "d"],
    [Math.floor((whole % 86400) / 3600), "h"],
    [Math.floor((whole % 3600) / 60), "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(" ");
}

/** To the second and complete, for accounts that have to add up: `23:59:58`, `6 d 23:59:58`. */
export function exact(ticks: number): string {
  const sign = ticks < 0 ? "−" : "";
  const s = Math.round(Math.abs(ticks) / HZ);
  const days = Math.floor(s / 86400);
  const rest = [Math.floor((s % 86400) / 3600), Math.floor((s % 3600) / 60), s % 60];
  const hms = rest.map((n) => String(n).padStart(2, "0")).join(":");
  return `${sign}${days ? `${days} d ` : ""}${hms}`;
}

/** `3.9 Mbit/s` from kbit/s. */
export function rate(kbps: number): string {
  return kbps >= 1000 ? `${trim((kbps / 1000).toFixed(1))} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}

/** Of a whole: `99.98 %`, and never `100 %` unless it is all. */
export function percent(part: number, whole: number): string {
  if (whole <= 0) return "–";
  const p = (100 * part) / whole;
  if (part === whole) return "100 %";
  if (p > 99.99) return "99.99 %";
  if (p > 0 && p < 0.01) return "0.01 %";
  return `${trim(p.toFixed(p >= 10 && p < 99 ? 1 : 2))} %`;
}

export const days = (n: number): string => {
  if (n < 1) return "less than a day";
  if (n >= 365 * 2) return `${trim((n / 365).toFixed(1))} years`;
  if (n >= 60) return `${Math.round(n / 30.4)} months`;
  const whole = Math.round(n);
  return `${whole} ${whole === 1 ? "day" : "days"}`;
};

export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

const together = (text: string): string => text.replaceAll(" ", "\u00a0"); // a number stays with its unit

/** `H.264 · 1920 × 1080 · 25 fps · 3.9 Mbit/s`; parts that are unknown are left out. */
export function stream(s: { codec?: string; width?: number; height?: number; fps?: number | null; kbps?: number | null }): string {
  return [
    s.codec ? codec(s.codec) : "",
    s.width && s.height ? `${s.width} × ${s.height}` : "",
    s.fps ? `${trim(s.fps.toFixed(1))} fps` : "",
    s.kbps ? rate(s.kbps) : "",
  ]
    .filter(Boolean)
    .map(together)
    .join(" · ");
}

export function codec(name: string): string {
  const known: Record<string, string> = {
    h264: "H.264", h265: "H.265", hevc: "H.265", aac: "AAC", opus: "Opus", flac: "FLAC", pcmu: "G.711 µ-law", pcma: "G.711 A-law",
  };
  const plain = name.toLowerCase();
  if (/^avc[13]\./.test(plain)) return "H.264"; // an RFC 6381 string
  if (/^(hvc1|hev1)\./.test(plain)) return "H.265";
  return known[plain] ?? name;
}
