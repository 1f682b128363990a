// SPDX-License-Identifier: Apache-2.0
/** Bytes from outside, read with bounds: whatever they say, reading them ends in a value or in `Damaged`. */

/** The bytes are not what `docs/design/footage.md` says. */
export class Damaged extends Error {
  override readonly name = "Damaged";
}

export type Bytes = Uint8Array<ArrayBuffer>;

const MAX_SAFE_HIGH = 0x1fffff;

/** Big-endian reader over [start, end) of a buffer. Every read is checked; offsets are from the buffer's start. */
export class View {
  private readonly data: DataView;

  constructor(readonly bytes: Bytes) {
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.byteLength;
  }

  need(offset: number, count: number): void {
    if (offset < 0 || count < 0 || offset + count > this.bytes.byteLength)
      throw new Damaged(`${count} bytes wanted at ${offset} of ${this.bytes.byteLength}`);
  }

  u8(offset: number): number {
    this.need(offset, 1);
    return this.data.getUint8(offset);
  }

  u16(offset: number): number {
    this.need(offset, 2);
    return this.data.getUint16(offset);
  }

  u32(offset: number): number {
    this.need(offset, 4);
    return this.data.getUint32(offset);
  }

  i32(offset: number): number {
    this.need(offset, 4);
    return this.data.getInt32(offset);
  }

  /** Unsigned 64 bits as a number; more than 2^53 is damage, nothing of ours is that large. */
  u64(offset: number): number {
    this.need(offset, 8);
    const high = this.data.getUint32(offset);
    if (high > MAX_SAFE_HIGH) throw new Damaged(`a number over 2^53 at ${offset}`);
    return high * 0x100000000 + this.data.getUint32(offset + 4);
  }

  big(offset: number): bigint {
    this.need(offset, 8);
    return this.data.getBigUint64(offset);
  }

  /** Signed 64 bits as a number, within ±2^53. */
  i64(offset: number): number {
    this.need(offset, 8);
    const value = Number(this.data.getBigInt64(offset));
    if (!Number.isSafeInteger(value)) throw new Damaged(`a number over 2^53 at ${offset}`);
    return value;
  }

  fourcc(offset: number): string {
    this.need(offset, 4);
    return String.fromCharCode(...this.bytes.subarray(offset, offset + 4));
  }

  slice(offset: number, count: number): Bytes {
    this.need(offset, count);
    return this.bytes.slice(offset, offset + count);
  }
}

export function hex(bytes: Uint8Array): string {
  let out = "";
  for (const byte of bytes) out += byte.toString(16).padStart(2, "0");
  return out;
}

export function fromHex(text: string): Bytes {
  if (text.length % 2 || /[^0-9a-fA-F]/.test(text)) throw new Damaged("not hex digits");
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

/** Standard base64, padded. */
export function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

/** Reads standard and URL-safe base64, padded or not. */
export function fromBase64(text: string): Bytes {
  let plain: string;
  try {
    plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw new Damaged("not base64");
  }
  const out = new Uint8Array(plain.length);
  for (let i = 0; i < plain.length; i++) out[i] = plain.charCodeAt(i);
  return out;
}

export function base64url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

export function ascii(text: string): Bytes {
  return new TextEncoder().encode(text);
}

export function concat(...parts: Uint8Array[]): Bytes {
  let size = 0;
  for (const part of parts) size += part.byteLength;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}
