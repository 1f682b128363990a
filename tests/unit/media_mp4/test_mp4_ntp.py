# SPDX-License-Identifier: Apache-2.0
"""Wall time in and out of NTP, to the tick."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from closedcircuit.base import TICKS, parse_iso
from closedcircuit.media.mp4.ntp import ntp_of_90k, ticks_of_ntp


@given(st.integers(parse_iso("1970-01-01T00:00:00Z"), parse_iso("2100-01-01T00:00:00Z")))
def test_round_trip(at_90k):
    ntp = ntp_of_90k(at_90k)
    assert 0 <= ntp < 1 << 64
    assert ticks_of_ntp(ntp) == at_90k


def test_known_moments():
    assert ntp_of_90k(0) == 2_208_988_800 << 32
    assert ntp_of_90k(TICKS // 2) == (2_208_988_800 << 32) + (1 << 31)
    assert ntp_of_90k(parse_iso("2036-02-07T06:28:16Z")) == 0  # the era turns
    assert ticks_of_ntp(0) == parse_iso("2036-02-07T06:28:16Z")
