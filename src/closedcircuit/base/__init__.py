# SPDX-License-Identifier: Apache-2.0
"""Ground floor: clock, ids, errors, durable file writes, secrets. Standard library only; imports no other room."""

from closedcircuit.base.clock import TICKS, Clock, ManualClock, SystemClock, iso, parse_iso, ticks_of_ns
from closedcircuit.base.durable import append_durably, fsync_dir, write_durably
from closedcircuit.base.errors import CircuitError, Kind
from closedcircuit.base.ids import Ids, SeededIds, SystemIds, is_slug, slug
from closedcircuit.base.secret import Secret

__all__ = [
    "TICKS",
    "CircuitError",
    "Clock",
    "Ids",
    "Kind",
    "ManualClock",
    "Secret",
    "SeededIds",
    "SystemClock",
    "SystemIds",
    "append_durably",
    "fsync_dir",
    "is_slug",
    "iso",
    "parse_iso",
    "slug",
    "ticks_of_ns",
    "write_durably",
]
