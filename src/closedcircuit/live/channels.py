# SPDX-License-Identifier: Apache-2.0
"""One stream's fan-out: who watches, and what a viewer who comes later needs to see a picture at once."""

from __future__ import annotations

from typing import Protocol

from closedcircuit.live.wire import AUDIO, KEY, message_frame, text_frame

UNSENT_BYTES_MAX = 4 << 20
"""A viewer with more than this unsent loses samples up to the next key frame."""

TEXT_BYTES_MAX = 6 << 20
"""A viewer with more than this unsent loses text as well, which it cannot do without: it is hung up on."""

GROUP_BYTES_MAX = 8 << 20
GROUP_SAMPLES_MAX = 3_000
"""Bounds of the running group of pictures kept for later viewers. Overflow rule: the whole group is forgotten, and who
comes then waits for the next key frame."""


class Outlet(Protocol):
    """Where whole WebSocket frames go. Called on the event loop's thread only; none of it blocks or raises."""

    def write(self, frame: bytes) -> None:
        """Queue a frame, in order. Once closed, do nothing."""

    def unsent(self) -> int:
        """Bytes queued that the network has not taken."""

    def close(self, code: int, reason: str) -> None:
        """Hang up (RFC 6455, 7.4)."""


class Viewer:
    """One browser connection. Made by `LiveHub.join`; all of it belongs to the event loop's thread."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.watching: dict[tuple[str, str], Channel] = {}
        self.fresh: set[Channel] = set()  # waits for its first key frame; loses nothing that it ever had
        self.behind: dict[Channel, int] = {}  # too slow, waits for the next key frame; samples lost since
        self.dropped_total = 0

    def tell(self, frame: bytes) -> None:
        """Send a text frame; a viewer that cannot even take text is hung up on."""
        if self.outlet.unsent() > TEXT_BYTES_MAX:
            self.outlet.close(1013, "too slow")
            return
        self.outlet.write(frame)

    def tell_problem(self, detail: str) -> None:
        """Tell what of a request was refused."""
        self.tell(text_frame({"type": "problem", "detail": detail}))

    def show(self, channel: Channel, flags: int, frame: bytes) -> None:
        """Send a sample's frame, or drop it when this viewer is behind.

        Dropping ends at a video key frame that fits, and the viewer is told before it how many it lost.
        """
        full = self.outlet.unsent() + len(frame) > UNSENT_BYTES_MAX
        if channel in self.fresh:
            if full or not is_video_key(flags):
                return
            self.fresh.discard(channel)
        lost = self.behind.get(channel)
        if lost is None and not full:
            self.outlet.write(frame)
            return
        if full or not is_video_key(flags):
            self.behind[channel] = (lost or 0) + 1
            self.dropped_total += 1
            return
        del self.behind[channel]
        self.outlet.write(text_frame({"type": "dropped", "channel": channel.number, "count": lost}))
        self.outlet.write(frame)

    def restart(self, channel: Channel) -> None:
        """Wait for a key frame: what came before belongs to another run, or never came."""
        self.behind.pop(channel, None)
        self.fresh.add(channel)

    def lose(self, channel: Channel) -> None:
        """Forget a channel."""
        self.behind.pop(channel, None)
        self.fresh.discard(channel)


class Channel:
    """One stream for all its viewers. Belongs to the event loop's thread."""

    def __init__(self, number: int, camera: str, stream: str) -> None:
        self.number, self.camera, self.stream = number, camera, stream
        self.name = f"{camera}/{stream}"
        self.viewers: dict[Viewer, None] = {}
        self.relayed = 0  # samples
        self._config: bytes | None = None
        self._group: list[tuple[int, bytes]] = []
        self._group_bytes = 0

    def add(self, viewer: Viewer) -> None:
        """Let a viewer in: the config and the running group of pictures first, so that it need not wait."""
        self.viewers[viewer] = None
        viewer.restart(self)
        if self._config is not None:
            viewer.tell(self._config)
        if not self._group:
            return
        viewer.tell(text_frame({"type": "replay", "channel": self.number, "count": len(self._group)}))
        for flags, frame in self._group:
            viewer.show(self, flags, frame)

    def remove(self, viewer: Viewer) -> None:
        """Let a viewer go."""
        self.viewers.pop(viewer, None)
        viewer.lose(self)

    def forget(self) -> None:
        """Drop what was kept: the recorder or its run is another one now. Viewers wait for the next key frame."""
        self._config = None
        self._drop_group()
        for viewer in self.viewers:
            viewer.restart(self)

    def configure(self, config: dict[str, object]) -> None:
        """Take a config message; samples of its live id follow."""
        self._config = text_frame({**config, "channel": self.number})
        self._drop_group()
        for viewer in self.viewers:
            viewer.tell(self._config)

    def relay(self, message: memoryview) -> None:
        """Build the frame of a sealed message once, keep it while its group runs, and hand it to every viewer."""
        frame = message_frame(message, self.number)
        flags = message[1]
        if is_video_key(flags):
            self._drop_group()
        if self._group or is_video_key(flags):
            self._group.append((flags, frame))
            self._group_bytes += len(frame)
            if self._group_bytes > GROUP_BYTES_MAX or len(self._group) > GROUP_SAMPLES_MAX:
                self._drop_group()
        self.relayed += 1
        for viewer in self.viewers:
            viewer.show(self, flags, frame)

    def _drop_group(self) -> None:
        self._group, self._group_bytes = [], 0


def is_video_key(flags: int) -> bool:
    """Say whether a decoder can start at a message with these flags."""
    return flags & (KEY | AUDIO) == KEY
