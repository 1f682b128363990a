# SPDX-License-Identifier: Apache-2.0
"""A pinhole camera in a world of metres: x to the right, y away, z up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Vector = tuple[float, float, float]

NEAR = 0.15
"""Metres; nothing nearer to the lens is drawn."""


def unit(vector: Points) -> Points:
    """The same direction, length 1."""
    scaled: Points = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return scaled


def facing(corners: Points) -> Points:
    """The normal of a flat polygon, length 1, towards whoever sees its corners run anticlockwise."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners[:3].tolist()
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - bx, cy - by, cz - bz
    x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    length = max(math.sqrt(x * x + y * y + z * z), 1e-12)
    return np.array((x / length, y / length, z / length))


class Lens:
    """Where the camera hangs, where it looks, how wide."""

    def __init__(self, eye: Vector, target: Vector, fov_degrees: float, size: tuple[int, int]) -> None:
        self.eye = np.array(eye)
        self.width, self.height = size
        self.forward = unit(np.array(target) - self.eye)
        self.right = unit(np.cross(self.forward, (0.0, 0.0, 1.0)))
        self.up = np.cross(self.right, self.forward)
        self._axes = np.stack([self.right, self.up, self.forward], axis=1)
        self.focal = self.width / 2 / float(np.tan(np.radians(fov_degrees) / 2))

    def seen(self, points: Points) -> Points:
        """World points (N, 3) in the lens's own axes: right, up, away."""
        turned: Points = (points - self.eye) @ self._axes
        return turned

    def flat(self, seen: Points) -> Points:
        """Points in the lens's axes to pixels (N, 2), y downwards."""
        scale = self.focal / seen[:, 2]
        made = np.empty((len(seen), 2))
        made[:, 0] = self.width / 2 + seen[:, 0] * scale
        made[:, 1] = self.height / 2 - seen[:, 1] * scale
        return made

    def project(self, points: Points) -> tuple[Points, Points]:
        """World points (N, 3) to pixels (N, 2) and distances along the axis (N). Behind the lens: nonsense."""
        seen = self.seen(points)
        return self.flat(seen), seen[:, 2]

    def rays(self, xs: Floats | np.float32, ys: Floats) -> Floats:
        """Directions through pixels, of length 1 along the axis: a point is eye + z * ray. Shape (3, *that of both)."""
        across = (xs - np.float32(self.width / 2)) * np.float32(1 / self.focal)
        down = (ys - np.float32(self.height / 2)) * np.float32(1 / self.focal)
        axes = zip(self.forward, self.right, self.up, strict=True)
        return np.stack([(across * np.float32(r) + np.float32(f)) - down * np.float32(u) for f, r, u in axes])


def clip_near(seen: Points) -> Points:
    """Cut a polygon in the lens's axes at the near plane (Sutherland and Hodgman); may leave nothing."""
    if (seen[:, 2] >= NEAR).all():
        return seen
    kept = []
    for a, b in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if a[2] >= NEAR:
            kept.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            kept.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
    return np.array(kept).reshape(-1, 3)


def centres(first: int, last: int) -> Floats:
    """Coordinates of the middles of pixels."""
    made: Floats = np.arange(first, last, dtype=np.float32) + np.float32(0.5)
    return made


def coverage(corners: Points, xs: Floats, ys: Floats, soft: float = 1.0) -> Floats:
    """How much of each pixel a convex polygon covers, 0 to 1; its edge is `soft` pixels wide."""
    points = corners.tolist()
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    turn = 1.0 if sum(a[0] * b[1] - b[0] * a[1] for a, b in edges) > 0 else -1.0
    nearest: Floats | None = None
    for (x0, y0), (x1, y1) in edges:
        dx, dy = x1 - x0, y1 - y0
        length = math.hypot(dx, dy)
        if length < 1e-3:
            continue
        a, b = -dy / (length * soft) * turn, dx / (length * soft) * turn
        inside = (xs * np.float32(a) + np.float32(0.5 - a * x0 - b * y0)) + (ys * np.float32(b))[:, None]
        nearest = inside if nearest is None else np.minimum(nearest, inside, out=nearest)
    if nearest is None:
        return np.zeros((len(ys), len(xs)), np.float32)
    np.maximum(nearest, np.float32(0), out=nearest)
    return np.minimum(nearest, np.float32(1), out=nearest)


def window(corners: Points, width: int, height: int, margin: float = 1.0) -> tuple[int, int, int, int] | None:
    """Pixels (x0, x1, y0, y1) that a shape may touch; None where it is outside the picture."""
    low_x, low_y = corners.min(axis=0).tolist()
    high_x, high_y = corners.max(axis=0).tolist()
    x0, x1 = max(0, math.floor(max(low_x - margin, -1e6))), min(width, math.ceil(min(high_x + margin, 1e6)))
    y0, y1 = max(0, math.floor(max(low_y - margin, -1e6))), min(height, math.ceil(min(high_y + margin, 1e6)))
    return (x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None
