# SPDX-License-Identifier: Apache-2.0
"""A source that FFmpeg pulls: UDP, RTMP, HTTP (MJPEG too), HLS, SRT, USB, a file played as a camera.

FFmpeg blocks, so each source has a thread. It hands pieces over through a queue of at most `QUEUE_BYTES` and
`QUEUE_PIECES` (overflow rule: drop up to the next key frame, and count); `drain`, called from the receiver's sweep,
gives them to the sink. So a sink is called by the same one thread whatever the source.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging

from closedcircuit.base.clock import Clock
from closedcircuit.base.errors import CameraRefused, CameraUnreachable, CircuitError, MediaError, StreamBroken
from closedcircuit.media.ffmpeg.convert import TICKS, AudioConverter, Piece, VideoConverter, audio_converter, ticks
from closedcircuit.media.ffmpeg.relay import RELAYED, Relay
from closedcircuit.media.rtsp import Counts
from closedcircuit.model import Cause, PacketSink, Sample, Track

OPEN_S = 10.0
READ_S = 10.0
QUEUE_BYTES = 16 << 20
QUEUE_PIECES = 2048
JUMP_90K = 10 * TICKS
NO_KEY_S = 30.0
SILENT_S = 10.0

av.logging.set_level(av.logging.PANIC)


class FfmpegPull:
    """One attempt: from opening the source to its end. A new one is made for each attempt.

    Ownership: `_queue`, `_queued`, `_dropped`, `_kill` are shared, under `_lock`; `_stop` is set by the receiver's
    thread; counts, tracks and times are the receiver thread's; `_Reader` is the reader thread's.
    """

    def __init__(self, address: str, options: dict[str, str], *, sink: PacketSink, clock: Clock, audio: bool) -> None:
        self.counts = Counts()
        self.note = ""
        self.tracks: tuple[Track, ...] = ()
        self.last_pts_90k = 0
        self.silent_s = SILENT_S
        self._sink, self._clock = sink, clock
        self._lock = threading.Lock()
        self._queue: deque[Piece | tuple[Track, ...] | CircuitError | str] = deque()
        self._queued = self._dropped = 0
        self._stop = threading.Event()
        self._kill: Callable[[], None] | None = None
        self._zero = 0
        self._last_sound_pts = -1
        self._began_s = clock.monotonic_s()
        self._known: tuple[Track, ...] = ()
        reader = _Reader(self, address, dict(options), audio=audio)
        threading.Thread(target=reader.run, name="ffmpeg-source", daemon=True).start()

    # ------------------------------------------------------------------------------------------------ receiver's thread

    def drain(self, now_s: float) -> None:
        """Give to the sink what has come. Raises CameraError when the source has ended or is silent."""
        with self._lock:
            if not self._queue and not self._dropped:
                items: list[Piece | tuple[Track, ...] | CircuitError | str] = []
            else:
                items = list(self._queue)
                self._queue.clear()
                self._queued = 0
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self.counts.lost_packets += dropped
            if self.tracks:
                self._sink.lost(self._clock.now_90k(), f"{dropped} samples were dropped: we could not keep up")
        for item in items:
            if isinstance(item, Piece):
                self._take(item)
            elif isinstance(item, tuple):
                self._known = item
            elif isinstance(item, str):
                if item.startswith("note:"):
                    self.note = item.removeprefix("note:")
                elif self.tracks:
                    self.tracks = ()
                    self._sink.ended(self._clock.now_90k(), Cause.BROKEN, item)
            else:
                raise item
        silent_s = now_s - (self.counts.last_picture_s or self._began_s + OPEN_S)
        if silent_s > max(self.silent_s, 4 * self.counts.interval_s):
            raise CameraUnreachable(f"no picture for {silent_s:.0f} s", remedy="Is the source still there?")
        if not self.tracks and now_s - self._began_s > OPEN_S + NO_KEY_S:
            raise StreamBroken(f"no key frame in {NO_KEY_S:.0f} s", remedy="Shorten the key frame interval (GOP).")

    def _take(self, piece: Piece) -> None:
        counts = self.counts
        size = sum(map(len, piece.data))
        counts.bytes_in += size
        if piece.track == 1:
            counts.pictures += 1
            if counts.last_picture_s:
                counts.interval_s += 0.1 * (piece.arrived_s - counts.last_picture_s - counts.interval_s)
            counts.last_picture_s, counts.last_picture_90k = piece.arrived_s, piece.arrived_90k
            if piece.key:
                self._at_key(piece)
        if not self.tracks or piece.track > len(self.tracks):
            return
        pts = piece.at - self._zero
        if piece.track == 2:
            pts = round(pts * self.tracks[1].timescale / TICKS)
            if pts < 0 or pts <= self._last_sound_pts:
                return
            self._last_sound_pts = pts
        else:
            self.last_pts_90k = pts
        parts: list[bytes | memoryview] = [*piece.data]
        self._sink.sample(Sample(piece.track, pts, piece.key, size, parts, piece.arrived_90k))

    def _at_key(self, piece: Piece) -> None:
        if not self._known:
            return
        if not self.tracks:
            self._zero, self._last_sound_pts = piece.at, -1
            self.tracks = self._known
            self.counts.runs += 1
            self.counts.first_key_s = self.counts.first_key_s or piece.arrived_s
            self._sink.started(self.tracks, piece.arrived_90k)
        elif self._known != self.tracks:
            self.tracks = self._known
            self._sink.changed(self.tracks)

    def close(self) -> None:
        """Tell the reader to stop; it does within `READ_S`. Nothing it still reads reaches the sink."""
        self._stop.set()
        with self._lock:
            self._queue.clear()
            self._queued = 0
            if self._kill is not None:
                self._kill()

    # ------------------------------------------------------------------------------------------------ reader's thread

    def offer(self, item: Piece | tuple[Track, ...] | CircuitError | str) -> bool:
        """Put something into the queue; False where there is no room for a piece, which is counted."""
        size = sum(map(len, item.data)) if isinstance(item, Piece) else 0
        with self._lock:
            full = self._queued + size > QUEUE_BYTES or len(self._queue) >= QUEUE_PIECES
            if self._stop.is_set() or (full and isinstance(item, Piece)):
                self._dropped += 1
                return False
            self._queue.append(item)
            self._queued += size
        return True

    def skipped(self) -> None:
        """A piece was not offered, because one before it that it needs was dropped."""
        with self._lock:
            self._dropped += 1

    @property
    def stopped(self) -> bool:
        """Whether the reader should end."""
        return self._stop.is_set()

    def ends_with(self, kill: Callable[[], None]) -> None:
        """Call `kill` when `close` is called; at once if it was."""
        with self._lock:
            self._kill = kill
            if self._stop.is_set():
                kill()

    def pause(self, seconds: float) -> None:
        """Wait, but not past `close`."""
        self._stop.wait(seconds)

    def now(self) -> tuple[int, float]:
        """Wall and monotonic time."""
        return self._clock.now_90k(), self._clock.monotonic_s()


class _Reader:
    """The thread's side. Everything in it belongs to that thread."""

    def __init__(self, pull: FfmpegPull, address: str, options: dict[str, str], *, audio: bool) -> None:
        self._pull, self._audio = pull, audio
        self._format = options.pop("format", None) or ("v4l2" if address.startswith("/dev/video") else None)
        self._address = address.removeprefix("file://")
        self._options = options
        self._is_file = "://" not in self._address and self._format is None and Path(self._address).is_file()
        self._dropping = False
        self._told: tuple[Track, ...] = ()
        self._last_at: int | None = None
        self._offset = 0  # of a file that is played again and again
        self._file_began: tuple[float, int] | None = None

    def run(self) -> None:
        """Open, read to the end, and say how it ended."""
        try:
            while not self._pull.stopped:
                self._read_once()
                if not self._is_file:
                    raise CameraUnreachable("the stream ended", remedy="Is the source still there?")  # noqa: TRY301 - the one place that tells
                self._offset = (self._last_at or 0) + TICKS // 25
        except CircuitError as error:
            self._pull.offer(error)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._pull.offer(_translated(error))
        except Exception as error:  # noqa: BLE001 - the thread's edge: whatever it is ends this attempt, not the recorder
            self._pull.offer(StreamBroken(f"FFmpeg cannot read this: {type(error).__name__}"))

    def _read_once(self) -> None:
        try:
            container: Any = av.open(
                self._address, mode="r", format=self._format, options=self._options, timeout=(OPEN_S, READ_S)
            )
        except av.error.ProtocolNotFoundError:
            if self._address.partition("://")[0] not in RELAYED:
                raise
            relay = Relay(self._address, self._options)
            self._pull.ends_with(relay.kill)
            try:
                self._read(av.open(relay.stream, mode="r", format="mpegts"))
            finally:
                relay.close()
        else:
            self._read(container)

    def _read(self, container: Any) -> None:
        with container:
            if not container.streams.video:
                raise StreamBroken("there is no video in it", remedy="Check the address.")
            picture = container.streams.video[0]
            convert = VideoConverter(picture)
            sound, note = None, ""
            if self._audio and container.streams.audio:
                sound, note = audio_converter(container.streams.audio[0])
            if convert.note or note:
                self._pull.offer("note:" + "; ".join(filter(None, (convert.note, note))))
            wanted = [picture, container.streams.audio[0]] if sound is not None else [picture]
            start = container.start_time
            began = round(start * TICKS / 1_000_000) if start is not None and self._is_file else 0
            for packet in container.demux(wanted):
                if self._pull.stopped:
                    return
                if packet.size:
                    self._one(packet, convert, sound, began)

    def _one(self, packet: Any, convert: VideoConverter, sound: AudioConverter | None, began: int) -> None:
        is_picture = packet.stream.type == "video"
        now_90k, now_s = self._pull.now()
        base = packet.time_base
        if self._is_file and is_picture:
            self._pace(packet, base)
            now_90k, now_s = self._pull.now()
        source = convert if is_picture else sound
        if source is None:
            return
        try:
            for piece in source.pieces(packet, base, now_90k):
                piece.at += self._offset - began
                piece.arrived_90k, piece.arrived_s = now_90k, now_s
                self._hand_over(piece, convert, sound)
        except MediaError:
            return  # one damaged packet; the decoder will cope, and silence is noticed
        except av.error.InvalidDataError:
            return

    def _hand_over(self, piece: Piece, convert: VideoConverter, sound: AudioConverter | None) -> None:
        if piece.track == 1:
            if self._last_at is not None and abs(piece.at - self._last_at) > JUMP_90K:
                self._pull.offer("its timestamps jumped")
            self._last_at = piece.at if self._last_at is None or not self._is_file else max(self._last_at, piece.at)
            if piece.key and (track := convert.track()) is not None:
                tracks = (track,) if sound is None else (track, sound.track)
                if tracks != self._told:
                    self._told = tracks
                    self._pull.offer(tracks)
        if self._dropping and not (piece.track == 1 and piece.key):
            self._pull.skipped()
            return
        self._dropping = not self._pull.offer(piece)

    def _pace(self, packet: Any, base: Any) -> None:
        """A file is read as fast as a camera would send it."""
        if packet.dts is None:
            return
        at = ticks(packet.dts, base)
        _, now_s = self._pull.now()
        if self._file_began is None or at < self._file_began[1]:
            self._file_began = now_s, at
        due_s = self._file_began[0] + (at - self._file_began[1]) / TICKS
        if due_s > now_s:
            self._pull.pause(min(due_s - now_s, 5.0))


def _translated(error: Exception) -> CircuitError:
    """FFmpeg's error as ours, with something to do about it."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError | PermissionError):
        return CameraRefused("wrong user name or password, or not allowed", remedy="Check both.")
    if isinstance(error, av.error.HTTPNotFoundError | FileNotFoundError):
        return CameraRefused(f"there is nothing at that address ({words})", remedy="Check the address.")
    if isinstance(error, av.error.ProtocolNotFoundError | av.error.OptionNotFoundError):
        return CameraRefused(f"an address or option that FFmpeg does not know ({words})", remedy="Check the address.")
    if isinstance(error, av.error.InvalidDataError):
        return StreamBroken("what comes is no video that FFmpeg knows", remedy="Check the address.")
    if isinstance(error, av.error.EOFError):
        return CameraUnreachable("the stream ended", remedy="Is the source still there?")
    if isinstance(error, TimeoutError | av.error.ExitError | ConnectionError):
        return CameraUnreachable(f"no answer ({words})", remedy="Is the source on, and the address right?")
    return CameraUnreachable(f"FFmpeg cannot open it: {words}", remedy="Check the address.")
