// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps one secret over reloads: sealed with AES-256-GCM by a key that WebCrypto will not give out, both in this
 * browser's IndexedDB. Keeps it from a copy of the profile's readable files; not from code that runs in this origin.
 * Where IndexedDB is missing (some private windows) nothing is kept, and `load` finds nothing.
 */

import type { Bytes } from "../vault";

const NAME = "closedcircuit";
const STORE = "safe";

interface Kept {
  key: CryptoKey;
  iv: Bytes;
  sealed: ArrayBuffer;
}

function database(): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    if (typeof indexedDB === "undefined") return resolve(null);
    const opening = indexedDB.open(NAME, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => resolve(null);
    opening.onblocked = () => resolve(null);
  });
}

async function act<T>(mode: IDBTransactionMode, what: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  const db = await database();
  if (!db) return null;
  try {
    return await new Promise<T>((resolve, reject) => {
      const transaction = db.transaction(STORE, mode);
      const request = what(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error ?? new Error("the browser's database failed"));
      transaction.onabort = transaction.onerror;
    });
  } finally {
    db.close();
  }
}

export async function save(secret: Bytes): Promise<void> {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, secret);
  const kept: Kept = { key, iv, sealed };
  await act("readwrite", (store) => store.put(kept, "identity"));
}

export async function load(): Promise<Bytes | null> {
  const kept = (await act("readonly", (store) => store.get("identity") as IDBRequest<Kept | undefined>)) ?? null;
  if (!kept) return null;
  try {
    return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv: kept.iv }, kept.key, kept.sealed));
  } catch {
    return null; // half written by a browser that was killed: as if nothing were kept
  }
}

export async function forgetAll(): Promise<void> {
  await act("readwrite", (store) => store.clear());
}
