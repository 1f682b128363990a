# SPDX-License-Identifier: Apache-2.0
"""The recorder's role with a part of its work left out, to measure what that part costs. Never for anything else.

`python bench/record_part.py hash,seal --data DIR`: `hash` leaves out SHA-256, `seal` writes plaintext.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from closedcircuit.app.roles import play_role
from closedcircuit.media.mp4 import FragmentWriter, init_segment
from closedcircuit.recording import writer


class NoDigest:
    def update(self, data: object) -> None:
        del data

    def digest(self) -> bytes:
        return bytes(32)


def main() -> int:
    left_out, data = set(sys.argv[1].split(",")), Path(sys.argv[3])
    if "hash" in left_out:
        writer.hashlib = SimpleNamespace(sha256=NoDigest)  # type: ignore[attr-defined]
    if "seal" in left_out:
        writer.FragmentWriter = lambda tracks, _: FragmentWriter(tracks, (None,) * len(tracks))  # type: ignore[attr-defined]
        writer.init_segment = lambda tracks, _, header: init_segment(tracks, None, header)  # type: ignore[attr-defined]
    return play_role("recorder", data)


if __name__ == "__main__":
    sys.exit(main())
