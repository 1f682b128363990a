# SPDX-License-Identifier: Apache-2.0
"""One watched stream's way to the viewers: each sample sealed once, as it arrives.

Owned by the sweep thread. Overflow rule: a sample for which the socket has no room is dropped, and with it all video up
to the next key frame and the sound meanwhile; `dropped` counts.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Protocol

import msgspec

from closedcircuit.base import Clock, Ids
from closedcircuit.model import Track
from closedcircuit.vault import HourKey, LiveSealer

KEY, AUDIO, REPLAYED, CHANGED = 1, 2, 4, 8
"""Flags of a live message (docs/design/footage.md, "Live")."""


class RelayPort(Protocol):
    """The way out."""

    def config(self, message: bytes) -> bool:
        """Send a config message. False: no room."""

    def sealed(self, name: bytes, message: bytes) -> bool:
        """Send a live message of `camera/stream`. False: no room."""

    def has_room(self, size: int) -> bool:
        """Whether a message of that size would be taken now."""


class Replayed(msgspec.Struct, frozen=True, array_like=True):
    """A sample of the running group of pictures."""

    pts_90k: int
    flags: int
    parts: Sequence[bytes | memoryview]
    size: int


class Relay:
    """Seals what one stream receives and passes it on."""

    def __init__(self, camera: str, stream: str, port: RelayPort, clock: Clock, ids: Ids) -> None:
        self.camera, self.stream = camera, stream
        self.dropped = 0
        self.hour_key: HourKey | None = None
        self._port, self._clock, self._ids = port, clock, ids
        self._name = f"{camera}/{stream}".encode()
        self._sealer: LiveSealer | None = None
        self._waits_for_key = True
        self._extra = 0  # flags of the next video sample

    def renew(self, tracks: Sequence[Track], key: HourKey | None, *, changed: bool = False) -> None:
        """Take a new live id: the run, the hour's key, the coding or the time's anchor is another. None: go quiet."""
        self.hour_key, self._sealer, self._waits_for_key = key, None, True
        if key is None or not tracks:
            return
        live_id = self._ids.random(8)
        if self._port.config(config_message(self.camera, self.stream, live_id, key.key_id.hex(), tracks)):
            self._sealer = key.live_sealer(live_id)
            self._extra = CHANGED if changed else 0

    @property
    def is_mute(self) -> bool:
        """No config could be sent, or there is no key: call `renew` again at the next key frame."""
        return self._sealer is None

    def replay(self, samples: Sequence[Replayed]) -> None:
        """Send the running group of pictures, so that a viewer's first picture does not wait for the next one."""
        if samples:
            self._extra |= REPLAYED
        for sample in samples:
            self.sample(sample.flags, sample.pts_90k, sample.parts, sample.size)

    def sample(self, flags: int, pts_90k: int, parts: Sequence[bytes | memoryview], size: int) -> None:
        """Send one sample."""
        if self._sealer is None:
            return
        if flags & KEY and not flags & AUDIO:
            self._waits_for_key = False
        elif self._waits_for_key:
            self.dropped += 1
            return
        if not self._port.has_room(size + len(self._name) + 64):
            self._waits_for_key = True
            self.dropped += 1
            return
        if self._extra and not flags & AUDIO:
            flags |= self._extra
            self._extra = 0
        self._port.sealed(self._name, self._sealer.seal(flags, 0, pts_90k, self._clock.now_90k(), parts))


def config_message(camera: str, stream: str, live_id: bytes, key_id: str, tracks: Sequence[Track]) -> bytes:
    """JSON of a config message, `channel` 0: the web process fills it in."""
    return msgspec.json.encode(
        {
            "type": "config",
            "channel": 0,
            "camera": camera,
            "stream": stream,
            "live_id": live_id.hex(),
            "key_id": key_id,
            "tracks": [
                {
                    "kind": track.kind,
                    "codec": track.codec,
                    "codec_string": track.codec_string,
                    "timescale": track.timescale,
                    "config": base64.b64encode(track.config).decode(),
                    "width": track.width,
                    "height": track.height,
                    "channels": track.channels,
                }
                for track in tracks
            ],
        }
    )
