# SPDX-License-Identifier: Apache-2.0
"""Pictures out of RTP packets: H.264 (RFC 6184) and H.265 (RFC 7798).

This is the hot path of the whole system: a camera sends some 400 packets a second, nearly all of them the middle of a
fragmented NAL unit. `take` reads one packet carefully and then, with one `unpack_from` a packet, all that only continue
it: an interleaved header, an RTP header whose sequence number is one more, the same timestamp, the same FU header. In
such a run the first eight bytes, read as one number, grow by exactly one a packet. That comparison is the parser.

A packet's bytes are copied once, out of what was received into `parts`; nothing is kept for a packet otherwise.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable

from closedcircuit.base.errors import StreamBroken
from closedcircuit.media.codecs import ParameterSets

PICTURE_MAX = 16 << 20
"""Bytes of one access unit; a camera that goes on has lost its mind, and would take our memory."""
PARTS_MAX = 32_768
"""Pieces of one access unit: a bound on the memory that tiny packets cost."""
OLD_MAX = 16
"""Packets in a row with numbers from the past, after which the numbering is taken to have begun again."""

_HEADER = struct.Struct(">HHII").unpack_from  # V P X CC M PT, sequence, timestamp, SSRC

Emit = Callable[[int, bool, int, "list[bytes | memoryview]"], None]
"""(RTP timestamp, key, bytes, parts) of a complete access unit."""
Lost = Callable[[int, str], None]
"""(number of packets missing, or 0 where unknown; words)."""


def payload_bounds(data: bytes, start: int, end: int, flags: int) -> tuple[int, int]:
    """Where the payload of the RTP packet data[start:end] is, past CSRCs, extension and padding; (0, 0) if damaged."""
    if flags >> 14 != 2:
        return 0, 0
    at = start + 12 + 4 * (flags >> 8 & 15)
    if flags & 0x1000:
        if at + 4 > end:
            return 0, 0
        at += 4 + 4 * (data[at + 2] << 8 | data[at + 3])
    if flags & 0x2000 and end > at:
        end -= data[end - 1] or 1
    return (at, end) if at < end else (0, 0)


class VideoUnpacker(ABC):
    """One video stream of one connection. Owned by the session's thread; emits access units in decoding order."""

    __slots__ = (
        "_damaged",
        "_done_ts",
        "_emit",
        "_expect",
        "_fu",
        "_fu_bytes",
        "_fu_head",
        "_key",
        "_late_marker",
        "_lost",
        "_old",
        "_old_next",
        "_parts",
        "_picture",
        "_plain",
        "_recovery",
        "_size",
        "_suspect",
        "_ts",
        "cycles",
        "lost",
        "received",
        "sets",
        "sets_changed",
        "ssrc",
    )

    _fast: Callable[[bytes, int], tuple[int, int, int]]
    _fast_offset: int  # from the `$` to the first payload byte of a continuation

    def __init__(self, payload_type: int, sets: ParameterSets, emit: Emit, lost: Lost) -> None:
        self.sets = sets
        self.sets_changed = False  # since the owner last looked; it sets it back
        self.received = self.lost = 0  # packets
        self.ssrc = -1
        self.cycles = 0  # of the sequence number, for receiver reports
        self._emit, self._lost = emit, lost
        self._plain = 0x8000 | payload_type
        self._expect = self._ts = self._done_ts = -1
        self._old = 0
        self._old_next = -1
        self._late_marker = False  # the marker bit comes before a picture's end: only timestamps tell
        self._suspect = False  # packets were missing before this access unit
        self._begin()

    def _begin(self) -> None:
        self._parts: list[bytes | memoryview] = []
        self._size = 0
        self._key = self._picture = self._damaged = self._recovery = False
        self._fu = -1  # index in `_parts` of the length of the NAL unit being put together
        self._fu_bytes = 0
        self._fu_head = b""

    @property
    def highest(self) -> int:
        """Extended highest sequence number received (RFC 3550, 6.4.1)."""
        return self.cycles << 16 | (self._expect - 1 & 0xFFFF)

    def take(self, data: bytes, at: int, end: int, stop: int) -> int:
        """Read the interleaved packet data[at:end] (its `$` is at `at`) and what plainly continues it before `stop`.

        Returns where the first frame begins that was not taken. Raises StreamBroken past the caps.
        """
        if end - at < 17:
            return end
        flags, seq, ts, ssrc = _HEADER(data, at + 4)
        start, over = at + 16, end
        plain = flags & 0xFF7F == self._plain
        if not plain:
            if flags & 0x7F != self._plain & 0x7F:
                return end
            start, over = payload_bounds(data, at + 4, end, flags)
            if not over:
                return end
        if ssrc != self.ssrc:
            self._new_source(ssrc)
        if seq != self._expect and not self._follows(seq):
            return end
        self._expect = seq + 1 & 0xFFFF
        if not self._expect:
            self.cycles += 1
        self.received += 1
        if ts != self._ts:
            if self._parts or self._damaged:
                self._finish()
            self._ts = ts
        if not self._damaged:
            self._payload(data, start, over)
            if self._size + self._fu_bytes > PICTURE_MAX or len(self._parts) > PARTS_MAX:
                raise StreamBroken(
                    f"a single picture of more than {PICTURE_MAX >> 20} MiB",
                    remedy="Restart the camera; update its firmware.",
                )
        if flags & 0x80:
            if not self._late_marker and self._finish():
                self._done_ts = ts
            return end
        if self._fu < 0 or not plain:
            return end
        return self._continue(data, at, end, stop)

    def _continue(self, data: bytes, at: int, end: int, stop: int) -> int:
        """Take the packets after data[at:end] that are alike: same length, next number, same time, same FU header."""
        step, offset, unpack, append = end - at, self._fast_offset, self._fast, self._parts.append
        number, ts, tail = unpack(data, at)
        tail &= ~0x80  # the start bit: what continues has none
        at = end
        last = stop - step
        while at <= last:
            number += 1
            found, found_ts, found_tail = unpack(data, at)
            if found != number or found_ts != ts or found_tail != tail:
                break
            append(data[at + offset : at + step])
            at += step
        count = (at - end) // step
        if count:
            self.received += count
            self._fu_bytes += count * (step - offset)
            self._expect = self._expect + count & 0xFFFF
            if not self._expect:
                self.cycles += 1
        return at

    # ------------------------------------------------------------------------------------------------ order

    def _new_source(self, ssrc: int) -> None:
        if self.ssrc != -1:
            self._lost(0, "the camera began its stream anew")
            self._spoil()
            self._expect = -1
        self.ssrc = ssrc

    def _follows(self, seq: int) -> bool:
        """Packets are missing before this one (True: go on with it), or it is from the past (False)."""
        if self._expect < 0:
            return True
        missing = seq - self._expect & 0xFFFF
        if missing >= 0x8000:
            self._old = self._old + 1 if seq == self._old_next else 1
            self._old_next = seq + 1 & 0xFFFF
            if self._old < OLD_MAX:
                return False
            missing = 0
        self.lost += missing
        self._lost(missing, f"{missing} packets are missing" if missing else "the packets' numbers began anew")
        self._old = 0
        self._spoil()
        if seq < self._expect:
            self.cycles += 1
        return True

    def _spoil(self) -> None:
        """The access unit being put together is incomplete; the next one has to prove that it is not."""
        if self._parts:
            self._ruin()
        self._suspect = True

    def _ruin(self) -> None:
        """Nothing of this access unit will be used: free it, and skip what else comes of it."""
        self._begin()
        self._damaged = True

    def _finish(self) -> bool:
        """The access unit is over: emit it (True), drop it, or keep what belongs to the next one."""
        if self._damaged or self._fu >= 0:
            self._begin()
            self._suspect = True
            return False
        if not self._picture:
            return False  # parameter sets or SEI sent apart: they go with the next picture
        parts, size, key = self._parts, self._size, self._key or self._recovery
        self._suspect = False
        self._begin()
        self._emit(self._ts, key, size, parts)
        return True

    # ------------------------------------------------------------------------------------------------ NAL units

    @abstractmethod
    def _payload(self, data: bytes, start: int, end: int) -> None:
        """Read the payload of one packet."""

    def _first_slice(self, first: bool) -> bool:
        """A slice begins. False: it cannot be used, its picture's beginning is missing or was sent off already."""
        if self._picture:
            return True
        if self._ts == self._done_ts and not first:
            # The marker came at each slice, not at the picture's end. From here on only timestamps count.
            self._late_marker = True
            self._lost(0, "the camera marks the end of a picture too early")
        elif not self._suspect or first:
            self._picture = True
            return True
        self._ruin()
        return False

    def _whole(self, data: bytes, start: int, end: int) -> None:
        """Add a NAL unit that is all here."""
        self._parts.append((end - start).to_bytes(4, "big"))
        self._parts.append(data[start:end])
        self._size += 4 + end - start

    def _open(self, head: bytes, piece: bytes) -> None:
        """Begin a NAL unit that comes in pieces; `head` is its header."""
        self._fu, self._fu_head, self._fu_bytes = len(self._parts), head, len(head) + len(piece)
        self._parts.append(b"")
        self._parts.append(piece)

    def _close(self) -> bytes | None:
        """End it. Returns it in one piece where it is a parameter set."""
        self._parts[self._fu] = self._fu_bytes.to_bytes(4, "big") + self._fu_head
        self._size += 4 + self._fu_bytes
        whole = None
        if self._is_set(self._fu_head[0]) and self._fu_bytes < 65_536:
            whole = self._fu_head + b"".join(self._parts[self._fu + 1 :])
        self._fu, self._fu_bytes = -1, 0
        return whole

    @abstractmethod
    def _is_set(self, head: int) -> bool:
        """Whether a NAL unit whose first byte is `head` is a parameter set."""

    def _set(self, nal: bytes) -> None:
        if self.sets.offer(nal):
            self.sets_changed = True

    def _pieces(self, data: bytes, start: int, end: int) -> None:
        """Add the NAL units of an aggregation packet: 16-bit lengths (STAP-A, AP)."""
        while start + 2 < end:
            over = start + 2 + (data[start] << 8 | data[start + 1])
            if over > end:
                self._ruin()
                return
            if over > start + 2:
                self._single(data, start + 2, over)
            start = over

    @abstractmethod
    def _single(self, data: bytes, start: int, end: int) -> None:
        """Read one whole NAL unit."""
