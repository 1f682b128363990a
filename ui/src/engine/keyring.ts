// SPDX-License-Identifier: Apache-2.0
/**
 * The identity and the keys it opens. Lives in the worker only. Hour keys are kept as keys that cannot be exported;
 * the identity is kept as text in memory, and in this browser's database sealed by a key that cannot be exported.
 */

import { Damaged, ascii, fromHex, hex, hourKey, liveKey, segmentKey, type Bytes } from "../vault";
import { EngineError } from "./errors";
import { forgetAll, load, save } from "./safe";
import type { Server } from "./server";

type Age = typeof import("../vault/age");

const HOURS_MAX = 512; // three weeks of one camera, or twenty cameras of a day
const DERIVED_MAX = 1024;

/** A map that forgets what was used longest ago. */
export class Recent<V> {
  private readonly map = new Map<string, V>();

  constructor(private readonly limit: number) {}

  get(key: string): V | undefined {
    const value = this.map.get(key);
    if (value !== undefined) {
      this.map.delete(key);
      this.map.set(key, value);
    }
    return value;
  }

  set(key: string, value: V): void {
    this.map.delete(key);
    this.map.set(key, value);
    for (const old of this.map.keys()) {
      if (this.map.size <= this.limit) break;
      this.map.delete(old);
    }
  }

  drop(key: string): void {
    this.map.delete(key);
  }

  clear(): void {
    this.map.clear();
  }
}

export class Keyring {
  private opener: InstanceType<Age["Opener"]> | null = null;
  private readonly hours = new Recent<Promise<CryptoKey>>(HOURS_MAX);
  private readonly derived = new Recent<Promise<CryptoKey>>(DERIVED_MAX);
  /** Called when the keys are gone. */
  onLock: (() => void) | null = null;
  onUnlock: (() => void) | null = null;

  /** Pages of one browser sign out together. */
  private readonly others = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("closedcircuit keys");

  constructor(private readonly server: Server) {
    if (this.others) this.others.onmessage = () => this.forget();
  }

  age(): Promise<Age> {
    return import("../vault/age");
  }

  get open(): boolean {
    return this.opener !== null;
  }

  async unlock(identity: string, remember = true): Promise<void> {
    const age = await this.age();
    try {
      await age.recipientOf(identity);
      this.opener = new age.Opener(identity);
    } catch {
      throw new EngineError("wrong-key", "This is not an identity of Closed Circuit.", "It begins with AGE-SECRET-KEY-PQ-1.");
    }
    this.hours.clear();
    this.derived.clear();
    if (remember) await save(ascii(identity));
    this.onUnlock?.();
  }

  async remembered(): Promise<boolean> {
    if (this.opener) return true;
    const kept = await load();
    if (!kept) return false;
    try {
      await this.unlock(new TextDecoder().decode(kept), false);
    } finally {
      kept.fill(0);
    }
    return true;
  }

  async lock(): Promise<void> {
    this.forget();
    this.others?.postMessage("lock");
    await forgetAll();
  }

  private forget(): void {
    this.opener = null;
    this.hours.clear();
    this.derived.clear();
    this.onLock?.();
  }

  segment(camera: string, kid: string): Promise<CryptoKey> {
    return this.derive(camera, kid.slice(0, 16), `s ${camera} ${kid}`, (hour) => segmentKey(hour, kid));
  }

  live(camera: string, keyId: string, liveId: string): Promise<CryptoKey> {
    return this.derive(camera, keyId, `l ${camera} ${keyId} ${liveId}`, (hour) => liveKey(hour, liveId));
  }

  private derive(camera: string, keyId: string, name: string, make: (hour: CryptoKey) => Promise<CryptoKey>): Promise<CryptoKey> {
    const known = this.derived.get(name);
    if (known) return known;
    const made = this.hour(camera, keyId).then(make);
    this.derived.set(name, made);
    made.catch(() => this.derived.drop(name));
    return made;
  }

  private hour(camera: string, keyId: string): Promise<CryptoKey> {
    const name = `${camera} ${keyId}`;
    const known = this.hours.get(name);
    if (known) return known;
    const made = this.fetchHour(camera, keyId);
    this.hours.set(name, made);
    made.catch(() => this.hours.drop(name));
    return made;
  }

  private async fetchHour(camera: string, keyId: string): Promise<CryptoKey> {
    const { opener } = this;
    if (!opener) throw new EngineError("locked", "The key is not here.", "Sign in again.");
    if (hex(fromHex(keyId)) !== keyId || keyId.length !== 16) throw new Damaged("a key's name that is none");
    const file = await this.server.key(camera, keyId);
    let plain: Bytes;
    try {
      plain = await opener.open(file);
    } catch {
      throw new EngineError(
        "wrong-key",
        "This hour was sealed for another key than yours.",
        "It opens with the identity that was the owner's when it was recorded.",
      );
    }
    try {
      return await hourKey(plain);
    } finally {
      plain.fill(0);
    }
  }
}
