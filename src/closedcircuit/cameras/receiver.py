# SPDX-License-Identifier: Apache-2.0
"""All streams of this process, in one thread, by sweeping.

Waking up for each packet is what costs (docs/measurements.md): so nobody is woken. Every `sweep_s` one pass reads what
came on each connection into one shared buffer. A picture waits half a sweep on average; the price of a camera falls to
a few system calls a sweep.
"""

from __future__ import annotations

from typing import Any

from closedcircuit.base.clock import Clock
from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.cameras.address import split_address
from closedcircuit.cameras.line import Line
from closedcircuit.cameras.rtspline import RtspLine, is_ours
from closedcircuit.model import PacketSink, Source

BUFFER = 256 << 10
DIALS_A_SWEEP = 10
"""New attempts in one sweep: after a power cut hundreds of cameras come back, and we do not storm them."""

Key = tuple[str, str]
"""(camera id, stream name)."""


def make_line(
    name: str, source: Source, username: str, password: Secret, *, sink: PacketSink, clock: Clock, ids: Ids
) -> Line:
    """Choose who pulls a source: our own receiver for RTSP over TCP, FFmpeg for everything else."""
    address, inner_name, inner_password = split_address(source.address)
    if not username and inner_name:
        username, password = inner_name, Secret(inner_password)
    source = Source(
        address=address,
        pin_sha256=source.pin_sha256,
        ca_file=source.ca_file,
        audio=source.audio,
        options=source.options,
    )
    if is_ours(source):
        return RtspLine(name, source, (username, password), sink, clock, ids)
    from closedcircuit.cameras.ffmpegline import FfmpegLine

    return FfmpegLine(name, source, (username, password), sink, clock, ids)


class Receiver:
    """Everything here, and every call of a sink, happens in the one thread that calls `sweep`."""

    def __init__(self, clock: Clock, ids: Ids, *, sweep_s: float = 0.04) -> None:
        self.sweep_s = sweep_s
        self._clock, self._ids = clock, ids
        self._lines: dict[Key, Line] = {}
        self._view = memoryview(bytearray(BUFFER))
        self._next_s = 0.0

    def add(self, key: Key, source: Source, username: str, password: Secret, sink: PacketSink) -> None:
        """Begin to pull a stream; an earlier one of the same key is removed first. Raises ConfigError."""
        self.remove(key)
        self._lines[key] = make_line(
            "/".join(key), source, username, password, sink=sink, clock=self._clock, ids=self._ids
        )

    def remove(self, key: Key) -> None:
        """Stop pulling; a run that flows is ended with cause `paused`. Unknown keys are fine."""
        line = self._lines.pop(key, None)
        if line is not None:
            line.stop(self._clock.now_90k())

    def keys(self) -> list[Key]:
        """Streams being pulled."""
        return list(self._lines)

    def sweep(self) -> None:
        """One pass over all streams: connect, read, parse, deliver, keep alive, give up, try again. Never waits."""
        now_s, now_90k = self._clock.monotonic_s(), self._clock.now_90k()
        dials = DIALS_A_SWEEP
        for line in tuple(self._lines.values()):
            if line.sweep(self._view, now_s, now_90k, may_dial=dials > 0):
                dials -= 1

    def wait(self) -> None:
        """Sleep until the next sweep is due; a sweep that took too long is not made up for."""
        now_s = self._clock.monotonic_s()
        self._next_s = max(self._next_s + self.sweep_s, now_s)
        self._clock.sleep(self._next_s - now_s)

    def health(self, key: Key) -> dict[str, Any]:
        """`StreamState` of docs/design/processes.md, without what only recording knows. KeyError for unknown keys."""
        return self._lines[key].health()

    def close(self) -> None:
        """Stop all."""
        for key in self.keys():
            self.remove(key)
