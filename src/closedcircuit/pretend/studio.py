# SPDX-License-Identifier: Apache-2.0
"""One drawn camera at work: a thread that draws, codes and publishes while somebody watches, and sleeps otherwise."""

from __future__ import annotations

import threading
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.base import Clock, Ids
from closedcircuit.media.encode import AudioEncoder, Picture, VideoCoding, VideoEncoder
from closedcircuit.pretend.rtp import RtpStream, audio_payload, video_payloads
from closedcircuit.pretend.rtsp import TrackSdp, audio_sdp, video_sdp
from closedcircuit.pretend.server import Feed, RtspServer

REPORT_EVERY_S = 5.0


class Artist(Protocol):
    """Draws one camera's pictures. Called from one thread."""

    def prepare(self) -> None:
        """Do what takes long (up to half a second), before the first picture."""

    def close(self) -> None:
        """End what goes on in the background."""

    def draw(self, frame: int, now_90k: int) -> Picture:
        """The picture of this moment, burnt-in clock and strip included."""

    def smaller(self, picture: Picture, width: int, height: int) -> Picture:
        """The same for the substream, its strip drawn anew."""


class Sound(Protocol):
    """Makes one camera's sound. Called from one thread."""

    def samples(self, start: int, count: int) -> NDArray[np.int16]:
        """`count` mono samples from number `start` on."""


class AudioCoding(msgspec.Struct, frozen=True):
    """How a camera's sound is coded."""

    codec: str  # "aac", "opus", "pcmu"
    rate: int
    kbps: int = 32


class Output:
    """One feed of a studio: its encoder and its RTP stream. Made when first described."""

    def __init__(self, feed: Feed, coding: VideoCoding, audio: AudioCoding | None, ids: Ids) -> None:
        self.feed, self.coding, self.audio = feed, coding, audio
        ssrc, audio_ssrc = (int.from_bytes(ids.random(4), "big") for _ in range(2))
        self.video_rtp = RtpStream(coding.codec, payload_type=96, rate=90_000, ssrc=ssrc, channel=0)
        self.audio_rtp: RtpStream | None = None
        if audio is not None:
            kind = {"pcmu": 0, "aac": 97, "opus": 98}[audio.codec]
            self.audio_rtp = RtpStream(audio.codec, payload_type=kind, rate=audio.rate, ssrc=audio_ssrc, channel=2)
        self._lock = threading.Lock()  # guards the making of the encoders: the network thread may describe first
        self._video: VideoEncoder | None = None
        self._sound: AudioEncoder | None = None
        self.restart = True  # studio thread: nobody watched, so the next picture is a key frame
        self.reported_s = 0.0  # studio thread
        feed.tracks = self.sdp

    @property
    def video(self) -> VideoEncoder:
        """The encoder; the first caller waits while it is made."""
        with self._lock:
            if self._video is None:
                self._video = VideoEncoder(self.coding)
            return self._video

    @property
    def sound(self) -> AudioEncoder | None:
        """The audio encoder; None for G.711 and where there is no sound."""
        with self._lock:
            if self._sound is None and self.audio is not None and self.audio.codec != "pcmu":
                self._sound = AudioEncoder(self.audio.codec, self.audio.rate, self.audio.kbps)
            return self._sound

    def sdp(self) -> tuple[TrackSdp, ...]:
        """What DESCRIBE tells."""
        fps = 90_000 / self.coding.interval_90k
        tracks = [video_sdp(self.coding.codec, self.video.parameter_sets, payload_type=96, fps=fps)]
        if self.audio is not None:
            sound = self.sound
            tracks.append(audio_sdp(self.audio.codec, self.audio.rate, sound.config if sound else b""))
        return tuple(tracks)


class Studio:
    """Draws one camera for its main and sub feeds. `start` and `close` from any thread."""

    def __init__(
        self, server: RtspServer, clock: Clock, artist: Artist, outputs: list[Output], sound: Sound | None = None
    ) -> None:
        self._server, self._clock, self._artist, self._outputs = server, clock, artist, outputs
        self._sound = sound
        self._wanted = threading.Condition()
        self._stopping = False  # guarded by _wanted
        self._interval_s = outputs[0].coding.interval_90k / 90_000
        self._began_s = clock.monotonic_s()
        self._heard = 0  # audio samples made
        self._thread = threading.Thread(target=self._run, name=f"studio-{outputs[0].feed.name}", daemon=True)
        for output in outputs:
            output.feed.on_watch = self._nudge

    def start(self) -> None:
        """Begin: prepare at once, then wait for somebody to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop and wait for the thread."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def is_alive(self) -> bool:
        """False once its thread has ended, as told or by a fault."""
        return self._thread.is_alive()

    def _nudge(self) -> None:
        with self._wanted:
            self._wanted.notify()

    def _rest(self, seconds: float) -> bool:
        """Wait, at most `seconds`; False once it is time to stop."""
        with self._wanted:
            if not self._stopping and seconds > 0:
                self._wanted.wait(seconds)
            return not self._stopping

    def _run(self) -> None:
        self._artist.prepare()
        try:
            self._work()
        finally:
            self._artist.close()

    def _work(self) -> None:
        last = -1
        while self._rest(0.0):
            watched = [output for output in self._outputs if output.feed.watchers]
            for output in self._outputs:
                output.restart |= output not in watched
            if not watched:
                self._rest(0.5)
                continue
            elapsed_s = self._clock.monotonic_s() - self._began_s
            frame = int(elapsed_s / self._interval_s)
            if frame <= last:
                self._rest((last + 1) * self._interval_s - elapsed_s)
                continue
            self._make(frame, watched)
            last = frame

    def _make(self, frame: int, watched: list[Output]) -> None:
        now_90k = self._clock.now_90k()
        picture = self._artist.draw(frame, now_90k)
        pts = frame * self._outputs[0].coding.interval_90k
        for output in watched:
            coding = output.coding
            shown = picture
            if (coding.width, coding.height) != (picture.y.shape[1], picture.y.shape[0]):
                shown = self._artist.smaller(picture, coding.width, coding.height)
            key = output.restart or output.feed.wants_key.is_set()
            if key:
                output.feed.wants_key.clear()
                output.restart = False
            is_key, nals = output.video.encode(shown, pts, key=key)
            burst = output.video_rtp.burst(video_payloads(coding.codec, nals), pts, key=is_key)
            self._server.publish(output.feed, burst)
            self._report(output, now_90k, pts)
            if output.audio is not None and self._sound is not None:
                self._speak(output, output.audio, self._sound)

    def _report(self, output: Output, now_90k: int, pts: int) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - output.reported_s < REPORT_EVERY_S:
            return
        output.reported_s = now_s
        self._server.publish(output.feed, output.video_rtp.sender_report(now_90k, pts))
        if output.audio_rtp is not None:
            at = pts * output.audio_rtp.rate // 90_000
            self._server.publish(output.feed, output.audio_rtp.sender_report(now_90k, at))

    def _speak(self, output: Output, audio: AudioCoding, sound: Sound) -> None:
        """Make the sound up to now and send it; after a pause nobody heard, leave that out."""
        size = output.sound.frame_size if output.sound else audio.rate // 50
        due = int((self._clock.monotonic_s() - self._began_s) * audio.rate)
        if due - self._heard > audio.rate:
            self._heard = (due - audio.rate // 4) // size * size
        while self._heard + size <= due:
            samples = sound.samples(self._heard, size)
            if output.sound is None:
                coded = [(self._heard, mu_law(samples))]
            else:
                coded = output.sound.encode(samples, self._heard)
            self._heard += size
            for at, data in coded:
                assert output.audio_rtp is not None  # noqa: S101 - for the type checker: made together with `audio`
                self._server.publish(output.feed, output.audio_rtp.burst([audio_payload(audio.codec, data)], at))


def mu_law(samples: NDArray[np.int16]) -> bytes:
    """G.711 mu-law of 16-bit samples (ITU-T G.711, table 2a)."""
    wide = samples.astype(np.int32)
    magnitude = np.minimum(np.abs(wide), 32_635) + 132
    exponent = np.frexp(magnitude.astype(np.float32))[1].astype(np.int32) - 8
    mantissa = magnitude >> exponent + 3 & 15
    coded: NDArray[np.int32] = ~(np.where(wide < 0, 0x80, 0) | exponent << 4 | mantissa) & 0xFF
    return coded.astype(np.uint8).tobytes()
