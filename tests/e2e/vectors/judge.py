# SPDX-License-Identifier: Apache-2.0
"""What FFmpeg (through PyAV) says of a file, as JSON: for tests of what the browser's code wrote.

    python tests/e2e/vectors/judge.py FILE

`packets` is everything in the file in decoding order; `shown` what a player would show: [seconds, ...] of each
decoded picture after the edit list; `heard` the same of sound, [seconds, samples].
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import av


def judge(path: str) -> dict[str, Any]:
    """See above."""
    out: dict[str, Any] = {"streams": {}, "shown": [], "heard": []}
    with av.open(path, options={"advanced_editlist": "0"}) as file:
        for stream in file.streams:
            packets = [p for p in file.demux(stream) if p.size]
            out["streams"][stream.type] = {
                "codec": stream.codec_context.name,
                "packets": [hashlib.sha256(bytes(p)).hexdigest() for p in packets],
                "keys": [i for i, p in enumerate(packets) if p.is_keyframe],
                "dts": [float(p.dts * p.time_base) for p in packets],
            }
            file.seek(0)
    with av.open(path) as file:
        out["metadata"] = dict(file.metadata)
        out["duration"] = file.duration / av.time_base
        for frame in file.decode(video=0):
            out["shown"].append([float(frame.pts * frame.time_base), frame.width, frame.height])
    with av.open(path) as file:
        if file.streams.audio:
            for frame in file.decode(audio=0):
                out["heard"].append([float(frame.pts * frame.time_base), frame.samples])
    return out


if __name__ == "__main__":
    json.dump(judge(sys.argv[1]), sys.stdout)
