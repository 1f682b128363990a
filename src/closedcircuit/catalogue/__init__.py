# SPDX-License-Identifier: Apache-2.0
"""The index of footage: what is recorded, what is not and why, what may be deleted, and how to make it all again."""

from closedcircuit.catalogue._forecast import Forecast
from closedcircuit.catalogue._retention import Limits, Policy
from closedcircuit.catalogue.catalogue import SEGMENTS_MAX, UNDECIDED_90K, Catalogue
from closedcircuit.catalogue.hashing import fill_hashes
from closedcircuit.catalogue.rebuilding import RebuildReport, rebuild
from closedcircuit.catalogue.repairing import RepairReport, repair
from closedcircuit.catalogue.spans import Ledger

__all__ = [
    "SEGMENTS_MAX",
    "UNDECIDED_90K",
    "Catalogue",
    "Forecast",
    "Ledger",
    "Limits",
    "Policy",
    "RebuildReport",
    "RepairReport",
    "fill_hashes",
    "rebuild",
    "repair",
]
