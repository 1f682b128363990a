// SPDX-License-Identifier: Apache-2.0
/** The identity, sealed for the server to keep (`docs/design/http.md`, The owner). */

import { Damaged, ascii, base64, concat, fromBase64, type Bytes } from "./bytes";

export const ITERATIONS = 600_000;
const ITERATIONS_MAX = 10_000_000; // a hostile answer must not keep the worker busy for minutes
const NONCE = 12;
const TAG = 16;

export interface PassphraseKeys {
  auth: string; // base64 of 32 bytes, for the server
  key: CryptoKey; // AES-256-GCM of the blob
}

/** PBKDF2-SHA256 to 64 bytes: half proves knowledge to the server, half seals. The passphrase is taken as Unicode NFKC. */
export async function passphraseKeys(passphrase: string, salt: Bytes, iterations: number): Promise<PassphraseKeys> {
  if (salt.length < 16 || !Number.isInteger(iterations) || iterations < ITERATIONS || iterations > ITERATIONS_MAX)
    throw new Damaged("the server asks for a weaker or absurd derivation of the passphrase");
  const base = await crypto.subtle.importKey("raw", ascii(passphrase.normalize("NFKC")), "PBKDF2", false, ["deriveBits"]);
  const bits = new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, base, 512));
  const key = await crypto.subtle.importKey("raw", bits.slice(32), "AES-GCM", false, ["encrypt", "decrypt"]);
  const auth = base64(bits.subarray(0, 32));
  bits.fill(0);
  return { auth, key };
}

/** The sealing key of a passkey's PRF result. */
export async function prfKey(prf: Bytes): Promise<CryptoKey> {
  if (prf.length !== 32) throw new Damaged("a PRF result that is not 32 bytes");
  const base = await crypto.subtle.importKey("raw", prf, "HKDF", false, ["deriveKey"]);
  const hkdf = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(0), info: ascii("closedcircuit passkey blob v1") };
  return crypto.subtle.deriveKey(hkdf, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

/** What an authenticator is asked to evaluate. */
export async function prfInput(): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", ascii("closedcircuit passkey v1")));
}

export async function sealBlob(identity: string, key: CryptoKey): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  return base64(concat(iv, new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, ascii(identity)))));
}

/** Throws `Damaged` where the key is not the one it was sealed with. */
export async function openBlob(blob: string, key: CryptoKey): Promise<string> {
  const bytes = fromBase64(blob);
  if (bytes.length < NONCE + TAG) throw new Damaged("a short blob");
  let plain: ArrayBuffer;
  try {
    plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv: bytes.slice(0, NONCE) }, key, bytes.slice(NONCE));
  } catch {
    throw new Damaged("the blob does not open with this key");
  }
  return new TextDecoder().decode(plain);
}
