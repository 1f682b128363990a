# SPDX-License-Identifier: Apache-2.0
"""The machine's own `ffmpeg`, for protocols that the FFmpeg in our wheel was built without (SRT)."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

from closedcircuit.base.errors import CameraRefused

RELAYED = ("srt", "rist")
"""Protocols worth asking the machine's ffmpeg for."""


class Relay:
    """A running `ffmpeg -i ADDRESS -c copy`, whose MPEG-TS is read from `stream`.

    Its command line, address included, can be seen by the machine's other users (`docs/design/receiving.md`).
    """

    def __init__(self, address: str, options: dict[str, str]) -> None:
        program = shutil.which("ffmpeg")
        if program is None:
            scheme = address.partition("://")[0]
            raise CameraRefused(
                f"we know no {scheme}:// without the program ffmpeg",
                remedy="Install ffmpeg (Debian: apt install ffmpeg).",
            )
        more = [word for name, value in options.items() for word in (f"-{name}", value)]
        command = [program, "-nostdin", "-loglevel", "quiet", *more, "-i", address]
        command += ["-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", "-flush_packets", "1", "-f", "mpegts", "pipe:1"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    @property
    def stream(self) -> Any:
        """What it writes."""
        return self._process.stdout

    def kill(self) -> None:
        """End it; a reader blocked on `stream` gets its end. From any thread."""
        self._process.kill()

    def close(self) -> None:
        """End it and wait for it; call it from the thread that reads."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
