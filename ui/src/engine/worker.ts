// SPDX-License-Identifier: Apache-2.0
/** The engine's worker: it alone holds the identity, the keys, the live socket and the decoders. */

import { Damaged, ITERATIONS, base64, fromBase64, openBlob, passphraseKeys, prfKey, sealBlob, type Bytes, type PassphraseKeys } from "../vault";
import { EngineError } from "./errors";
import { Archive } from "./archive";
import { Exporter } from "./clip";
import { toWire } from "./failures";
import { Keyring } from "./keyring";
import { PlayerWorker } from "./player";
import { Previews } from "./preview";
import type { CallName, Calls, Request } from "./rpc";
import { Screens } from "./screen";
import { Server } from "./server";
import { LiveSocket } from "./socket";
import { Views, type Tell } from "./views";

type Handlers = { [K in CallName]: (...args: Parameters<Calls[K]>) => ReturnType<Calls[K]> | Promise<ReturnType<Calls[K]>> };

const tell: Tell = (event, handle, value, transfer = []) => self.postMessage({ event, handle, value }, { transfer });

/** Derives once for signing in and opening, which come one after the other; forgets it when either failed or is done. */
class Passphrases {
  private last: { name: string; keys: Promise<PassphraseKeys> } | null = null;

  keys(passphrase: string, salt: string, iterations: number): Promise<PassphraseKeys> {
    const name = JSON.stringify([passphrase, salt, iterations]);
    if (this.last?.name !== name) this.last = { name, keys: passphraseKeys(passphrase, fromBase64(salt), iterations) };
    return this.last.keys;
  }

  forget(): void {
    this.last = null;
  }
}

function start(base: string): Handlers {
  const server = new Server(base);
  const keyring = new Keyring(server);
  const screens = new Screens();
  const passphrases = new Passphrases();
  const archive: Archive = new Archive(server, keyring, () => socket.serverNow());
  const previews = new Previews(archive);
  const exporter = new Exporter(server, keyring);
  const players = new Map<number, PlayerWorker>();
  const jobs = new Map<number, AbortController>();
  let views: Views | null = null;
  const socket = new LiveSocket(server, {
    states: (states) => {
      if (views) views.states = states;
      tell("states", 0, states);
    },
    socket: (state) => tell("socket", 0, state),
    edge: (edge) => tell("edge", 0, edge),
  });
  const shown = (views = new Views(keyring, socket, screens, tell));
  keyring.onLock = () => {
    archive.clear();
    previews.clear();
    passphrases.forget();
    for (const job of jobs.values()) job.abort();
    socket.close();
  };
  keyring.onUnlock = () => shown.again();

  const openWith = async (blob: string, key: CryptoKey): Promise<string> => {
    try {
      return await openBlob(blob, key);
    } catch (error) {
      if (error instanceof Damaged) throw new EngineError("wrong-key", "This does not open your key.", "Check the passphrase, or use another passkey.");
      throw error;
    }
  };
  const openPassphrase = async (blob: string, passphrase: string, salt: string, iterations: number): Promise<{ identity: string; auth: string }> => {
    try {
      const { auth, key } = await passphrases.keys(passphrase, salt, iterations);
      return { identity: await openWith(blob, key), auth };
    } finally {
      passphrases.forget();
    }
  };
  const player = (handle: number): PlayerWorker => {
    const found = players.get(handle);
    if (!found) throw new EngineError("cancelled", "This player is closed.");
    return found;
  };

  return {
    setup: () => undefined,
    async makeOwner() {
      const age = await keyring.age();
      const owner = await age.makeKeyPair();
      const recovery = await age.makeKeyPair();
      return { ...owner, recoveryIdentity: recovery.identity, recoveryRecipient: recovery.recipient };
    },
    async recipientOf(identity) {
      const age = await keyring.age();
      try {
        return await age.recipientOf(identity.trim());
      } catch {
        throw new EngineError("wrong-key", "This is not an identity of Closed Circuit.", "It begins with AGE-SECRET-KEY-PQ-1.");
      }
    },
    passphraseAuth: async (passphrase, salt, iterations) => (await passphrases.keys(passphrase, salt, iterations)).auth,
    async sealBlobWithPassphrase(identity, passphrase) {
      const salt = crypto.getRandomValues(new Uint8Array(16));
      const { auth, key } = await passphraseKeys(passphrase, salt, ITERATIONS);
      return { blob: await sealBlob(identity, key), salt: base64(salt), iterations: ITERATIONS, auth };
    },
    openBlobWithPassphrase: openPassphrase,
    async unlockWithPassphrase(blob, passphrase, salt, iterations) {
      await keyring.unlock((await openPassphrase(blob, passphrase, salt, iterations)).identity);
    },
    sealBlobWithPrf: async (identity, prf) => sealBlob(identity, await prfKey(prf as Bytes)),
    openBlobWithPrf: async (blob, prf) => openWith(blob, await prfKey(prf as Bytes)),
    unlockWithPrf: async (blob, prf) => keyring.unlock(await openWith(blob, await prfKey(prf as Bytes))),
    unlock: (identity) => keyring.unlock(identity.trim()),
    remembered: () => keyring.remembered(),
    lock: () => keyring.lock(),
    connect: () => socket.connect(),
    retryNow: () => socket.retryNow(),
    addCanvas: (id, surface) => screens.add(id, surface),
    sizeCanvas: (id, width, height) => screens.find(id)?.resize(width, height),
    dropCanvas: (id) => screens.drop(id),
    liveOpen: (view, to) => shown.open(view, to),
    liveStream: (view, stream) => shown.get(view).setStream(stream),
    liveMuted: (view, muted) => void (shown.get(view).listening = !muted),
    liveSnapshot: (view) => shown.get(view).snapshot(),
    liveClose: (view) => shown.close(view),
    playerOpen(handle, cameras, stream) {
      const made = new PlayerWorker(handle, stream, archive, screens, tell);
      players.set(handle, made);
      made.cameras(cameras);
    },
    playerCameras: (handle, cameras) => player(handle).cameras(cameras),
    playerSeek: (handle, t90k) => player(handle).seek(t90k),
    playerPlay: (handle, rate) => player(handle).play(rate),
    playerPause: (handle) => player(handle).pause(),
    playerStep: (handle, direction) => player(handle).step(direction),
    playerSound: (handle, on, camera) => player(handle).setSound(on, camera),
    playerSnapshot: (handle, camera) => player(handle).snapshot(camera),
    playerClose(handle) {
      players.get(handle)?.close();
      players.delete(handle);
    },
    preview: (camera, t90k) => previews.get(camera, t90k),
    async exportClip(job, camera, from, to, options) {
      const cancel = new AbortController();
      jobs.set(job, cancel);
      try {
        return await exporter.run({ camera, from, to, options, progress: (value) => tell("job.progress", job, value), signal: cancel.signal });
      } finally {
        jobs.delete(job);
      }
    },
    cancel: (job) => jobs.get(job)?.abort(),
  };
}

let handlers: Handlers | null = null;

self.onmessage = async ({ data: { id, call, args } }: MessageEvent<Request>) => {
  if (call === "setup") handlers ??= start((args as Parameters<Calls["setup"]>)[0].base);
  if (id === 0) return;
  try {
    const handler = handlers?.[call] as ((...args: unknown[]) => unknown) | undefined;
    if (!handler) throw new EngineError("failed", `the engine knows no ${call}`);
    const value = await handler(...(args as unknown[]));
    self.postMessage({ id, value }, { transfer: typeof ImageBitmap !== "undefined" && value instanceof ImageBitmap ? [value] : [] });
  } catch (error) {
    self.postMessage({ id, error: toWire(error) });
  }
};
