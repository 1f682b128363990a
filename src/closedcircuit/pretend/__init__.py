# SPDX-License-Identifier: Apache-2.0
"""The pretend site: cameras that the program draws and serves as real RTSP streams, and a load simulator."""

from closedcircuit.pretend.bar import bar_height, draw_bar, read_bar
from closedcircuit.pretend.site import SHOP, Drawn, PretendServer, pretend_cameras, pretend_passwords

__all__ = [
    "SHOP",
    "Drawn",
    "PretendServer",
    "bar_height",
    "draw_bar",
    "pretend_cameras",
    "pretend_passwords",
    "read_bar",
]
