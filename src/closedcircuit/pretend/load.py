# SPDX-License-Identifier: Apache-2.0
"""Hundreds of cameras from one clip, at next to no cost: `python -m closedcircuit.pretend.load --cameras 200 --make`.

The clip is packetised once. Cameras belong to phase groups, whose members get identical bytes: per picture and group
the sequence numbers and timestamps are patched, and per camera there is one `send` (burst) or one a packet (paced).
Paths are `cam0`, `cam1` and so on. Prints a line of JSON when it serves, and another with its CPU time when it ends.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import struct
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from closedcircuit.base import Clock, Ids, SystemClock, SystemIds
from closedcircuit.media.encode import Clip, VideoCoding, make_clip
from closedcircuit.pretend.outages import OutageHabit, Outages, Presence
from closedcircuit.pretend.rtp import Burst, RtpStream, audio_payload, video_payloads
from closedcircuit.pretend.rtsp import audio_sdp, video_sdp
from closedcircuit.pretend.server import Feed, RtspServer

PHASES = 25
REPORT_EVERY_S = 5.0


class _Group:
    """Cameras that are at the same picture; network thread."""

    def __init__(self, feeds: list[Feed], rtp: RtpStream, audio: RtpStream, index: int) -> None:
        self.feeds, self.rtp, self.audio = feeds, rtp, audio
        self.index = index  # of the next picture in the clip
        self.played = 0  # pictures so far
        self.heard = 0  # audio frames so far
        self.reported_s = 0.0
        self.begun_s = 0.0


class LoadServer:
    """The simulator in this process. `start` and `close` from any thread."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        clip: Clip,
        cameras: int,
        *,
        port: int = 0,
        paced: bool = False,
        outages: OutageHabit | None = None,
    ) -> None:
        self._clock, self._clip, self._paced = clock, clip, paced
        self._interval_s = clip.interval_90k / 90_000
        self._began_s = clock.monotonic_s()
        feeds = [self._feed(number, outages) for number in range(cameras)]
        self._server = RtspServer(clock, ids, feeds, port=port)
        self.port = self._server.port
        stock = RtpStream(clip.codec, payload_type=96, rate=90_000, ssrc=0x11223344, channel=0)
        self._bursts = [stock.burst(video_payloads(clip.codec, list(nals)), 0, key=key) for key, nals in clip.pictures]
        self._patched = [bytearray(burst.data) for burst in self._bursts]
        phases = min(PHASES, max(1, cameras))
        keys = [number for number, (key, _) in enumerate(clip.pictures) if key]
        for phase in range(phases):
            rtp = RtpStream(clip.codec, payload_type=96, rate=90_000, ssrc=0x11223344, channel=0)
            audio = RtpStream("aac", payload_type=97, rate=max(1, clip.audio_rate), ssrc=0x11223345, channel=2)
            group = _Group(feeds[phase::phases], rtp, audio, keys[phase * len(keys) // phases])
            self._server.at(
                self._began_s + 0.1 + self._interval_s * phase / phases,
                lambda group=group: self._play(group),  # type: ignore[misc] # bound now
            )
            if clip.audio:
                self._server.at(self._began_s + 0.1, lambda group=group: self._sound(group))  # type: ignore[misc] # bound now

    def _feed(self, number: int, outages: OutageHabit | None) -> Feed:
        clip = self._clip
        feed = Feed(f"cam{number}", f"load {number}")
        feed.fixed_channels = True
        tracks = [video_sdp(clip.codec, clip.parameter_sets, payload_type=96, fps=90_000 / clip.interval_90k)]
        if clip.audio:
            tracks.append(audio_sdp("aac", clip.audio_rate, clip.audio_config))
        feed.tracks = lambda: tuple(tracks)
        if outages is not None:
            timetable = Outages(outages, feed.path.encode())
            feed.is_open = lambda: timetable.at(self._elapsed_s()) is not Presence.GONE
            feed.is_flowing = lambda: timetable.at(self._elapsed_s()) is Presence.THERE
        return feed

    def _elapsed_s(self) -> float:
        return self._clock.monotonic_s() - self._began_s

    def start(self) -> None:
        """Serve."""
        self._server.start()

    def close(self) -> None:
        """Stop."""
        self._server.close()

    @property
    def sent(self) -> int:
        """Sends so far."""
        return self._server.sent

    @property
    def dropped(self) -> int:
        """Sends that a slow client did not get."""
        return self._server.dropped

    @property
    def watchers(self) -> int:
        """Clients that play."""
        return self._server.watchers

    def _play(self, group: _Group) -> None:
        """Send the next picture of a group, and come back for the one after."""
        now_s = self._clock.monotonic_s()
        begun_s = group.begun_s = group.begun_s or now_s
        burst, data = self._bursts[group.index], self._patched[group.index]
        if any(feed.clients for feed in group.feeds):
            at = group.played * self._clip.interval_90k
            stamp = group.rtp.last_timestamp = group.rtp.timestamp(at)
            for offset in burst.offsets:
                struct.pack_into(">HI", data, offset + 6, group.rtp.sequence, stamp)
                group.rtp.sequence = (group.rtp.sequence + 1) & 0xFFFF
            group.rtp.packets += len(burst.offsets)
            group.rtp.octets += len(data) - 16 * len(burst.offsets)
            if self._paced:
                self._spread(group, burst, bytes(data), now_s)
            else:
                self._to_all(group, data, starts_key=burst.key)
            if now_s - group.reported_s > REPORT_EVERY_S:
                group.reported_s = now_s
                for feed in group.feeds:
                    self._server.report(feed, group.rtp.sender_report(self._clock.now_90k(), at))
        group.index = (group.index + 1) % len(self._bursts)
        group.played += 1
        self._server.at(begun_s + group.played * self._interval_s, lambda: self._play(group))

    def _spread(self, group: _Group, burst: Burst, data: bytes, now_s: float) -> None:
        """Each packet on its own, over half of the interval to the next picture."""
        ends = (*burst.offsets[1:], len(data))
        step_s = self._interval_s / 2 / len(ends)
        for number, (first, last) in enumerate(zip(burst.offsets, ends, strict=True)):
            part, starts_key = data[first:last], burst.key and number == 0
            self._server.at(
                now_s + step_s * number,
                lambda part=part, key=starts_key: self._to_all(group, part, starts_key=key),  # type: ignore[misc] # bound now
            )

    def _to_all(self, group: _Group, data: bytes | bytearray, *, starts_key: bool) -> None:
        for feed in group.feeds:
            if feed.clients:
                self._server.deliver_part(feed, data, starts_key=starts_key)

    def _sound(self, group: _Group) -> None:
        clip = self._clip
        at = group.heard * 1024
        burst = group.audio.burst([audio_payload("aac", clip.audio[group.heard % len(clip.audio)])], at)
        for feed in group.feeds:
            self._server.deliver(feed, burst)
        if group.heard % 80 == 0:
            for feed in group.feeds:
                self._server.report(feed, group.audio.sender_report(self._clock.now_90k(), at))
        group.heard += 1
        begun_s = self._began_s + 0.1
        self._server.at(begun_s + group.heard * 1024 / clip.audio_rate, lambda: self._sound(group))


def standard_coding(mbit: float = 4.0) -> VideoCoding:
    """1080p, 25 pictures a second, a key frame every two seconds: what the measurements use."""
    # The rate control settles an eighth above its bound under so much noise.
    kbps = round(mbit * 1000 * 0.88)
    return VideoCoding(codec="h264", width=1920, height=1080, interval_90k=3600, gop=50, quality=16, kbps_max=kbps)


def load_clip(path: Path) -> Clip:
    """Read what `save_clip` wrote. Raises msgspec.DecodeError on anything else."""
    return msgspec.msgpack.decode(path.read_bytes(), type=Clip)


def save_clip(path: Path, clip: Clip) -> None:
    """Keep a clip for later runs. Not durable: it can be made again."""
    path.write_bytes(msgspec.msgpack.encode(clip))


def _clip(args: argparse.Namespace) -> Clip:
    if args.clip and args.clip.is_file() and not args.make:
        return load_clip(args.clip)
    clip = make_clip(standard_coding(args.mbit), args.seconds, audio=args.audio)
    if args.clip:
        save_clip(args.clip, clip)
    return clip


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=20)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--clip", type=Path, help="where the clip is kept; made when it is not there")
    parser.add_argument("--make", action="store_true", help="make the clip anew")
    parser.add_argument("--mbit", type=float, default=4.0, help="bit rate of a clip that is made")
    parser.add_argument("--seconds", type=int, default=6, help="length of a clip that is made")
    parser.add_argument("--audio", action="store_true", help="with AAC, in a clip that is made")
    parser.add_argument("--paced", type=int, choices=(0, 1), default=0, help="1: each RTP packet on its own")
    parser.add_argument("--dropouts", metavar="MEAN,LENGTH", help="seconds between outages, and how long they last")
    args = parser.parse_args(argv)
    outages = None
    if args.dropouts:
        mean, length = (float(part) for part in args.dropouts.split(","))
        outages = OutageHabit(every_s=(mean * 0.5, mean * 1.5), length_s=(length * 0.5, length * 1.5), stalls=0.3)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    clip = _clip(args)
    clock = SystemClock()
    server = LoadServer(clock, SystemIds(), clip, args.cameras, port=args.port, paced=bool(args.paced), outages=outages)
    server.start()
    size = sum(len(nal) for _, nals in clip.pictures for nal in nals)
    rate = size * 8 * 90_000 / clip.interval_90k / len(clip.pictures) / 1e6
    _tell({"port": server.port, "cameras": args.cameras, "mbit_per_s": round(rate, 2), "pid": os.getpid()})
    began_s, before = clock.monotonic_s(), os.times()
    stop.wait()
    after, took_s = os.times(), clock.monotonic_s() - began_s
    used_s = after.user + after.system - before.user - before.system
    server.close()
    _tell({"cpu_s": round(used_s, 2), "seconds": round(took_s, 1), "cpu_percent": round(100 * used_s / took_s, 1)}
          | {"sent": server.sent, "dropped": server.dropped})  # fmt: skip
    return 0


def _tell(facts: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
