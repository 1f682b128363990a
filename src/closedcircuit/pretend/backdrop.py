# SPDX-License-Identifier: Apache-2.0
"""What stands still behind everything, as planes that are ready to be copied: first coarse, then sharp, in any light.

A full painting takes a few tenths of a second for each light. So that a camera has a picture at once, the first one is
painted at a quarter of the size, as through a lens that is still focusing; a thread paints the others and ends.
"""

from __future__ import annotations

import threading

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.media.encode import Picture
from closedcircuit.pretend.bar import bar_height
from closedcircuit.pretend.scene import Scene
from closedcircuit.pretend.stage import Light, Stage

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
NAMES = ("day", "dusk", "night")
_COARSE = 4


class _View(msgspec.Struct, frozen=True):
    """All that is painted so far; replaced as a whole, so that its reader needs no lock."""

    planes: dict[str, Planes]
    depth: NDArray[np.float16]  # metres along the axis, per pixel
    ground: NDArray[np.float16]  # the same where there is level ground, infinite elsewhere: where shadows fall


class Easel:
    """One for all scenes of a site: every camera gets its coarse picture before any sharp one is begun, and sharp ones
    are painted one after the other. Any thread.
    """

    def __init__(self, scenes: int) -> None:
        self._waiting_for = scenes
        self._changed = threading.Condition()
        self.turn = threading.Lock()

    def coarse_is_done(self) -> None:
        """One scene has its coarse picture."""
        with self._changed:
            self._waiting_for -= 1
            self._changed.notify_all()

    def wait_for_all(self, closing: threading.Event) -> None:
        """Until every scene has a picture, or nobody wants one any more."""
        with self._changed:
            while self._waiting_for > 0 and not closing.is_set():
                self._changed.wait(0.1)


class Backdrop:
    """One scene's backgrounds. `prepare`, `planes` and `close` belong to one thread; painting goes on in another."""

    def __init__(self, scene: Scene, size: tuple[int, int], easel: Easel | None = None) -> None:
        self._scene, self._size, self._easel = scene, size, easel or Easel(0)
        self.lights: dict[str, Light] = {name: scene.light(name) for name in NAMES}
        self._view: _View | None = None
        self._closing = threading.Event()
        self._painter: threading.Thread | None = None
        self._mixed: tuple[tuple[int, int, int], Planes] | None = None

    def prepare(self, first: str, *, coarse: bool = True) -> None:
        """Paint in the light named `first`, and everything else after that; not `coarse`: return when all is done."""
        if not coarse:
            self._paint(first)
            return
        width, height = (n // _COARSE & ~1 for n in self._size)
        stage = self._scene.stage((width, height))
        rows, columns = (np.arange(n) * m // n for n, m in zip(self._size[::-1], (height, width), strict=True))
        depth = stage.depth.astype(np.float16)[rows][:, columns]
        ground = stage.ground().astype(np.float16)[rows][:, columns]
        self._view = _View({name: self._enlarged(stage, name) for name in (first,)}, depth, ground)
        self._easel.coarse_is_done()
        self._painter = threading.Thread(target=self._paint, args=(first,), name="pretend-painter", daemon=True)
        self._painter.start()

    def close(self) -> None:
        """Let the painter end early. It may be in the middle of a picture: then it ends after that, by itself."""
        self._closing.set()
        if self._painter is not None:
            self._painter.join(0.2)

    @property
    def depth(self) -> NDArray[np.float16]:
        """How far away each pixel is."""
        assert self._view is not None  # noqa: S101 - for the type checker: prepare comes first
        return self._view.depth

    @property
    def ground(self) -> NDArray[np.float16]:
        """The same where there is level ground; infinite elsewhere."""
        assert self._view is not None  # noqa: S101 - for the type checker: prepare comes first
        return self._view.ground

    def _enlarged(self, stage: Stage, name: str) -> Planes:
        small = Picture(stage.lens.width, stage.lens.height)
        small.y[:], small.u[:], small.v[:] = stage.planes(self.lights[name])
        large = small.resized(*self._size)
        return self._with_strip((large.y.copy(), large.u.copy(), large.v.copy()))

    def _with_strip(self, planes: Planes) -> Planes:
        """No colour where the strip will be."""
        strip = bar_height(self._size[1])
        for plane in planes[1:]:
            plane[-(strip // 2) :] = 128
        return planes

    def _paint(self, first: str) -> None:
        self._easel.wait_for_all(self._closing)
        with self._easel.turn:
            if self._closing.is_set():
                return
            stage = self._scene.stage(self._size)
            depth, ground = stage.depth.astype(np.float16), stage.ground().astype(np.float16)
            planes: dict[str, Planes] = {}
            for name in (first, *(name for name in NAMES if name != first)):
                if self._closing.is_set():
                    return
                planes = planes | {name: self._with_strip(stage.planes(self.lights[name]))}
                self._view = _View(planes, depth, ground)

    def planes(self, shares: tuple[float, float, float]) -> Planes:
        """The background in a light that is so much day, dusk and night."""
        assert self._view is not None  # noqa: S101 - for the type checker: prepare comes first
        there = self._view.planes
        steps = (round(shares[0] * 256), round(shares[1] * 256), round(shares[2] * 256))
        needed = [(name, step) for name, step in zip(NAMES, steps, strict=True) if step and name in there]
        if len(needed) < 2:
            return there[needed[0][0]] if needed else next(iter(there.values()))
        if self._mixed is None or self._mixed[0] != steps:
            (a, share), (b, _) = needed
            y, u, v = (_mix(p, q, share) for p, q in zip(there[a], there[b], strict=True))
            self._mixed = (steps, (y, u, v))
        return self._mixed[1]

    def bright(self) -> Planes:
        """What a lamp's beam shows at night."""
        assert self._view is not None  # noqa: S101 - for the type checker: prepare comes first
        return self._view.planes.get("day") or next(iter(self._view.planes.values()))


def _mix(a: NDArray[np.uint8], b: NDArray[np.uint8], share: int) -> NDArray[np.uint8]:
    """`share` of 256 parts of a, the rest of b."""
    mixed: NDArray[np.uint16] = a * np.uint16(share) + b * np.uint16(256 - share)
    return (mixed >> 8).astype(np.uint8)
