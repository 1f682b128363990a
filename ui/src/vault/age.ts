// SPDX-License-Identifier: Apache-2.0
/** age files, post-quantum recipients only. The one module that imports an age implementation; load it lazily. */

import { Decrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";
import type { Bytes } from "./bytes";

export interface KeyPair {
  identity: string;
  recipient: string;
}

export async function makeKeyPair(): Promise<KeyPair> {
  const identity = await generateHybridIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** The recipient of an identity; throws where it is none of ours (`AGE-SECRET-KEY-PQ-1...`). */
export async function recipientOf(identity: string): Promise<string> {
  if (!identity.startsWith("AGE-SECRET-KEY-PQ-1")) throw new Error("not a post-quantum age identity");
  return identityToRecipient(identity);
}

/** Opens age files with one identity. Throws where it is not among the recipients or the file is damaged. */
export class Opener {
  private readonly decrypter = new Decrypter();

  constructor(identity: string) {
    this.decrypter.addIdentity(identity);
  }

  async open(file: Bytes): Promise<Bytes> {
    return new Uint8Array(await this.decrypter.decrypt(file));
  }
}
