// SPDX-License-Identifier: Apache-2.0
/** The browser's half of the sealing: reads, opens, checks. Pure functions over bytes; runs in a worker and in Node. */

export { Damaged, View, ascii, base64, base64url, concat, fromBase64, fromHex, hex, type Bytes } from "./bytes";
export { ITERATIONS, openBlob, passphraseKeys, prfInput, prfKey, sealBlob, type PassphraseKeys } from "./blob";
export { audioConfig, audioOfConfig, codecString, videoConfig, type Coding } from "./codecs";
export { openFragment, parseFragment, splitSegment, type Fragment, type KeyOf, type Sample } from "./fragment";
export { parseInit, type Codec, type Init, type InitTrack, type Kind } from "./init";
export { hourKey, liveKey, segmentKey } from "./keys";
export { LIVE_HEADER, openLive, parseLive, type LiveMessage } from "./live";
