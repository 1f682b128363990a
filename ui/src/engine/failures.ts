// SPDX-License-Identifier: Apache-2.0
/** Any failure as what the page is told. */

import { Damaged } from "../vault";
import { EngineError } from "./errors";
import type { WireError } from "./rpc";

export function engineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof Damaged) return new EngineError("damaged", `These bytes are damaged: ${error.message}.`);
  if (error instanceof DOMException && error.name === "AbortError") return new EngineError("cancelled", "Cancelled.");
  if (error instanceof DOMException && error.name === "NotSupportedError") return new EngineError("unsupported", error.message);
  return new EngineError("failed", error instanceof Error ? error.message : String(error));
}

export function toWire(error: unknown): WireError {
  const { code, message, remedy, facts } = engineError(error);
  return { code, message, remedy, facts };
}
