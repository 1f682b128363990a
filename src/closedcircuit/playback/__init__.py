# SPDX-License-Identifier: Apache-2.0
"""Timeline and reading back: what the browser needs to show and open what was recorded."""

from closedcircuit.playback.answers import Account, CameraLine, PictureHeader, SegmentList, SegmentRow, Timeline
from closedcircuit.playback.archive import Archive, Footage, NothingThere
from closedcircuit.playback.pictures import Direction

__all__ = [
    "Account",
    "Archive",
    "CameraLine",
    "Direction",
    "Footage",
    "NothingThere",
    "PictureHeader",
    "SegmentList",
    "SegmentRow",
    "Timeline",
]
