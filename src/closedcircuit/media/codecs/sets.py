# SPDX-License-Identifier: Apache-2.0
"""The parameter sets of one video stream, from the SDP and from the stream itself, and the track that they describe."""

from __future__ import annotations

from collections.abc import Iterable

from closedcircuit.base.errors import MediaError, StreamBroken
from closedcircuit.media.codecs.h264 import h264_track, parse_sps, pps_id
from closedcircuit.media.codecs.h265 import h265_track, set_id
from closedcircuit.model import Track

SETS_MAX = 64
SET_BYTES_MAX = 64 << 10


class ParameterSets:
    """Known sets by (NAL type, id); the newest of an id wins. Bounds: `SETS_MAX` sets of `SET_BYTES_MAX`."""

    def __init__(self, codec: str, known: Iterable[bytes] = ()) -> None:
        self.codec = codec  # "h264" or "h265"
        self._sets: dict[tuple[int, int], bytes] = {}
        self._current: frozenset[bytes] = frozenset()
        for nal in known:
            self.offer(nal)

    def offer(self, nal: bytes) -> bool:
        """Take a set seen in the stream; True where it is new or differs. Damaged ones are left out.

        Raises StreamBroken when there are absurdly many.
        """
        if nal in self._current:
            return False
        try:
            key = self._key(nal)
        except MediaError:
            return False
        if len(nal) > SET_BYTES_MAX or (len(self._sets) >= SETS_MAX and key not in self._sets):
            raise StreamBroken("the camera sends absurd parameter sets")
        self._sets[key] = nal
        self._current = frozenset(self._sets.values())
        return True

    def _key(self, nal: bytes) -> tuple[int, int]:
        if not nal:
            raise MediaError("an empty NAL unit")
        if self.codec == "h265":
            return (nal[0] >> 1) & 63, set_id(nal)
        kind = nal[0] & 31
        return kind, parse_sps(nal).id if kind == 7 else pps_id(nal)

    def _of(self, kind: int) -> list[bytes]:
        return [nal for (held, _), nal in sorted(self._sets.items()) if held == kind]

    def track(self) -> Track | None:
        """The track that these sets describe; None while one that is needed is missing."""
        try:
            if self.codec == "h265":
                return h265_track(self._of(32), self._of(33), self._of(34))
            return h264_track(self._of(7), self._of(8))
        except MediaError:
            return None
