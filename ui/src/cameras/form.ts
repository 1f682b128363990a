// SPDX-License-Identifier: Apache-2.0
/** A camera's form and what it sends. Pure. */
import type { Camera, CameraRequest, Mode, Weekly } from "../lib/types";

export interface CameraForm {
  name: string;
  address: string;
  sub_address: string;
  username: string;
  password: string; // empty while editing: unchanged
  pin_sha256: string;
  audio: boolean;
  mode: Mode;
  schedule: Weekly[];
  keep_days: string;
  keep_gb: string;
  record_sub: boolean;
}

export const WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

export const emptyForm = (): CameraForm => ({
  name: "", address: "rtsp://", sub_address: "", username: "", password: "", pin_sha256: "", audio: true,
  mode: "continuous", schedule: [{ days: ["mon", "tue", "wed", "thu", "fri"], from: "08:00", to: "18:00" }],
  keep_days: "", keep_gb: "", record_sub: true,
});

export function formOf(camera: Camera): CameraForm {
  const r = camera.recording;
  return {
    ...emptyForm(),
    name: camera.name, address: camera.address, sub_address: camera.sub_address ?? "", username: camera.username,
    pin_sha256: camera.pin_sha256, audio: camera.audio,
    mode: r.mode, schedule: r.schedule.length ? r.schedule.map((week) => ({ ...week, days: [...week.days] })) : emptyForm().schedule,
    keep_days: r.keep_days === null || r.keep_days === undefined ? "" : String(r.keep_days),
    keep_gb: r.keep_gb === null || r.keep_gb === undefined ? "" : String(r.keep_gb),
    record_sub: r.record_sub,
  };
}

/** Take user name and password out of `rtsp://user:password@host/...` into their own fields. */
export function splitAddress(form: CameraForm): CameraForm {
  const match = /^([a-z][a-z0-9+.-]*:\/\/)([^@/]*)@(.*)$/i.exec(form.address.trim());
  if (!match) return { ...form, address: form.address.trim() };
  const [, scheme = "", user = "", rest = ""] = match;
  const colon = user.indexOf(":");
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  return {
    ...form,
    address: scheme + rest,
    username: decode(colon < 0 ? user : user.slice(0, colon)) || form.username,
    password: colon < 0 ? form.password : decode(user.slice(colon + 1)),
  };
}

export type Wrong = Partial<Record<"name" | "address" | "sub_address" | "keep_days" | "keep_gb" | "schedule" | "pin_sha256", string>>;

/** What is wrong with it, by field; empty when it can be sent. */
export function check(form: CameraForm): Wrong {
  const wrong: Wrong = {};
  const address = form.address.trim();
  const looks = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\/[^\s/]+/i.test(text) || /^(file:|\/)/.test(text);
  if (!form.name.trim()) wrong.name = "Give it a name.";
  if (!looks(address)) wrong.address = "An address begins like rtsp://192.168.1.20/";
  if (form.sub_address.trim() && !looks(form.sub_address.trim())) wrong.sub_address = "An address begins like rtsp://192.168.1.20/";
  for (const field of ["keep_days", "keep_gb"] as const) {
    const text = form[field].trim();
    if (text && !(Number(text) > 0)) wrong[field] = "A number above 0, or nothing.";
  }
  if (form.pin_sha256.trim() && !/^[0-9a-f]{64}$/i.test(form.pin_sha256.replace(/[:\s]/g, ""))) wrong.pin_sha256 = "64 hexadecimal digits.";
  if (form.mode === "schedule" && (!form.schedule.length || form.schedule.some((week) => !week.days.length || !week.from || !week.to))) {
    wrong.schedule = "Every line needs days, a start and an end.";
  }
  return wrong;
}

/** `host:port` of an address: a stored password goes nowhere else. */
export const host = (address: string): string => /^[a-z][a-z0-9+.-]*:\/\/(?:[^@/]*@)?([^/?#]*)/i.exec(address.trim())?.[1]?.toLowerCase() ?? "";

/** The body of POST and PATCH. An empty password says nothing: when editing the stored one stays. */
export function request(form: CameraForm, editing: boolean): CameraRequest {
  const f = splitAddress(form);
  const body: CameraRequest = {
    name: f.name.trim(),
    address: f.address,
    username: f.username.trim(),
    recording: {
      mode: f.mode,
      schedule: f.mode === "schedule" ? f.schedule : [],
      keep_days: f.keep_days.trim() ? Number(f.keep_days) : null,
      keep_gb: f.keep_gb.trim() ? Number(f.keep_gb) : null,
      record_sub: f.record_sub,
    },
  };
  if (f.sub_address.trim() || editing) body.sub_address = f.sub_address.trim();
  if (f.password) body.password = f.password;
  const pin = f.pin_sha256.replace(/[:\s]/g, "").toLowerCase();
  if (pin || editing) body.pin_sha256 = pin;
  body.audio = f.audio;
  return body;
}
