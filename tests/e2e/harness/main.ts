// SPDX-License-Identifier: Apache-2.0
/** The engine alone in a page, for tests in a browser: no pages of the console in the way. */

import { Engine, EngineError } from "../../../ui/src/engine/api";

Object.assign(globalThis, { Engine, EngineError });
document.documentElement.dataset["ready"] = "yes";
