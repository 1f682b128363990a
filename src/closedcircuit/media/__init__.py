# SPDX-License-Identifier: Apache-2.0
"""Coded pictures and sound: containers, packets, codecs, FFmpeg.

No front door of its own: each part has one (`media.mp4`, `media.rtsp`, `media.codecs`, `media.ffmpeg`), because the
recorder imports some of them and must not pay for all: FFmpeg alone is 60 MB a process.
"""
