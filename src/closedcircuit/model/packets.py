# SPDX-License-Identifier: Apache-2.0
"""What comes out of a camera, on its way to the disk, to viewers and to analysis."""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec

from closedcircuit.model.footage import Cause


class TrackKind(enum.StrEnum):
    """Video is always track 1 of a run; audio, where there is any, track 2."""

    VIDEO = "video"
    AUDIO = "audio"


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """How one elementary stream of a run is coded. Equal tracks can share a segment; unequal ones start a new one."""

    kind: TrackKind
    codec: str  # "h264" "h265" "aac" "opus" "flac"; as received also "pcmu" "pcma"
    codec_string: str  # RFC 6381, for browsers: "avc1.640028", "hvc1.1.6.L93.B0", "mp4a.40.2", "opus", "flac"
    timescale: int  # units of Sample.pts a second; 90000 for video, the sampling rate for audio
    config: bytes  # body of avcC, hvcC, dOps, dfLa; AudioSpecificConfig for aac; empty for pcmu and pcma
    width: int = 0  # pixels as decoded, after cropping; 0 for audio
    height: int = 0
    channels: int = 0  # audio


class Sample(msgspec.Struct):
    """One access unit (video, in decoding order) or one audio frame. Not frozen only because it is made 25 times a
    second a camera; nobody changes one.

    Video is length-prefixed NAL units (4 bytes each, ISO/IEC 14496-15), parameter sets included where the camera
    sends them in band; `parts` joined is the sample, kept apart so that the bytes are copied once, into the fragment.
    """

    track: int  # 1 video, 2 audio
    pts: int  # presentation time in the track's timescale since the run's zero; decoding order need not be pts order
    key: bool  # a decoder can start here (IDR, or an HEVC IRAP picture); always true for audio
    size: int  # bytes, sum of parts
    parts: list[bytes | memoryview]
    arrived_90k: int  # wall time at which the sweep read its last byte


class SenderReport(msgspec.Struct, frozen=True):
    """The camera's own idea of the time (RTCP SR, RFC 3550, 6.4.1)."""

    track: int
    camera_90k: int  # the NTP time it named, as wall time
    pts: int  # the media time it named, in the track's timescale since the run's zero
    arrived_90k: int  # our wall time then


class PacketSink(Protocol):
    """Who takes what a source receives. One source calls its sink from one thread, in this order:
    `started`, any number of `sample`/`changed`/`sender_report`, `ended`; then perhaps `started` again.

    Nothing here may block for longer than a few milliseconds or raise: the same thread serves hundreds of cameras.
    """

    def started(self, tracks: tuple[Track, ...], at_90k: int) -> None:
        """A run begins; `tracks[0]` is video."""

    def sample(self, sample: Sample) -> None:
        """The next sample of a track. The sink owns `sample.parts` from here on."""

    def changed(self, tracks: tuple[Track, ...]) -> None:
        """The coding changes with the next sample (new SPS in mid-stream, say); the run's zero stays."""

    def sender_report(self, report: SenderReport) -> None:
        """The camera told its time."""

    def lost(self, at_90k: int, detail: str) -> None:
        """Packets are missing inside the run; samples go on with the next complete one. For counters and honesty."""

    def ended(self, at_90k: int, cause: Cause, detail: str) -> None:
        """The run is over, and why, in words. Called as well when an attempt to start one fails."""


class SampleCipher(Protocol):
    """Encrypts the samples of one track of one segment (ISO/IEC 23001-7, scheme `cenc`, 16-byte IV).

    One instance a track and segment: block counters run on over samples and fragments and are never used twice.
    Calling it again on ciphertext with a fresh instance of the same start opens it (CTR).
    """

    kid: bytes

    def begin(self) -> bytes:
        """Return the IV of the next sample: 16 bytes."""

    def apply(self, buffer: memoryview, ranges: list[tuple[int, int]]) -> None:
        """Encrypt in place the (offset, length) ranges that make up the sample's protected bytes, as one run of
        keystream; the counter then moves up to the next whole block. Samples whose protected bytes are whole blocks
        (all but the last of them) may come in one call: their IVs are counted on from `begin`.
        """
