# SPDX-License-Identifier: Apache-2.0
"""Every store against the one contract."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from closedcircuit.blobs import Disk, Disks, Store
from closedcircuit.blobs.fakes import MemoryDisk

_spec = importlib.util.spec_from_file_location("blob_contract", Path(__file__).with_name("blob_contract.py"))
assert _spec is not None
assert _spec.loader is not None
blob_contract = importlib.util.module_from_spec(_spec)
sys.modules["blob_contract"] = blob_contract
_spec.loader.exec_module(blob_contract)


class TestDisk(blob_contract.BlobContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Disk(Disks.adopt(tmp_path), tmp_path)


class TestMemoryDisk(blob_contract.BlobContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryDisk()
