// SPDX-License-Identifier: Apache-2.0
// jsdom has no layout and no media: what pages merely call is answered here, nothing that a test looks at.
export {};
