// SPDX-License-Identifier: Apache-2.0
/** Why something did not work, in words for a person. `code` is stable. */
export type EngineErrorCode =
  | "wrong-key" // this identity, passphrase or passkey does not open it
  | "locked" // no identity in the worker: unlock first
  | "damaged" // bytes that are not what they should be
  | "not-found" // nothing is recorded there, or no such camera
  | "signed-out" // the server does not know this session (any more)
  | "refused" // the server said no
  | "unreachable" // no answer from the server
  | "unsupported" // this browser cannot do it
  | "cancelled" // by the caller, or by a newer request
  | "failed"; // anything else

export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(
    readonly code: EngineErrorCode,
    message: string,
    readonly remedy = "",
    /** Extra facts, e.g. `next_90k` and `prev_90k` of a `not-found`. */
    readonly facts: Record<string, unknown> = {},
  ) {
    super(message);
  }
}
