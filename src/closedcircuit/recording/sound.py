# SPDX-License-Identifier: Apache-2.0
"""The sound of a stream: kept as it comes, but for G.711, which no browser plays from MP4 and FLAC keeps without loss.

FLAC comes from FFmpeg, 60 MB of it, loaded by a thread of its own when the first camera needs it; until then such a
camera's pictures are kept without sound.

Owned by the sweep thread, but for the loading.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from closedcircuit.base.errors import MediaError
from closedcircuit.model import Sample, Track

TO_FLAC = frozenset({"pcmu", "pcma"})
KEPT = frozenset({"aac", "opus", "flac"})


class Transcoder(Protocol):
    """`media.flac.FlacTranscoder`, as far as it is used here."""

    track: Track

    def push(self, payload: bytes | memoryview, pts: int) -> list[tuple[int, bytes]]:
        """(pts, FLAC frame) of what is complete now."""


Maker = Callable[[str, int, int], Transcoder]
"""Codec, sampling rate, channels. Raises MediaError."""


class FlacLoader:
    """Loads the transcoder once a process. Any thread may ask; `get` never waits.

    `_lock` guards `_thread`; `_maker` is written once by the loading thread.
    """

    def __init__(self, module: str = "closedcircuit.media.flac", name: str = "FlacTranscoder") -> None:
        self._module, self._name = module, name
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._maker: Maker | None = None

    def get(self) -> Maker | None:
        """The transcoder's class; None while it is being loaded."""
        if self._maker is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._load, name="load flac", daemon=True)
                    self._thread.start()
        return self._maker

    def _load(self) -> None:
        self._maker = getattr(importlib.import_module(self._module), self._name)


class Sound:
    """One stream's sound."""

    def __init__(self, loader: FlacLoader) -> None:
        self._loader = loader
        self._coder: Transcoder | None = None
        self._waits = False

    def take_up(self, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        """Begin with a run's tracks, or changed ones; return them as they are kept."""
        self._coder, self._waits = None, False
        if len(tracks) < 2 or tracks[1].codec in KEPT:
            return tracks[:2]
        if tracks[1].codec not in TO_FLAC:
            return tracks[:1]
        maker = self._loader.get()
        if maker is None:
            self._waits = True
            return tracks[:1]
        try:
            self._coder = maker(tracks[1].codec, tracks[1].timescale, tracks[1].channels)
        except MediaError:
            return tracks[:1]
        return tracks[0], self._coder.track

    def is_ready_now(self) -> bool:
        """True once, when sound that had to be left out can be taken up."""
        if self._waits and self._loader.get() is not None:
            self._waits = False
            return True
        return False

    def turn(self, sample: Sample) -> Iterable[Sample]:
        """A received audio sample as those to keep."""
        if self._coder is None:
            return (sample,)
        data = sample.parts[0] if len(sample.parts) == 1 else b"".join(sample.parts)
        return [
            Sample(2, pts, True, len(frame), [frame], sample.arrived_90k)
            for pts, frame in self._coder.push(data, sample.pts)
        ]
