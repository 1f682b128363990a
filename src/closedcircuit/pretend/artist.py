# SPDX-License-Identifier: Apache-2.0
"""One camera's pictures: the scene, the sensor's noise, the burnt-in line and the strip."""

from __future__ import annotations

import numpy as np

from closedcircuit.media.encode import Picture
from closedcircuit.pretend.bar import draw_bar
from closedcircuit.pretend.lettering import write


class SceneArtist:
    """Draws one scene. Belongs to one thread."""

    def __init__(self, scene: str, name: str, size: tuple[int, int], began_90k: int) -> None:
        self._scene, self._name, self._size, self._began_90k = scene, name, size, began_90k

    def prepare(self) -> None:
        """Paint the background."""

    def draw(self, frame: int, now_90k: int) -> Picture:
        """The picture of this moment."""
        picture = Picture(*self._size)
        picture.y[:] = 90 + np.arange(self._size[0]) % 50
        picture.u[:] = picture.v[:] = 128
        write(picture.y, f"{self._name} {frame:07d}", (24, 24), 30)
        draw_bar(picture.y, frame, now_90k // 90)
        return picture

    def smaller(self, picture: Picture, width: int, height: int) -> Picture:
        """The same for the substream."""
        return picture.shrunk(width, height)
