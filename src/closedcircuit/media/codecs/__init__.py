# SPDX-License-Identifier: Apache-2.0
"""What coded streams say of themselves, read in pure Python: parameter sets, configuration records, codec strings."""

from closedcircuit.media.codecs.audio import (
    AacConfig,
    aac_config,
    aac_track,
    g711_track,
    opus_frame_samples,
    opus_track,
    parse_aac_config,
)
from closedcircuit.media.codecs.h264 import H264Sps, avcc, h264_track, pps_id, sets_of_avcc
from closedcircuit.media.codecs.h264 import parse_sps as parse_h264_sps
from closedcircuit.media.codecs.h265 import H265Sps, h265_track, hvcc, sets_of_hvcc
from closedcircuit.media.codecs.h265 import parse_sps as parse_h265_sps
from closedcircuit.media.codecs.h265 import set_id as h265_set_id
from closedcircuit.media.codecs.nal import join_lengths, split_annexb, split_lengths
from closedcircuit.media.codecs.sets import ParameterSets

__all__ = [
    "AacConfig",
    "H264Sps",
    "H265Sps",
    "ParameterSets",
    "aac_config",
    "aac_track",
    "avcc",
    "g711_track",
    "h264_track",
    "h265_set_id",
    "h265_track",
    "hvcc",
    "join_lengths",
    "opus_frame_samples",
    "opus_track",
    "parse_aac_config",
    "parse_h264_sps",
    "parse_h265_sps",
    "pps_id",
    "sets_of_avcc",
    "sets_of_hvcc",
    "split_annexb",
    "split_lengths",
]
