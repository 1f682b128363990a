# SPDX-License-Identifier: Apache-2.0
"""MP4: our own writer of sealed fragments and its reader, and ordinary files for export. Imports no FFmpeg."""

from closedcircuit.media.mp4.entries import codec_string
from closedcircuit.media.mp4.fragments import FragmentInfo, FragmentWriter
from closedcircuit.media.mp4.opening import INIT_BYTES_MAX, InitInfo, init_segment, read_init
from closedcircuit.media.mp4.progressive import Mp4File
from closedcircuit.media.mp4.reading import (
    ClearSample,
    Opener,
    clear_segment,
    iter_fragments,
    longest_picture,
    open_fragment,
)

__all__ = [
    "INIT_BYTES_MAX",
    "ClearSample",
    "FragmentInfo",
    "FragmentWriter",
    "InitInfo",
    "Mp4File",
    "Opener",
    "clear_segment",
    "codec_string",
    "init_segment",
    "iter_fragments",
    "longest_picture",
    "open_fragment",
    "read_init",
]
