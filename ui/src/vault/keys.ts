// SPDX-License-Identifier: Apache-2.0
/** Hour keys and what is made from them (`docs/design/footage.md`, Keys). None can be taken out again. */

import { Damaged, ascii, fromHex, type Bytes } from "./bytes";

/** The text of an opened key file: 64 hex digits and a newline. Returns an HKDF key that cannot be exported. */
export async function hourKey(plain: Bytes): Promise<CryptoKey> {
  const text = new TextDecoder().decode(plain);
  if (!/^[0-9a-f]{64}\n?$/.test(text)) throw new Damaged("a key file that holds no hour key");
  const raw = fromHex(text.trim());
  try {
    return await crypto.subtle.importKey("raw", raw, "HKDF", false, ["deriveKey"]);
  } finally {
    raw.fill(0);
  }
}

function derive(hour: CryptoKey, info: string, name: "AES-CTR" | "AES-GCM"): Promise<CryptoKey> {
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: ascii(info) };
  return crypto.subtle.deriveKey(hkdf, hour, { name, length: 128 }, false, ["decrypt"]);
}

/** `kid`: 32 hex digits. */
export function segmentKey(hour: CryptoKey, kid: string): Promise<CryptoKey> {
  return derive(hour, `closedcircuit segment v1 ${kid}`, "AES-CTR");
}

/** `liveId`: 16 hex digits. */
export function liveKey(hour: CryptoKey, liveId: string): Promise<CryptoKey> {
  return derive(hour, `closedcircuit live v1 ${liveId}`, "AES-GCM");
}
