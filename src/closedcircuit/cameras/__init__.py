# SPDX-License-Identifier: Apache-2.0
"""Cameras: what is known of them, and their streams into samples. One thread receives all of them (`Receiver`)."""

from closedcircuit.cameras.address import join_address, split_address
from closedcircuit.cameras.probing import probe
from closedcircuit.cameras.receiver import Receiver
from closedcircuit.cameras.registry import Registry

__all__ = ["Receiver", "Registry", "join_address", "probe", "split_address"]
