// SPDX-License-Identifier: Apache-2.0
/** The owner's key from the page's side: making it, and signing in. The identity itself stays in the worker where it can. */
import type { Owner } from "../engine/api";
import { api } from "./api";
import { theEngine } from "./engine";

export interface PreparedOwner {
  owner: Owner;
  body: Record<string, unknown>; // of POST /api/setup
}

/** Make a key and seal it with a new passkey. One or two gestures of the person. */
export async function prepareWithPasskey(token: string, name: string): Promise<PreparedOwner> {
  const engine = await theEngine();
  const { options } = await api.setupPasskey(token, name);
  const [owner, made] = [await engine.makeOwner(), await engine.createPasskey(options as Record<string, unknown>)];
  const blob = await engine.sealBlobWithPrf(owner.identity, made.prf);
  return { owner, body: request(token, name, owner, blob, { kind: "passkey", credential: made.credential }) };
}

/** Make a key and seal it under a passphrase. */
export async function prepareWithPassphrase(token: string, name: string, passphrase: string): Promise<PreparedOwner> {
  const engine = await theEngine();
  const owner = await engine.makeOwner();
  const { blob, salt, iterations, auth } = await engine.sealBlobWithPassphrase(owner.identity, passphrase);
  return { owner, body: request(token, name, owner, blob, { kind: "passphrase", salt, iterations, auth }) };
}

const request = (token: string, name: string, owner: Owner, blob: string, login: Record<string, unknown>): Record<string, unknown> => ({
  token, name, recipient: owner.recipient, recovery_recipient: owner.recoveryRecipient, blob, login,
});

/** Spend the one-time link: from here on the recorder records, sealed to this owner. */
export async function finishSetup(prepared: PreparedOwner): Promise<void> {
  await api.setup(prepared.body);
  await (await theEngine()).unlock(prepared.owner.identity);
}

export async function signInWithPassphrase(passphrase: string, salt: string, iterations: number): Promise<void> {
  const engine = await theEngine();
  const auth = await engine.passphraseAuth(passphrase, salt, iterations);
  const { blob } = await api.login({ kind: "passphrase", auth });
  await engine.unlockWithPassphrase(blob, passphrase, salt, iterations);
}

export async function signInWithPasskey(options: Record<string, unknown>): Promise<void> {
  const engine = await theEngine();
  const { credential, prf } = await engine.signInWithPasskey(options);
  const { blob } = await api.login({ kind: "passkey", credential });
  await engine.unlockWithPrf(blob, prf);
}

/** How long a passphrase would stand, in words; guesses cost the attacker 600 000 rounds each. `enough` lets it pass. */
export function strength(passphrase: string): { score: 0 | 1 | 2 | 3; words: string; enough: boolean } {
  const text = passphrase.trim();
  if (!text) return { score: 0, words: "Four or more unrelated words are easy to remember and hard to guess.", enough: false };
  const pieces = text.toLowerCase().split(/[\s\-_.,]+/).filter((piece) => piece.length > 1);
  const distinct = new Set(pieces).size;
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9\s]/].filter((kind) => kind.test(text)).length;
  const letters = new Set(text).size;
  // Words count about 12 bits each, other characters what their alphabet gives; repetition counts once.
  const bits = Math.max(distinct * 12, letters * Math.log2([1, 4.7, 5.7, 5.95, 6.5][kinds] as number * 6));
  const common = /^(password|passphrase|letmein|qwerty|123|abc|admin)/i.test(text);
  if (text.length < 12 || common || letters < 6) return { score: 1, words: "Too easy to guess. Use at least 12 characters.", enough: false };
  if (bits < 46) return { score: 2, words: "Fair. One more word makes it much stronger.", enough: true };
  return { score: 3, words: "Strong.", enough: true };
}

/** A key in groups that an eye can follow: `AGE-SECRET-KEY-PQ-1 QX5K 2ZTR ...`. */
export function groups(identity: string, size = 4): string[] {
  const at = identity.lastIndexOf("-1");
  const head = at < 0 ? "" : identity.slice(0, at + 2);
  const rest = identity.slice(head.length);
  return [...(head ? [head] : []), ...(rest.match(new RegExp(`.{1,${size}}`, "g")) ?? [])];
}
