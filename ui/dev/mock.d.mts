// SPDX-License-Identifier: Apache-2.0
import type { Camera, Hold, Session } from "../src/lib/types";

export interface MockSite {
  session: Session;
  cameras: Camera[];
  holds: Hold[];
  keepDays: number;
  log: [method: string, path: string, body: unknown][];
  answer(method: string, target: string, body?: unknown): { status: number; json?: unknown };
}

export function createSite(options?: { owner?: boolean; signedIn?: boolean; empty?: boolean }): MockSite;
