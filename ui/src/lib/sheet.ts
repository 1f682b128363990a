// SPDX-License-Identifier: Apache-2.0
/** The recovery sheet's words: on paper, and as a text file that `age -i` takes as it is. */
import type { Owner } from "../engine/api";

export const WHAT =
  "This key opens everything that this recorder records. Keep it on paper or on a stick, away from the recorder. " +
  "Whoever has it can watch your footage. It cannot be made again.";

export const HOW: { title: string; text: string; command?: string }[] = [
  {
    title: "Save the key as a file",
    text: "Type the key above into a text file, on one line and without the spaces.",
    command: "recovery.txt",
  },
  {
    title: "Open footage with Closed Circuit",
    text: "On the machine with the footage; the clips are ordinary MP4 files.",
    command: "closedcircuit footage unlock CAMERA FROM TO --identity recovery.txt",
  },
  {
    title: "Or without it",
    text: "With age (1.3 or later), openssl and ffmpeg (6.1 or later), as docs/guide/recover.md says. Each hour's key is one file:",
    command: "age -d -i recovery.txt keys/CAMERA/KEYID.age",
  },
];

export function sheetText(about: { site: string; made: string; owner: Owner }): string {
  return [
    "# Closed Circuit: recovery sheet",
    `# Place: ${about.site}`,
    `# Made:  ${about.made}`,
    "#",
    ...wrap(WHAT).map((line) => `# ${line}`),
    "#",
    "# To use it: this file is an age identity as it stands.",
    `#   ${HOW[1]?.command?.replace("recovery.txt", "closed-circuit-recovery.txt")}`,
    "# Without Closed Circuit: docs/guide/recover.md (age, openssl and ffmpeg do it).",
    "#",
    `# Public half: ${about.owner.recoveryRecipient}`,
    about.owner.recoveryIdentity,
    "",
  ].join("\n");
}

function wrap(text: string, width = 76): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1] as string;
    if (last && last.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines;
}
