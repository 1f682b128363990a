# SPDX-License-Identifier: Apache-2.0
"""What the payloads of a video stream's packets hold: H.264 (RFC 6184) and H.265 (RFC 7798)."""

from __future__ import annotations

import struct

from closedcircuit.base.errors import StreamBroken
from closedcircuit.media.rtsp.video import VideoUnpacker


class H264Unpacker(VideoUnpacker):
    """RFC 6184, packetization modes 0 and 1: single NAL units, STAP-A, FU-A."""

    __slots__ = ()
    _fast = staticmethod(struct.Struct(">QI2xI").unpack_from)
    _fast_offset = 18

    def _is_set(self, head: int) -> bool:
        return head & 31 in (7, 8)

    def _payload(self, data: bytes, start: int, end: int) -> None:
        kind = data[start] & 31
        if kind == 28:
            self._fragment(data, start, end)
        elif self._fu >= 0:
            self._ruin()  # the fragmented unit never ended
        elif kind == 24:
            self._pieces(data, start + 1, end)
        elif 0 < kind < 24:
            self._single(data, start, end)
        elif 25 <= kind <= 29:
            raise StreamBroken(
                "the camera sends H.264 interleaved (RFC 6184, mode 2)", remedy="Choose another profile in the camera."
            )

    def _single(self, data: bytes, start: int, end: int) -> None:
        kind = data[start] & 31
        if kind <= 5:
            if kind in (1, 5) and end > start + 1 and not self._first_slice(data[start + 1] >= 0x80):
                return
            if kind == 5:
                self._key = True
        elif kind in (7, 8):
            self._set(data[start:end])
        elif kind == 6 and data[start + 1 : start + 2] == b"\6" and data[start + 3 : start + 4] >= b"\x80":
            # SEI recovery point with recovery_frame_cnt 0 (D.1.8): a decoder can start here, too.
            self._recovery = True
        self._whole(data, start, end)

    def _fragment(self, data: bytes, start: int, end: int) -> None:
        if end - start < 3:
            return
        head = data[start + 1]
        kind = head & 31
        if head & 0x80:
            if self._fu >= 0:
                self._ruin()
                return
            if kind in (1, 5):
                if not self._first_slice(data[start + 2] >= 0x80):
                    return
                if kind == 5:
                    self._key = True
            self._open(bytes((data[start] & 0xE0 | kind,)), data[start + 2 : end])
        elif self._fu >= 0:
            self._parts.append(data[start + 2 : end])
            self._fu_bytes += end - start - 2
        else:
            self._ruin()  # its start is missing
            return
        if head & 0x40:
            whole = self._close()
            if whole is not None:
                self._set(whole)


class H265Unpacker(VideoUnpacker):
    """RFC 7798 without decoding order numbers: single NAL units, AP, FU."""

    __slots__ = ()
    _fast = staticmethod(struct.Struct(">QI3xI").unpack_from)
    _fast_offset = 19

    def _is_set(self, head: int) -> bool:
        return 32 <= head >> 1 & 63 <= 34

    def _payload(self, data: bytes, start: int, end: int) -> None:
        if end - start < 3:
            return
        kind = data[start] >> 1 & 63
        if kind == 49:
            self._fragment(data, start, end)
        elif self._fu >= 0:
            self._ruin()
        elif kind == 48:
            self._pieces(data, start + 2, end)
        elif kind < 48:
            self._single(data, start, end)

    def _single(self, data: bytes, start: int, end: int) -> None:
        kind = data[start] >> 1 & 63
        if kind < 32:
            if end - start > 2 and not self._first_slice(data[start + 2] >= 0x80):
                return
            if 16 <= kind <= 23:
                self._key = True
        elif kind <= 34:
            self._set(data[start:end])
        self._whole(data, start, end)

    def _fragment(self, data: bytes, start: int, end: int) -> None:
        if end - start < 4:
            return
        head = data[start + 2]
        kind = head & 63
        if head & 0x80:
            if self._fu >= 0:
                self._ruin()
                return
            if kind < 32:
                if not self._first_slice(data[start + 3] >= 0x80):
                    return
                if 16 <= kind <= 23:
                    self._key = True
            self._open(bytes((data[start] & 0x81 | kind << 1, data[start + 1])), data[start + 3 : end])
        elif self._fu >= 0:
            self._parts.append(data[start + 3 : end])
            self._fu_bytes += end - start - 3
        else:
            self._ruin()
            return
        if head & 0x40:
            whole = self._close()
            if whole is not None:
                self._set(whole)
