# SPDX-License-Identifier: Apache-2.0
"""The only door to footage at rest: sealed segment files on disks that are the ones they were."""

from closedcircuit.blobs.disk import Disk
from closedcircuit.blobs.disks import DiskConfig, Disks, DiskState
from closedcircuit.blobs.names import name_of, parse_path, path_of
from closedcircuit.blobs.promise import Buffer, Named, OpenSegment, SegmentFile, Space, Store

__all__ = [
    "Buffer",
    "Disk",
    "DiskConfig",
    "DiskState",
    "Disks",
    "Named",
    "OpenSegment",
    "SegmentFile",
    "Space",
    "Store",
    "name_of",
    "parse_path",
    "path_of",
]
