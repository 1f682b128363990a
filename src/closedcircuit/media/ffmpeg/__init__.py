# SPDX-License-Identifier: Apache-2.0
"""Sources that FFmpeg pulls, and decoding. Importing it costs some 60 MB: only for who needs it, and when."""

from closedcircuit.media.ffmpeg.source import FfmpegPull

__all__ = ["FfmpegPull"]
