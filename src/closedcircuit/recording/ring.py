# SPDX-License-Identifier: Apache-2.0
"""The last seconds of a stream that records on events only, in memory."""

from __future__ import annotations

from collections import deque

from closedcircuit.base import TICKS
from closedcircuit.recording.pieces import Piece

RING_BYTES_MAX = 16 << 20
"""A camera's pre-roll never takes more memory than this; with an absurd bit rate it gets shorter instead."""


class PreRoll:
    """Pieces that cover the last `seconds`. Overflow rule: the oldest go. Always begins with a key frame.

    Owned by the sweep thread.
    """

    def __init__(self, seconds: float) -> None:
        self._span_90k = round(seconds * TICKS)
        self._pieces: deque[Piece] = deque()
        self._bytes = 0

    def push(self, piece: Piece) -> None:
        """Keep a piece, let go of what is too old."""
        if not self._pieces and not piece.key:
            return
        self._pieces.append(piece)
        self._bytes += piece.size
        wanted_90k = piece.end_90k - self._span_90k
        while self._bytes > RING_BYTES_MAX or self._may_drop(wanted_90k):
            self._drop()
            if not self._pieces:
                return

    def take(self, since_90k: int) -> list[Piece]:
        """Give up all pieces from the one that `since_90k` lies in, or the last key frame before it, onwards."""
        pieces = list(self._pieces)
        self.clear()
        first = 0
        for number, piece in enumerate(pieces):
            if piece.key and piece.start_90k <= since_90k:
                first = number
        return pieces[first:]

    def clear(self) -> None:
        """Forget everything: the run ended, or its time is broken."""
        self._pieces.clear()
        self._bytes = 0

    def _may_drop(self, wanted_90k: int) -> bool:
        """Whether what follows the first group of pictures covers the span alone."""
        for piece in list(self._pieces)[1:]:
            if piece.key:
                return piece.start_90k <= wanted_90k
        return False

    def _drop(self) -> None:
        self._bytes -= self._pieces.popleft().size
        while self._pieces and not self._pieces[0].key:
            self._bytes -= self._pieces.popleft().size
