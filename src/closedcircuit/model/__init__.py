# SPDX-License-Identifier: Apache-2.0
"""The words that rooms say to one another: frozen records and the small promises (protocols) between floors.

Names come from `docs/design/glossary.md`. Units are in the names; what has no unit says so.
"""

from closedcircuit.model.camera import Camera, Mode, Recording, Source, State, StreamName, Weekly
from closedcircuit.model.footage import (
    FRAGMENT_BYTES_MAX,
    Cause,
    Fragment,
    Gap,
    Hold,
    Segment,
    SegmentName,
    Span,
    SpanKind,
)
from closedcircuit.model.packets import PacketSink, Sample, SampleCipher, SenderReport, Track, TrackKind

__all__ = [
    "FRAGMENT_BYTES_MAX",
    "Camera",
    "Cause",
    "Fragment",
    "Gap",
    "Hold",
    "Mode",
    "PacketSink",
    "Recording",
    "Sample",
    "SampleCipher",
    "Segment",
    "SegmentName",
    "SenderReport",
    "Source",
    "Span",
    "SpanKind",
    "State",
    "StreamName",
    "Track",
    "TrackKind",
    "Weekly",
]
