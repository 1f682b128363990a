# SPDX-License-Identifier: Apache-2.0
"""Hashes that a repair or a rebuild left open, filled in a little at a time.

Such a hash says what the file is from now on: of what happened to it before, nobody knows.
"""

from __future__ import annotations

from closedcircuit.base.errors import NotFound, StorageError
from closedcircuit.blobs import Disks
from closedcircuit.catalogue.catalogue import Catalogue
from closedcircuit.catalogue.scanning import sha256_of
from closedcircuit.model import Segment

AT_ONCE = 16


def fill_hashes(disks: Disks, catalogue: Catalogue, bytes_max: int) -> int:
    """Read files whose hash is not known, up to `bytes_max` and the rest of one file; return how many bytes were read.

    For the keeper: one process, again and again. A disk that is away is waited for; a file that is gone, or is not as
    long as the index says, is left without a hash.
    crash inside: that file is read again.
    """
    done = 0
    while done < bytes_max and (waiting := catalogue.unhashed(AT_ONCE)):
        for segment in waiting:
            if done >= bytes_max:
                break
            try:
                sha256 = _hash(disks, segment)
            except StorageError:
                return done
            catalogue.hashed(segment, sha256)
            done += segment.size_bytes
    return done


def _hash(disks: Disks, segment: Segment) -> bytes | None:
    try:
        disk = disks[segment.disk]
        with disk.open(segment) as file:
            if file.size() != segment.size_bytes:
                return None
        return sha256_of(disk, segment, segment.size_bytes)
    except NotFound:
        return None
