# SPDX-License-Identifier: Apache-2.0
"""One RTSP connection from its first byte to its last, without a socket.

Bytes in (`feed`), bytes out (`take_output`), the time as an argument, samples to a `PacketSink`. Everything happens in
the caller's thread. What goes wrong is raised as a CameraError; the caller then ends the run (`end`) and dials again.
"""

from __future__ import annotations

import struct

import msgspec

from closedcircuit.base.errors import CameraUnreachable, MediaError, StreamBroken, Unsupported
from closedcircuit.base.ids import Ids
from closedcircuit.base.secret import Secret
from closedcircuit.media.codecs import ParameterSets
from closedcircuit.media.rtsp.alignment import Alignment
from closedcircuit.media.rtsp.audio import AudioUnpacker, audio_unpacker
from closedcircuit.media.rtsp.handshake import Handshake, Phase, Setup
from closedcircuit.media.rtsp.messages import parse_message
from closedcircuit.media.rtsp.nalpackets import H264Unpacker, H265Unpacker
from closedcircuit.media.rtsp.rtcp import Reception, SenderInfo, parse_rtcp, receiver_report
from closedcircuit.media.rtsp.sdp import MediaLine, decoded_sets
from closedcircuit.media.rtsp.timeline import RateCheck, Timeline, Verdict
from closedcircuit.media.rtsp.video import VideoUnpacker
from closedcircuit.model import Cause, PacketSink, Sample, SenderReport, Track

SILENT_S = 10.0
"""Without a picture for so long, the stream is given up."""
SILENT_MAX_S = 60.0
"""The same for cameras that send a picture every few seconds on purpose."""
NO_KEY_S = 30.0
REPORT_S = 5.0
GARBAGE_MAX = 256 << 10
"""Bytes between packets that are neither packet nor message, before the stream is given up."""


class Counts(msgspec.Struct):
    """What a connection has done so far. Written by the session's thread only."""

    bytes_in: int = 0
    pictures: int = 0
    lost_packets: int = 0
    runs: int = 0
    last_picture_s: float = 0.0  # monotonic
    last_picture_90k: int = 0  # wall
    first_key_s: float = 0.0  # monotonic, of the first key frame
    interval_s: float = 0.0  # between the last two pictures, as they arrived, smoothed
    clock: SenderInfo | None = None  # the latest sender report of the video track
    clock_90k: int = 0  # our wall time then


class RtspSession:
    """The state of one connection. Owned by one thread."""

    def __init__(
        self, url: str, username: str, password: Secret, *, ids: Ids, sink: PacketSink, audio: bool = True
    ) -> None:
        self.counts = Counts()
        self.tracks: tuple[Track, ...] = ()  # of the run; empty while there is none
        self.note = ""  # what is odd about this stream and was put right, in words
        self.rate = 0.0  # of the video clock as measured, where it is not what the camera claims; -1: arrival tells
        self._sink, self._want_audio = sink, audio
        self._talk = Handshake(url, username, password, ids, self._choose)
        self._talk.on_ready = self._ready
        self._rest = b""
        self._garbage = 0
        self._now_s, self._now_90k = 0.0, 0
        self._playing_s = 0.0
        self._own_ssrc = int.from_bytes(ids.random(4), "big")
        self._next_report_s = 0.0
        self._video: VideoUnpacker | None = None
        self._video_channel = -1
        self._video_time = Timeline(90_000, 90_000)
        self._check = RateCheck(90_000)
        self._sound: AudioUnpacker | None = None
        self._sound_channel = -1
        self._sound_time = Timeline(8000, 8000)
        self._last_sound_pts = -1
        self._keys_without_sets = 0
        self._control: dict[int, int] = {}  # RTCP channel: track
        self._align = Alignment(self._video_time, self._sound_time)
        self._receptions: dict[int, Reception] = {}

    # ------------------------------------------------------------------------------------------------ driving

    @property
    def playing(self) -> bool:
        """Whether the camera has agreed to send."""
        return self._talk.phase is Phase.PLAYING

    @property
    def last_pts_90k(self) -> int:
        """Presentation time of the latest picture in the run."""
        return self._video_time.last_pts

    @property
    def other_host(self) -> bool:
        """Set where a redirect led here: Basic would show our password to somebody else."""
        return self._talk.other_host

    @other_host.setter
    def other_host(self, value: bool) -> None:
        self._talk.other_host = value

    @property
    def running(self) -> bool:
        """Whether a run has begun: its first key frame is here."""
        return bool(self.tracks)

    def begin(self, now_s: float) -> None:
        """The connection stands: say the first word."""
        self._talk.begin(now_s)

    def take_output(self) -> bytes:
        """Bytes to send, mostly none."""
        if not self._talk.out:
            return b""
        out = bytes(self._talk.out)
        self._talk.out.clear()
        return out

    def goodbye(self) -> bytes:
        """What to send before closing on purpose."""
        return self._talk.goodbye()

    def end(self, at_90k: int, cause: Cause, detail: str) -> None:
        """The connection is over: tell the sink."""
        self.tracks = ()
        self._rest = b""
        self._sink.ended(at_90k, cause, detail)

    def feed(self, view: memoryview, now_s: float, now_90k: int) -> None:
        """Take what was received. Raises CameraError where the connection is of no more use."""
        self._now_s, self._now_90k = now_s, now_90k
        self.counts.bytes_in += len(view)
        data = self._rest + view if self._rest else bytes(view)
        at, stop, video = 0, len(data), self._video_channel
        while stop - at >= 4:
            if data[at] != 0x24:
                following = self._message(data, at, stop)
                if following < 0:
                    break
                at, video = following, self._video_channel
                continue
            end = at + 4 + (data[at + 2] << 8 | data[at + 3])
            if end > stop:
                break
            channel = data[at + 1]
            if channel == video and self._video is not None:
                at = self._video.take(data, at, end, stop)
                continue
            if channel == self._sound_channel and self._sound is not None:
                self._sound.take(data, at + 4, end)
            elif channel in self._control:
                self._reports(self._control[channel], data[at + 4 : end])
            at = end
        self._rest = data[at:] if at < stop else b""

    def _message(self, data: bytes, at: int, stop: int) -> int:
        """Read a message that begins at `at`; where it ends, or -1: not all of it is here."""
        first = data[at]
        if self.playing and not 65 <= first <= 90:
            return self._resynchronise(data, at, stop)
        if first in (10, 13):  # stray line ends between messages
            return at + 1
        try:
            found = parse_message(data, at)
            if found is None:
                return -1
            message, end = found
            was = self._talk.phase
            self._talk.heard(message, self._now_s)
        except MediaError as error:
            if self.playing:
                return self._resynchronise(data, at, stop)
            raise StreamBroken(
                f"{error}", remedy="Check the port: cameras mostly use 554 for RTSP; 80 is its web page."
            ) from error
        if was is not Phase.PLAYING and self.playing:
            self._playing_s = self._now_s
            self._align.told([setup.rtptime for setup in self._talk.setups])
        return end

    def _resynchronise(self, data: bytes, at: int, stop: int) -> int:
        """Lost between packets: go on at the next thing that looks like one of ours."""
        begin = at
        at += 1
        while (at := data.find(b"$", at)) >= 0:
            if at + 5 > stop or (data[at + 1] in self._channels and (data[at + 4] & 0xC0) == 0x80):
                break
            at += 1
        end = stop if at < 0 else at
        self._garbage += end - begin
        if self._garbage > GARBAGE_MAX:
            raise StreamBroken("what the camera sends is no RTSP any more", remedy="Restart the camera.")
        self._lost(0, "bytes that belong to no packet")
        return end

    @property
    def _channels(self) -> set[int]:
        return {self._video_channel, self._sound_channel, *self._control}

    def poll(self, now_s: float, now_90k: int) -> None:
        """Deadlines, keep-alives and reports; call it about once a second. Raises CameraError."""
        self._now_s, self._now_90k = now_s, now_90k
        self._talk.poll(now_s)
        if not self.playing:
            return
        silent_s = now_s - (self.counts.last_picture_s or self._playing_s)
        patience_s = min(SILENT_MAX_S, max(SILENT_S, 4 * self.counts.interval_s))
        if not self.running:
            self._check_start(now_s - self._playing_s)
        for jump_s in self._video_time.jumps:
            self._lost(0, f"the camera's clock jumped by {jump_s:.1f} s")
        self._video_time.jumps = []
        if silent_s > patience_s:
            raise CameraUnreachable(
                f"no picture for {silent_s:.0f} s", remedy="Is the camera still on, and the network whole?"
            )
        if now_s >= self._next_report_s:
            self._next_report_s = now_s + REPORT_S
            self._send_reports(now_s)

    def _check_start(self, waited_s: float) -> None:
        """Say why there is no run yet, once it should have begun."""
        if self._keys_without_sets and waited_s > SILENT_S:
            raise StreamBroken(
                "the camera never says how its pictures are coded (no SPS)",
                remedy="Restart the camera; update its firmware.",
            )
        if self.counts.pictures and waited_s > NO_KEY_S:
            raise StreamBroken(
                f"no key frame in {NO_KEY_S:.0f} s", remedy="Shorten the key frame interval (GOP) in the camera."
            )
        if not self.counts.pictures and waited_s > SILENT_S and self._video is not None and self._video.received:
            raise StreamBroken("packets come, but no whole picture among them", remedy="Is the network losing packets?")

    # ------------------------------------------------------------------------------------------------ setting up

    def _choose(self, media: tuple[MediaLine, ...]) -> list[MediaLine]:
        """The streams to take: the first picture that we can record, the first sound that we can."""
        pictures = [line for line in media if line.kind == "video"]
        chosen = [line for line in pictures if line.encoding in ("H264", "H265", "HEVC")][:1]
        if not chosen:
            offered = ", ".join(sorted({line.encoding or "?" for line in pictures})) or "none"
            raise StreamBroken(
                f"there is no video in it that can be recorded (it offers: {offered})",
                remedy="Choose H.264 or H.265 for this stream in the camera.",
            )
        if chosen[0].fmtp.get("sprop-max-don-diff", "0").strip("0"):
            raise StreamBroken("the camera sends H.265 interleaved", remedy="Choose another profile in the camera.")
        for line in media:
            if line.kind == "audio" and self._want_audio:
                try:
                    self._sound = audio_unpacker(line, self._heard_sound, self._lost)
                except (MediaError, Unsupported) as error:
                    self.note = f"without sound: {error}"
                    continue
                chosen.append(line)
                break
        return chosen

    def _ready(self, setup: Setup) -> None:
        """A stream's channels are known."""
        line = setup.line
        if line.kind == "audio" and self._sound is not None:
            self._sound_channel = setup.channel
            self._sound_time.rate = self._sound_time.timescale = self._sound.track.timescale
            self._control[setup.control_channel] = 2
            return
        codec, unpacker = ("h264", H264Unpacker) if line.encoding == "H264" else ("h265", H265Unpacker)
        keys = ("sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps")
        known = [nal for key in keys for nal in decoded_sets(line.fmtp.get(key, ""))]
        self._video = unpacker(line.payload_type, ParameterSets(codec, known), self._picture, self._lost)
        self._video_channel = setup.channel
        claimed = float(line.clock_rate)
        self._check = RateCheck(claimed)
        self._video_time.rate = claimed
        if self.rate > 0:  # learnt on an earlier connection: believed, and watched like a claim
            self._check = RateCheck(self.rate)
            self._video_time.rate = self.rate
            self.note = f"its timestamps count {self.rate:g} a second, not {claimed:g} as it says: corrected"
        elif self.rate:
            self._check.done = True
            self._video_time.rate = 0.0
            self.note = "its timestamps do not tell the time: arrival does"
        self._control[setup.control_channel] = 1

    # ------------------------------------------------------------------------------------------------ samples

    def _picture(self, ts: int, key: bool, size: int, parts: list[bytes | memoryview]) -> None:
        now_s, counts = self._now_s, self.counts
        if not self._check.done and (verdict := self._check.watch(ts, now_s)) is not None:
            self._reclock(verdict)
        pts = self._video_time.pts(ts, now_s)
        counts.pictures += 1
        if counts.last_picture_s:
            counts.interval_s += 0.1 * (now_s - counts.last_picture_s - counts.interval_s)
        counts.last_picture_s, counts.last_picture_90k = now_s, self._now_90k
        if key:
            self._at_key()
            pts = self._video_time.last_pts  # the run may have begun with this one: its zero
        if not self.tracks:
            return  # a run begins with a key frame whose parameter sets are known
        self._sink.sample(Sample(1, pts, key, size, parts, self._now_90k))

    def _at_key(self) -> None:
        """Before a key frame: begin the run, or say that the coding changed."""
        video = self._video
        if video is None or (self.tracks and not video.sets_changed):
            return
        video.sets_changed = False
        track = video.sets.track()
        if track is None:
            self._keys_without_sets += 1
            return
        if not self.tracks:
            self._video_time.place(0)
            self.tracks = (track,) if self._sound_channel < 0 or self._sound is None else (track, self._sound.track)
            self.counts.runs += 1
            self.counts.first_key_s = self.counts.first_key_s or self._now_s
            self._align.reset()
            self._last_sound_pts = -1
            self._sink.started(self.tracks, self._now_90k)
        elif track != self.tracks[0]:
            self.tracks = (track, *self.tracks[1:])
            self._sink.changed(self.tracks)

    def _reclock(self, verdict: Verdict) -> None:
        """The camera's clock is not what it claims: end the run, whose times are wrong, and go on with the next key."""
        self.note = verdict.words
        self.rate = verdict.rate or -1.0
        self._video_time.rate = verdict.rate
        if self.tracks:
            self.tracks = ()
            self._sink.ended(self._now_90k, Cause.BROKEN, verdict.words)

    def _heard_sound(self, ts: int, frame: bytes) -> None:
        if len(self.tracks) < 2:
            return
        pts = self._sound_time.pts(ts, self._now_s)
        if not self._align.done:
            pts = self._align.place(self._now_s - self.counts.last_picture_s)
        if pts < 0 or pts <= self._last_sound_pts:
            return  # before the run, or overlapping after a correction
        self._last_sound_pts = pts
        self._sink.sample(Sample(2, pts, True, len(frame), [frame], self._now_90k))

    def _lost(self, count: int, words: str) -> None:
        self.counts.lost_packets += count
        if self.tracks:
            self._sink.lost(self._now_90k, words)

    # ------------------------------------------------------------------------------------------------ RTCP

    def _reports(self, track: int, data: bytes) -> None:
        reports, bye = parse_rtcp(data)
        unpacker, time = (self._video, self._video_time) if track == 1 else (self._sound, self._sound_time)
        for info in reports:
            if unpacker is None or unpacker.ssrc not in (-1, info.ssrc):
                continue
            reception = self._receptions.setdefault(track, Reception(info.ssrc))
            reception.ssrc, reception.sender_middle, reception.sender_at_s = info.ssrc, info.ntp_middle, self._now_s
            self._align.heard(track, info)
            if track == 1:
                self.counts.clock, self.counts.clock_90k = info, self._now_90k
            pts = time.at(info.rtp)
            if self.tracks and pts is not None and track <= len(self.tracks):
                self._sink.sender_report(SenderReport(track, info.ntp_90k, pts, self._now_90k))
        if bye and track == 1:
            raise StreamBroken("the camera ended the stream", remedy="")

    def _send_reports(self, now_s: float) -> None:
        for channel, track in self._control.items():
            unpacker = self._video if track == 1 else self._sound
            if unpacker is None or not unpacker.received:
                continue
            reception = self._receptions.setdefault(track, Reception(unpacker.ssrc))
            reception.ssrc, reception.highest = unpacker.ssrc, unpacker.highest
            reception.lost, reception.received = unpacker.lost, unpacker.received
            report = receiver_report(self._own_ssrc, reception, now_s)
            self._talk.out += struct.pack(">BBH", 0x24, channel & 255, len(report)) + report
