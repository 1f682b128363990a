// SPDX-License-Identifier: Apache-2.0
/** Passkeys with the `prf` extension (WebAuthn level 3). The PRF result stays in the page: it is not in `credential`. */

import { base64url, fromBase64, prfInput, type Bytes } from "../vault";
import type { PasskeyAnswer } from "./api";
import { EngineError } from "./errors";

interface PrfOutputs {
  prf?: { enabled?: boolean; results?: { first?: BufferSource } };
}

type Json = Record<string, unknown>;

/** Whether this browser and page can be asked for a passkey at all; an authenticator may still lack PRF. */
export async function passkeySupport(): Promise<boolean> {
  if (typeof PublicKeyCredential === "undefined" || !globalThis.isSecureContext || isAddress(location.hostname)) return false;
  const able = (PublicKeyCredential as unknown as { getClientCapabilities?: () => Promise<Record<string, boolean>> }).getClientCapabilities;
  if (!able) return true;
  const capabilities = await able.call(PublicKeyCredential).catch(() => ({}) as Record<string, boolean>);
  return capabilities["extension:prf"] !== false;
}

/** Passkeys are bound to names; WebAuthn refuses addresses. */
function isAddress(host: string): boolean {
  return /^[\d.]+$/.test(host) || host.startsWith("[");
}

/** `options`: the server's creation options (JSON). One gesture, two where the authenticator makes no PRF on creation. */
export async function createPasskey(options: Json): Promise<PasskeyAnswer> {
  const publicKey = decodeOptions(options);
  publicKey["extensions"] = { ...(publicKey["extensions"] as Json | undefined), prf: { eval: { first: await prfInput() } } };
  const made = await ask(() => navigator.credentials.create({ publicKey: publicKey as unknown as PublicKeyCredentialCreationOptions }));
  const response = made.response as AuthenticatorAttestationResponse;
  const credential = {
    ...common(made),
    response: {
      clientDataJSON: base64url(new Uint8Array(response.clientDataJSON)),
      attestationObject: base64url(new Uint8Array(response.attestationObject)),
      transports: response.getTransports?.() ?? [],
    },
  };
  const outputs = made.getClientExtensionResults() as PrfOutputs;
  const prf = resultOf(outputs) ?? (outputs.prf?.enabled ? await evaluate(made, publicKey) : null);
  if (!prf)
    throw new EngineError("unsupported", "This passkey cannot hold a key (it has no PRF).", "Use another authenticator, or a passphrase.");
  return { credential, prf };
}

/** `options`: the server's request options (JSON). */
export async function signInWithPasskey(options: Json): Promise<PasskeyAnswer> {
  const publicKey = decodeOptions(options);
  publicKey["extensions"] = { ...(publicKey["extensions"] as Json | undefined), prf: { eval: { first: await prfInput() } } };
  const got = await ask(() => navigator.credentials.get({ publicKey: publicKey as unknown as PublicKeyCredentialRequestOptions }));
  const response = got.response as AuthenticatorAssertionResponse;
  const credential = {
    ...common(got),
    response: {
      clientDataJSON: base64url(new Uint8Array(response.clientDataJSON)),
      authenticatorData: base64url(new Uint8Array(response.authenticatorData)),
      signature: base64url(new Uint8Array(response.signature)),
      userHandle: response.userHandle ? base64url(new Uint8Array(response.userHandle)) : null,
    },
  };
  const prf = resultOf(got.getClientExtensionResults() as PrfOutputs);
  if (!prf) throw new EngineError("unsupported", "This passkey gave no key (it has no PRF).", "Use the device on which you set it up.");
  return { credential, prf };
}

async function evaluate(made: PublicKeyCredential, creation: Json): Promise<Bytes | null> {
  const publicKey: PublicKeyCredentialRequestOptions = {
    challenge: crypto.getRandomValues(new Uint8Array(32)), // nobody checks this assertion: only its PRF is wanted
    allowCredentials: [{ type: "public-key", id: made.rawId }],
    userVerification: "required",
    extensions: { prf: { eval: { first: await prfInput() } } },
  };
  const rpId = (creation["rp"] as { id?: string } | undefined)?.id;
  if (rpId) publicKey.rpId = rpId;
  return resultOf((await ask(() => navigator.credentials.get({ publicKey }))).getClientExtensionResults() as PrfOutputs);
}

function resultOf(outputs: PrfOutputs): Bytes | null {
  const first = outputs.prf?.results?.first;
  if (!first) return null;
  return ArrayBuffer.isView(first) ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength).slice() : new Uint8Array(first.slice(0));
}

function common(one: PublicKeyCredential): Json {
  return {
    id: one.id,
    rawId: base64url(new Uint8Array(one.rawId)),
    type: one.type,
    authenticatorAttachment: one.authenticatorAttachment,
    clientExtensionResults: {}, // the PRF's results are ours alone
  };
}

async function ask(gesture: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  let made: Credential | null;
  try {
    made = await gesture();
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "AbortError")
      throw new EngineError("cancelled", "The passkey was not used: cancelled, or it took too long.", "Try again.");
    if (name === "InvalidStateError") throw new EngineError("refused", "This authenticator already holds a passkey for this place.");
    if (name === "SecurityError")
      throw new EngineError("unsupported", "Passkeys need a secure page under a name, not an address.", "Open it as https://name or http://localhost.");
    throw new EngineError("failed", `The passkey failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!made) throw new EngineError("failed", "The browser gave no passkey.");
  return made as PublicKeyCredential;
}

/** WebAuthn JSON to what the browser takes: base64url texts become bytes. */
function decodeOptions(options: Json): Json {
  const out: Json = { ...options, challenge: fromBase64(String(options["challenge"])) };
  const user = options["user"] as Json | undefined;
  if (user) out["user"] = { ...user, id: fromBase64(String(user["id"])) };
  for (const list of ["excludeCredentials", "allowCredentials"]) {
    const items = options[list] as Json[] | undefined;
    if (items) out[list] = items.map((item) => ({ ...item, id: fromBase64(String(item["id"])) }));
  }
  return out;
}
