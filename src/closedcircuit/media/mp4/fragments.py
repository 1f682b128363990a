# SPDX-License-Identifier: Apache-2.0
"""Writing fragments: the recorder's hot path. A fragment costs about one copy, one AES pass and a few table packs.

`prft moof mdat`, as in docs/design/footage.md, "Segment file"; boxes of ISO/IEC 14496-12, 8.8 and 8.16.5, and of
ISO/IEC 23001-7, 7 and 8.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain, repeat
from operator import lt, sub
from typing import Final

import msgspec

from closedcircuit.base.errors import MediaError
from closedcircuit.media.mp4.boxes import Buffer
from closedcircuit.media.mp4.ntp import ntp_of_90k
from closedcircuit.media.mp4.subsamples import CODINGS, seal_plan
from closedcircuit.model import Sample, SampleCipher, Track, TrackKind

SYNC: Final = 0x0200_0000  # sample_flags: depends on no other
NOT_SYNC: Final = 0x0101_0000  # depends on others, is no sync sample
TRUN_FLAGS: Final = 0x0701  # data offset; duration, size and flags a sample
TRUN_OFFSETS: Final = 0x0800  # and composition time offsets
SENC_SUBSAMPLES: Final = 2

_PRFT: Final = struct.Struct(">I4sIIQQ")
_MOOF: Final = struct.Struct(">I4sI4sII")
_TRAF: Final = struct.Struct(">I4sI4sIII4sIQ")  # with tfhd and tfdt
_TRUN: Final = struct.Struct(">I4sIII")
_SENC: Final = struct.Struct(">I4sII")
_SAIO: Final = struct.Struct(">I4sIII")
_SPAN_MAX: Final = 0x7FFF_FFFF
_FIRST_DURATION: Final = {"h264": 3600, "h265": 3600, "aac": 1024, "opus": 960}


class FragmentInfo(msgspec.Struct, frozen=True):
    """What the index keeps of a fragment that was written."""

    size: int  # bytes, prft + moof + mdat
    key: bool  # begins with a sample that a decoder can start at
    key_bytes: int  # bytes from its start to the end of that first sample; 0 if not key
    duration_90k: int


class _TrackState:
    """What one track carries from fragment to fragment. Used by the writer's thread alone."""

    __slots__ = ("base", "cipher", "coding", "duration", "next_dts", "number", "video")

    def __init__(self, number: int, track: Track, cipher: SampleCipher | None) -> None:
        self.number = number
        self.video = track.kind is TrackKind.VIDEO
        self.cipher = cipher
        self.coding = CODINGS.get(track.codec)
        # Of the last sample: repeated where nothing better is known. FLAC's STREAMINFO names the length of its frames.
        self.duration = _FIRST_DURATION.get(track.codec) or int.from_bytes(track.config[8:10], "big") or 1
        self.base = 0  # pts of the run that is 0 in the segment
        self.next_dts = 0  # lowest decoding time that may come next
        if self.video and cipher is not None and self.coding is None:
            raise ValueError(f"{track.codec} cannot be sealed")

    def advance(self, times: _Times) -> None:
        """Remember what the next fragment continues from."""
        self.duration = times.durations[-1]
        self.next_dts = times.dts[-1] + 1


class FragmentWriter:
    """Makes the fragments of one segment file. One thread at a time; make a new one for each file.

    `ciphers` has one place a track: None leaves it clear. It keeps nothing of a fragment once `write` returned.
    """

    __slots__ = ("_audio", "_audio_rate", "_sequence", "_video")

    def __init__(self, tracks: tuple[Track, ...], ciphers: tuple[SampleCipher | None, ...]) -> None:
        if not 1 <= len(tracks) <= 2 or len(ciphers) != len(tracks) or tracks[0].timescale != 90_000:
            raise ValueError("a segment has video of 90 kHz, perhaps audio, and a cipher or None for each")
        self._video = _TrackState(1, tracks[0], ciphers[0])
        self._audio = _TrackState(2, tracks[1], ciphers[1]) if len(tracks) == 2 else None
        self._audio_rate = tracks[-1].timescale
        self._sequence = 0

    def write(
        self, samples: Sequence[Sample], start_90k: int, until: int | None = None
    ) -> tuple[list[Buffer], FragmentInfo]:
        """Lay out and seal one fragment: buffers for one `writev`, and what the index keeps.

        `samples`: at least one of video, in decoding order, audio anywhere between. `start_90k`: wall time of the first
        video sample. `until`: pts (the run's) of the video sample that comes next, where it is known; else the last
        duration is repeated.

        Raises MediaError where timestamps lie so far apart (6 hours) that no fragment can hold them; the writer is
        then as it was before, and the caller ends the segment. ValueError where there is no video, or a sample's size
        is not that of its parts.
        """
        video = [sample for sample in samples if sample.track == 1]
        if not video:
            raise ValueError("a fragment has video")
        state = self._video
        if self._sequence == 0:
            state.base = min(sample.pts for sample in video)
            if self._audio is not None:
                self._audio.base = state.base * self._audio_rate // 90_000
        times = _video_times(state, video, until)
        audio: list[Sample] = []
        if self._audio is not None and len(video) != len(samples):
            audio = [sample for sample in samples if sample.track == 2]
            if audio:
                audio_times = _audio_times(self._audio, audio)

        self._sequence += 1
        state.advance(times)
        traf, body = _video_traf(state, video, times)
        trafs, bodies = [traf], [body]
        if self._audio is not None and audio:
            self._audio.advance(audio_times)
            traf, body = _audio_traf(self._audio, audio, audio_times)
            trafs.append(traf)
            bodies.append(body)
        head = self._head(trafs, bodies, ntp_of_90k(start_90k), times.dts[0])
        key = video[0].key
        info = FragmentInfo(
            len(head) + sum(map(len, bodies)), key, len(head) + video[0].size if key else 0, sum(times.durations)
        )
        return [head, *bodies], info

    def _head(self, trafs: list[_Traf], bodies: list[bytearray], ntp: int, tfdt: int) -> bytes:
        moof_size = 24 + sum(traf.size for traf in trafs)
        parts = [
            _PRFT.pack(32, b"prft", 0x0100_0018, 1, ntp, tfdt),
            _MOOF.pack(moof_size, b"moof", 16, b"mfhd", 0, self._sequence),
        ]
        at, data_at = 24, moof_size + 8
        for traf, body in zip(trafs, bodies, strict=True):
            parts += traf.boxes(at, data_at)
            at += traf.size
            data_at += len(body)
        parts.append(struct.pack(">I4s", 8 + sum(map(len, bodies)), b"mdat"))
        return b"".join(parts)


class _Times:
    """Decoding times from the segment's start, durations, and composition offsets where any is not 0."""

    __slots__ = ("dts", "durations", "offsets")

    def __init__(self, dts: list[int], durations: list[int], offsets: list[int] | None) -> None:
        self.dts = dts
        self.durations = durations
        self.offsets = offsets


class _Traf:
    """One track's part of a moof, all but the two offsets that depend on what else is in it."""

    __slots__ = ("_dts", "_number", "_records", "_table", "_trun_flags", "count", "size")

    def __init__(self, state: _TrackState, times: _Times, table: bytes, records: list[bytes] | None) -> None:
        self.count = len(times.dts)
        self._number = state.number
        self._dts = times.dts[0]
        self._table = table
        self._trun_flags = TRUN_FLAGS if times.offsets is None else TRUN_FLAGS | TRUN_OFFSETS | 0x0100_0000
        self._records = None
        self.size = 44 + 20 + len(table)
        if records is not None:
            self._records = _aux(records, subsamples=state.video)
            self.size += sum(map(len, self._records)) + 20

    def boxes(self, at: int, data_at: int) -> list[bytes]:
        """The boxes, given where in the moof they begin and where from its start the track's data lies."""
        parts = [
            _TRAF.pack(self.size, b"traf", 16, b"tfhd", 0x0002_0000, self._number, 20, b"tfdt", 0x0100_0000, self._dts),
            _TRUN.pack(20 + len(self._table), b"trun", self._trun_flags, self.count, data_at),
            self._table,
        ]
        if self._records is not None:
            parts += self._records
            # From the moof's start to the first record in senc.
            parts.append(_SAIO.pack(20, b"saio", 0, 1, at + 44 + 20 + len(self._table) + 16))
        return parts


def _aux(records: list[bytes], *, subsamples: bool) -> list[bytes]:
    """Build senc and saiz."""
    data = b"".join(records)
    sizes = bytes(map(len, records))
    count = len(records)
    senc = _SENC.pack(16 + len(data), b"senc", SENC_SUBSAMPLES if subsamples else 0, count)
    if sizes.count(sizes[0]) == count:
        return [senc, data, struct.pack(">I4sIBI", 17, b"saiz", 0, sizes[0], count)]
    return [senc, data, struct.pack(">I4sIBI", 17 + count, b"saiz", 0, 0, count), sizes]


def _video_traf(state: _TrackState, video: list[Sample], times: _Times) -> tuple[_Traf, bytearray]:
    sizes = [sample.size for sample in video]
    body = bytearray().join(chain.from_iterable([sample.parts for sample in video]))
    _check(sizes, body)
    columns = [times.durations, sizes, [SYNC if sample.key else NOT_SYNC for sample in video]]
    if times.offsets is not None:
        columns.append([offset & 0xFFFF_FFFF for offset in times.offsets])
    table = struct.pack(f">{len(columns) * len(video)}I", *chain.from_iterable(zip(*columns, strict=True)))
    records = None
    if state.cipher is not None and state.coding is not None:
        ranges, records = seal_plan(body, sizes, state.coding, state.cipher.begin())
        with memoryview(body) as view:
            state.cipher.apply(view, ranges)
    return _Traf(state, times, table, records), body


def _audio_traf(state: _TrackState, audio: list[Sample], times: _Times) -> tuple[_Traf, bytearray]:
    sizes = [sample.size for sample in audio]
    count = len(audio)
    table = struct.pack(
        f">{3 * count}I", *chain.from_iterable(zip(times.durations, sizes, repeat(SYNC, count), strict=True))
    )
    if state.cipher is None:
        body = bytearray().join(chain.from_iterable([sample.parts for sample in audio]))
        _check(sizes, body)
        return _Traf(state, times, table, None), body

    # Each sample begins at a whole block of the keystream: spread them so, encrypt all at once, and close the gaps.
    iv = state.cipher.begin()
    prefix, counter = iv[:8], int.from_bytes(iv[8:], "big")
    spread = bytearray().join([part for sample in audio for part in (*sample.parts, _PAD[-sample.size & 15])])
    at = 0
    places = []
    records = []
    for size in sizes:
        places.append((at, at + size))
        records.append(prefix + (counter + (at >> 4)).to_bytes(8, "big"))
        at += size + 15 & ~15
    _check([at], spread)
    with memoryview(spread) as view:
        state.cipher.apply(view, [(0, at)])
    body = bytearray().join([spread[start:end] for start, end in places])
    return _Traf(state, times, table, records), body


_PAD: Final = [bytes(size) for size in range(16)]


def _check(sizes: list[int], body: bytearray) -> None:
    if sum(sizes) != len(body):
        raise ValueError("a sample's size is not that of its parts")


def _video_times(state: _TrackState, video: list[Sample], until: int | None) -> _Times:
    """Decoding times: the presentation times, sorted (footage.md)."""
    base = state.base
    pts = [sample.pts - base for sample in video]
    dts = pts
    offsets = None
    if pts[0] < state.next_dts or not all(map(lt, pts, pts[1:])):
        dts = _rising(sorted(pts), state.next_dts)
        offsets = list(map(sub, pts, dts))
        if not any(offsets):
            offsets = None
    if dts[-1] - dts[0] > _SPAN_MAX or (offsets and max(map(abs, offsets)) > _SPAN_MAX):
        raise MediaError("The camera's timestamps jump by hours.", remedy="Connect to it anew.")
    durations = list(map(sub, dts[1:], dts))
    durations.append(_last_duration(state, dts, durations, None if until is None else until - base, offsets))
    return _Times(dts, durations, offsets)


def _last_duration(
    state: _TrackState, dts: list[int], durations: list[int], until: int | None, offsets: list[int] | None
) -> int:
    last = durations[-1] if durations else state.duration
    if until is None or not 0 < until - dts[-1] <= _SPAN_MAX:
        return last
    if offsets is not None:
        # What comes next in decoding order may be shown after others that follow it.
        return min(until - dts[-1], max([*durations, state.duration]))
    return until - dts[-1]


def _audio_times(state: _TrackState, audio: list[Sample]) -> _Times:
    base = state.base
    dts = _rising([sample.pts - base for sample in audio], state.next_dts)
    if dts[-1] - dts[0] > _SPAN_MAX:
        raise MediaError("The camera's timestamps jump by hours.", remedy="Connect to it anew.")
    durations = list(map(sub, dts[1:], dts))
    durations.append(durations[-1] if durations else state.duration)
    return _Times(dts, durations, None)


def _rising(times: list[int], lowest: int) -> list[int]:
    """The same times, moved later where they do not rise strictly from `lowest` on."""
    if times[0] >= lowest and all(map(lt, times, times[1:])):
        return times
    out = []
    for time in times:
        lowest = max(lowest, time)
        out.append(lowest)
        lowest += 1
    return out
