# SPDX-License-Identifier: Apache-2.0
"""Sound against picture: where the sound's first sample lies in the run.

By RTP-Info (both timestamps belong to the same moment; RFC 2326, 12.33), else by sender reports (both name wall time;
RFC 3550, 6.4.1), else by arrival. A claim that puts sound more than `PLAUSIBLE_S` from where it arrives is not
believed: cameras that answer `rtptime=0` are common.
"""

from __future__ import annotations

from closedcircuit.base.clock import TICKS
from closedcircuit.media.rtsp.rtcp import SenderInfo
from closedcircuit.media.rtsp.timeline import Timeline

PLAUSIBLE_S = 5.0
WORTH_S = 0.04
"""A correction smaller than this is not worth a step in the sound."""


class Alignment:
    """Of one run. Owned by the session's thread."""

    def __init__(self, video: Timeline, sound: Timeline) -> None:
        self.done = False
        self.by = ""  # "rtp-info", "reports" or "arrival"
        self._video, self._sound = video, sound
        self._began: list[int | None] = []
        self._reports: dict[int, SenderInfo] = {}

    def told(self, began: list[int | None]) -> None:
        """RTP-Info's timestamps of picture and sound."""
        self._began = began

    def reset(self) -> None:
        """A new run begins."""
        self.done, self.by = False, ""

    def heard(self, track: int, info: SenderInfo) -> None:
        """A sender report came: correct what arrival guessed."""
        self._reports[track] = info
        if self.done and self.by == "arrival" and (target := self._by_reports()) is not None:
            shift = round(target * self._sound.timescale)
            if abs(shift) >= WORTH_S * self._sound.timescale and abs(shift) <= PLAUSIBLE_S * self._sound.timescale:
                self._sound.shift(shift)
            self.by = "reports"

    def place(self, since_picture_s: float) -> int:
        """Place the sound's first sample, just given to its timeline; returns its pts."""
        self.done = True
        sound, video = self._sound, self._video
        arrival = round((video.last_pts / video.timescale + since_picture_s) * sound.timescale)
        sound.place(arrival)
        self.by = "arrival"
        for name, shift_s in (("rtp-info", self._by_info()), ("reports", self._by_reports())):
            if shift_s is not None and abs(shift_s) <= PLAUSIBLE_S:
                sound.shift(round(shift_s * sound.timescale))
                self.by = name
                break
        return sound.last_pts

    def _by_info(self) -> float | None:
        """Seconds by which RTP-Info would move the sound from where it is now."""
        if len(self._began) < 2 or self._began[0] is None or self._began[1] is None:
            return None
        return self._apart(self._video.at(self._began[0]), self._sound.at(self._began[1]))

    def _by_reports(self) -> float | None:
        """The same by sender reports."""
        if len(self._reports) < 2:
            return None
        picture, sound = self._reports[1], self._reports[2]
        apart = self._apart(self._video.at(picture.rtp), self._sound.at(sound.rtp))
        return None if apart is None else apart + (sound.ntp_90k - picture.ntp_90k) / TICKS

    def _apart(self, video_pts: int | None, sound_pts: int | None) -> float | None:
        if video_pts is None or sound_pts is None:
            return None
        return video_pts / self._video.timescale - sound_pts / self._sound.timescale
