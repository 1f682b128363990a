# SPDX-License-Identifier: Apache-2.0
"""RTSP over TCP, received without a socket: messages, sign-in, SDP, RTP and RTCP to samples. Pure Python."""

from closedcircuit.media.rtsp.handshake import Redirected
from closedcircuit.media.rtsp.packetise import aggregate, payloads
from closedcircuit.media.rtsp.session import Counts, RtspSession

__all__ = ["Counts", "Redirected", "RtspSession", "aggregate", "payloads"]
