# SPDX-License-Identifier: Apache-2.0
"""From received samples to sealed segments, the account of every second, and what becomes of old footage."""

from closedcircuit.recording.account import Account
from closedcircuit.recording.chain import Chain, Terms
from closedcircuit.recording.hours import check_hours, is_within
from closedcircuit.recording.index import Indexer, accounted_until
from closedcircuit.recording.link import Link
from closedcircuit.recording.outlet import DiskOutlet
from closedcircuit.recording.pieces import Outcome, Piece, Plan
from closedcircuit.recording.ready import Ready
from closedcircuit.recording.recorder import Parts, Recorder, TakenUp
from closedcircuit.recording.retention import DiskReport, Keeper
from closedcircuit.recording.sound import FlacLoader, Sound
from closedcircuit.recording.stream import StreamRecorder
from closedcircuit.recording.wall import WallMap
from closedcircuit.recording.writer import DiskWriter, Notes

__all__ = [
    "Account",
    "Chain",
    "DiskOutlet",
    "DiskReport",
    "DiskWriter",
    "FlacLoader",
    "Indexer",
    "Keeper",
    "Link",
    "Notes",
    "Outcome",
    "Parts",
    "Piece",
    "Plan",
    "Ready",
    "Recorder",
    "Sound",
    "StreamRecorder",
    "TakenUp",
    "Terms",
    "WallMap",
    "accounted_until",
    "check_hours",
    "is_within",
]
