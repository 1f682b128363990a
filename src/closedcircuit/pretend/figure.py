# SPDX-License-Identifier: Apache-2.0
"""Little people: a skeleton that walks, drawn as rounded limbs from any side.

A figure is drawn into a sprite with the scene's own lens, so that it has the right perspective. Sprites are kept for as
long as there is room, because walking repeats itself.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from closedcircuit.pretend.lens import Floats, Lens, Points, Vector, centres, coverage
from closedcircuit.pretend.stage import to_yuv

Plane = NDArray[np.uint8]


_BYTES_A_PIXEL = 4
"""Of a sprite: luma, chroma, and how much of the pixel it covers."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody looks; colours are `#rrggbb`."""

    tall: float = 1.75  # metres
    broad: float = 1.0
    skin: str = "#c99b7c"
    hair: str = "#3a2a1e"
    long_hair: bool = False
    top: str = "#44586b"
    sleeves: str = ""  # empty: as the top
    legs: str = "#2e3440"
    shoes: str = "#1d1d20"
    coat: bool = False  # reaches to the knees
    bag: str = ""  # colour of a shoulder bag; empty: none
    pack: str = ""  # of a rucksack
    cap: str = ""
    apron: str = ""


class Pose(msgspec.Struct, frozen=True):
    """What somebody does. `phase` is in turns; `stride` 0 stands, 1 walks; `reach` lifts the right arm, 0 to 1."""

    phase: float = 0.0
    stride: float = 1.0
    reach: float = 0.0


class Sprite(msgspec.Struct, frozen=True):
    """A cut-out: planes, how much of each pixel it covers, and where its feet are in it."""

    y: Plane
    u: Plane
    v: Plane
    alpha: NDArray[np.uint16]  # 0 to 256
    alpha_uv: NDArray[np.uint16]
    foot: tuple[int, int]


class Figures:
    """Draws figures for one lens and keeps the sprites. Belongs to one thread."""

    def __init__(self, lens: Lens, keep_bytes: int = 12 << 20) -> None:
        self._lens = lens
        self._kept: OrderedDict[tuple[object, ...], Sprite] = OrderedDict()
        self._room = keep_bytes

    def sprite(self, look: Look, pose: Pose, at: Vector, heading: float) -> Sprite:
        """The cut-out of somebody who stands at `at` and faces `heading` (radians, 0 = +x)."""
        eye = self._lens.eye
        flat, away = self._lens.project(np.array([at]))
        distance = float(away[0])
        # Seen from the camera: a turned body looks the same wherever it stands, and so does one a little farther.
        bearing = float(np.arctan2(at[1] - eye[1], at[0] - eye[0]))
        turn = round((heading - bearing) / (2 * np.pi) * 32) % 32
        size = round(float(np.log(distance)) * 32)
        tilt = round(float(flat[0, 1]) / self._lens.height * 8)
        swing = round(pose.phase * 10) % 10 if pose.stride > 0.05 else 0
        key = (look, turn, size, tilt, swing, round(pose.stride * 3), round(pose.reach * 5))
        kept = self._kept.get(key)
        if kept is None:
            settled = Pose(swing / 10, round(pose.stride * 3) / 3, round(pose.reach * 5) / 5)
            kept = self._kept[key] = self._draw(look, settled, at, heading)
            self._room -= kept.y.size * _BYTES_A_PIXEL
            while self._room < 0 and len(self._kept) > 1:
                self._room += self._kept.popitem(last=False)[1].y.size * _BYTES_A_PIXEL
        else:
            self._kept.move_to_end(key)
        return kept

    def cat(self, at: Vector, heading: float, phase: float) -> Sprite:
        """The cat, which is drawn anew each time: it is small."""
        return self._cut(_cat_body(phase), at, heading)

    def _draw(self, look: Look, pose: Pose, at: Vector, heading: float) -> Sprite:
        fine = self._lens.focal * look.tall / float(np.hypot(*(self._lens.eye - at)[:2])) > 150  # pixels tall
        return self._cut(_body(look, pose, fine=fine), at, heading)

    def _cut(self, parts: list[_Part], at: Vector, heading: float) -> Sprite:
        ahead = np.array([np.cos(heading), np.sin(heading), 0.0])
        side = np.array([np.sin(heading), -np.cos(heading), 0.0])
        axes = np.stack([ahead, side, np.array([0.0, 0.0, 1.0])])
        joints = np.array([[p.a, p.b, *(p.hull or (p.a, p.b))] for p in parts]).reshape(-1, 3) @ axes + np.array(at)
        flat, away = self._lens.project(np.vstack([joints, [at]]))
        scale = self._lens.focal / away
        radii = np.array([[p.ra, p.rb, p.ra, p.ra] for p in parts]).reshape(-1) * scale[:-1]
        low = np.floor((flat[:-1] - radii[:, None]).min(axis=0)) - 2
        high = np.ceil((flat[:-1] + radii[:, None]).max(axis=0)) + 2
        low -= low % 2
        # Large figures are drawn at half the size: quicker, and as soft as the lens makes everything else.
        half = 2 if high[1] - low[1] > 190 else 1
        width, height = (int(n + n % 2) for n in np.ceil((high - low) / half))
        rgb = np.zeros((3, height, width), np.float32)
        alpha = np.zeros((height, width), np.float32)
        flat -= low
        foot = (round(float(flat[-1, 0])), round(float(flat[-1, 1])))
        flat /= half
        radii /= half
        mean = away[:-1].reshape(-1, 4).mean(axis=1)
        limbs = _limbs(flat[:-1].reshape(-1, 4, 2)[:, :2], radii.reshape(-1, 4)[:, :2], (width, height))
        for i in sorted(range(len(parts)), key=lambda i: -mean[i] - parts[i].behind):
            if parts[i].hull:
                _trunk((rgb, alpha), flat[4 * i : 4 * i + 4], float(radii[4 * i]), parts[i].colour)
            else:
                box, cover, tone = limbs[i]
                _put((rgb, alpha), box, cover, tone, parts[i].colour)
        if half == 2:
            rgb, alpha = _doubled(rgb), _doubled(alpha)
        return cut_out(rgb, alpha, foot)


def cut_out(rgb: NDArray[np.float32], alpha: NDArray[np.float32], foot: tuple[int, int]) -> Sprite:
    """A sprite of display values (3, rows, columns), 0 to 1, that are already multiplied by alpha."""
    y, u, v = to_yuv(np.clip(rgb / np.maximum(alpha, np.float32(1e-3)), 0, 1))
    wide = np.rint(alpha * 256).astype(np.uint16)
    total: NDArray[np.uint16] = wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]
    return Sprite(y, u, v, wide, total >> np.uint16(2), foot)


def _doubled(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Twice the size both ways, smoothed."""
    large = planes.repeat(2, axis=-2).repeat(2, axis=-1)
    large[..., 1:-1] = large[..., 1:-1] * 0.5 + (large[..., :-2] + large[..., 2:]) * 0.25
    large[..., 1:-1, :] = large[..., 1:-1, :] * 0.5 + (large[..., :-2, :] + large[..., 2:, :]) * 0.25
    return large


class _Part(msgspec.Struct, frozen=True):
    a: tuple[float, float, float]  # ahead, to the right, up; metres from between the feet
    b: tuple[float, float, float]
    ra: float
    rb: float
    colour: tuple[float, float, float]
    behind: float = 0.0  # metres that it is drawn behind (or, negative, before) its place
    hull: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None  # a trunk: two more corners


def _rgb(text: str, level: float = 1.0) -> tuple[float, float, float]:
    red, green, blue = (min(1.0, int(text[i : i + 2], 16) / 255 * level) for i in (1, 3, 5))
    return red, green, blue


def _body(look: Look, pose: Pose, *, fine: bool) -> list[_Part]:
    h, w = look.tall, look.broad
    swing = np.sin(2 * np.pi * pose.phase) * pose.stride
    lift = 0.012 * h * np.cos(4 * np.pi * pose.phase) * pose.stride
    hip, shoulder = 0.52 * h + lift, 0.815 * h + lift
    lean = 0.03 * h * pose.stride
    parts: list[_Part] = []
    for right, sign in ((0.062 * h * w, 1.0), (-0.062 * h * w, -1.0)):
        parts += _leg(look, pose, right, sign, hip)
    top, sleeve = _rgb(look.top), look.sleeves or look.top
    for sign in (1.0, -1.0):
        joint = (lean, sign * 0.125 * h * w, shoulder - 0.015 * h)
        parts += _arm(look, pose, sign, joint, sleeve)
    across, below = 0.078 * h * w, 0.055 * h * w
    chest = ((lean, -across, shoulder - 0.035 * h), (lean, across, shoulder - 0.035 * h))
    parts.append(_Part(*chest, 0.058 * h * w, 0.058 * h * w, top, -0.07, ((0, below, hip), (0, -below, hip))))
    if look.coat:
        belt = ((0.0, -below, hip + 0.06 * h), (0.0, below, hip + 0.06 * h))
        hem = ((0.03 * swing, below * 1.25, 0.32 * h), (-0.03 * swing, -below * 1.25, 0.32 * h))
        parts.append(_Part(*belt, 0.062 * h * w, 0.062 * h * w, _rgb(look.top, 0.94), -0.1, hem))
    if look.apron:
        bib = ((lean + 0.055 * h, -0.05 * h, 0.70 * h), (lean + 0.055 * h, 0.05 * h, 0.70 * h))
        hem = ((0.06 * h, 0.06 * h, 0.36 * h), (0.06 * h, -0.06 * h, 0.36 * h))
        parts.append(_Part(*bib, 0.022 * h, 0.022 * h, _rgb(look.apron), -0.06, hem))
    parts += _head(look, lean, lift, fine=fine)
    if look.pack:
        parts.append(
            _Part((lean - 0.10 * h, 0, 0.76 * h), (-0.11 * h, 0, 0.60 * h), 0.075 * h, 0.085 * h, _rgb(look.pack))
        )
    if look.bag:
        parts.append(
            _Part((0.0, 0.15 * h, 0.50 * h), (-0.03 * h, 0.15 * h, 0.44 * h), 0.055 * h, 0.065 * h, _rgb(look.bag))
        )
        parts.append(
            _Part((0.0, 0.14 * h, 0.54 * h), (lean, 0.085 * h, shoulder), 0.008 * h, 0.008 * h, _rgb(look.bag, 0.7))
        )
    return parts


def _cat_body(phase: float) -> list[_Part]:
    fur, light = _rgb("#4a4642"), _rgb("#8d857c")
    swing = [0.055 * float(np.sin(2 * np.pi * (phase + shift))) for shift in (0.0, 0.5, 0.25, 0.75)]
    wave = 0.05 * float(np.sin(2 * np.pi * phase * 0.5))
    parts = [
        _Part((-0.16, 0, 0.23), (0.14, 0, 0.235), 0.062, 0.058, fur),
        _Part((0.20, 0, 0.28), (0.235, 0, 0.285), 0.046, 0.042, fur, -0.02),
        _Part((0.255, 0, 0.27), (0.262, 0, 0.268), 0.02, 0.018, light, -0.04),
        _Part((-0.21, 0, 0.25), (-0.33, wave, 0.33), 0.017, 0.015, fur),
        _Part((-0.33, wave, 0.33), (-0.38, wave * 2, 0.43), 0.015, 0.012, light),
    ]
    parts += [
        _Part((0.20, side, 0.315), (0.196, side * 1.25, 0.345), 0.014, 0.004, fur, -0.03) for side in (-0.024, 0.024)
    ]
    for x, side, moved in (
        (0.13, 0.03, swing[0]),
        (0.13, -0.03, swing[1]),
        (-0.15, 0.03, swing[2]),
        (-0.15, -0.03, swing[3]),
    ):
        foot = (x + moved, side, 0.02 + max(0.0, moved) * 0.4)
        parts.append(_Part((x, side, 0.2), foot, 0.028, 0.016, fur, 0.01))
    return parts


def _leg(look: Look, pose: Pose, right: float, sign: float, hip: float) -> list[_Part]:
    h, w = look.tall, look.broad
    angle = 2 * np.pi * pose.phase + (0.0 if sign > 0 else np.pi)
    thigh = 0.40 * np.sin(angle) * pose.stride
    # The knee bends while the leg comes forward, and is nearly straight while it carries.
    knee = (0.10 + 0.80 * max(0.0, np.cos(angle)) ** 1.4) * pose.stride
    kx, kz = 0.245 * h * np.sin(thigh), hip - 0.245 * h * np.cos(thigh)
    fx, fz = kx + 0.235 * h * np.sin(thigh - knee), kz - 0.235 * h * np.cos(thigh - knee)
    fz = max(fz, 0.035 * h)
    pitch = -0.5 * max(0.0, -np.sin(angle)) * pose.stride
    colour = _rgb(look.legs, 1.0 if sign > 0 else 0.9)
    toe = (fx + 0.075 * h * np.cos(pitch), right, max(0.012 * h, fz - 0.022 * h + 0.075 * h * np.sin(pitch)))
    return [
        _Part((0, right, hip), (kx, right, kz), 0.058 * h * w, 0.044 * h * w, colour),
        _Part((kx, right, kz), (fx, right, fz), 0.042 * h * w, 0.031 * h, colour),
        _Part((fx - 0.012 * h, right, fz - 0.015 * h), toe, 0.026 * h, 0.022 * h, _rgb(look.shoes), -0.01),
    ]


def _arm(look: Look, pose: Pose, sign: float, joint: tuple[float, float, float], sleeve: str) -> list[_Part]:
    h = look.tall
    angle = 2 * np.pi * pose.phase + (np.pi if sign > 0 else 0.0)
    raised = pose.reach if sign > 0 else pose.reach * 0.25
    forward = 0.40 * np.sin(angle) * pose.stride + 1.25 * raised
    bend = 0.28 + 0.22 * max(0.0, np.sin(angle)) * pose.stride + 0.35 * raised
    ex, ez = joint[0] + 0.165 * h * np.sin(forward), joint[2] - 0.165 * h * np.cos(forward)
    ey = joint[1] + sign * 0.0165 * h
    along = forward + bend
    hx, hz = ex + 0.15 * h * np.sin(along), ez - 0.15 * h * np.cos(along)
    grip = (hx + 0.02 * h * np.sin(along), ey, hz - 0.02 * h * np.cos(along))
    return [
        _Part(joint, (ex, ey, ez), 0.040 * h, 0.033 * h, _rgb(sleeve, 0.95), -0.02),
        _Part((ex, ey, ez), (hx, ey, hz), 0.032 * h, 0.026 * h, _rgb(sleeve, 0.95), -0.03),
        _Part((hx, ey, hz), grip, 0.024 * h, 0.022 * h, _rgb(look.skin), -0.03),
    ]


def _head(look: Look, lean: float, lift: float, *, fine: bool) -> list[_Part]:
    h = look.tall
    x, z = lean + 0.012 * h, 0.918 * h + lift
    skin, hair = _rgb(look.skin), _rgb(look.hair)
    parts = [
        _Part((lean, 0, 0.83 * h + lift), (x, 0, z - 0.02 * h), 0.034 * h, 0.034 * h, _rgb(look.skin, 0.85)),
        _Part((x + 0.008 * h, 0, z - 0.016 * h), (x, 0, z + 0.010 * h), 0.052 * h, 0.058 * h, skin, -0.01),
        _Part((x - 0.018 * h, 0, z + 0.006 * h), (x - 0.004 * h, 0, z + 0.024 * h), 0.058 * h, 0.055 * h, hair, 0.0),
    ]
    if fine:
        eyes = ((x + 0.057 * h, side * 0.021 * h, z) for side in (-1.0, 1.0))
        parts += [_Part(eye, eye, 0.0065 * h, 0.0065 * h, _rgb("#2a211c"), 0.01) for eye in eyes]
        lip = (x + 0.052 * h, -0.012 * h, z - 0.032 * h)
        parts.append(_Part(lip, (lip[0], -lip[1], lip[2]), 0.004 * h, 0.004 * h, _rgb(look.skin, 0.62), 0.0))
    if look.long_hair:
        parts.append(_Part((x - 0.03 * h, 0, z), (x - 0.035 * h, 0, z - 0.10 * h), 0.052 * h, 0.045 * h, hair, 0.1))
    if look.cap:
        parts.append(
            _Part(
                (x - 0.01 * h, 0, z + 0.03 * h),
                (x + 0.01 * h, 0, z + 0.035 * h),
                0.058 * h,
                0.055 * h,
                _rgb(look.cap),
                -0.02,
            )
        )
        parts.append(
            _Part(
                (x + 0.03 * h, 0, z + 0.026 * h),
                (x + 0.075 * h, 0, z + 0.018 * h),
                0.03 * h,
                0.02 * h,
                _rgb(look.cap, 0.85),
                -0.03,
            )
        )
    return parts


_Canvas = tuple[NDArray[np.float32], NDArray[np.float32]]


def _grid(corners: Points, reach: float, canvas: _Canvas) -> tuple[tuple[slice, slice], Floats, Floats] | None:
    height, width = canvas[1].shape
    x0, x1 = max(0, int(corners[:, 0].min() - reach)), min(width, int(corners[:, 0].max() + reach) + 1)
    y0, y1 = max(0, int(corners[:, 1].min() - reach)), min(height, int(corners[:, 1].max() + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    xs, ys = centres(x0, x1), centres(y0, y1)
    return (slice(y0, y1), slice(x0, x1)), xs, ys


def _put(
    canvas: _Canvas, box: tuple[slice, slice], cover: Floats, tone: Floats, colour: tuple[float, float, float]
) -> None:
    rgb, alpha = canvas
    place = rgb[:, box[0], box[1]]
    place += (np.array(colour, np.float32)[:, None, None] * tone - place) * cover
    alpha[box] += (1 - alpha[box]) * cover


def _limbs(ends: Points, radii: Points, size: tuple[int, int]) -> list[tuple[tuple[slice, slice], Floats, Floats]]:
    """Rounded limbs (N, 2, 2) lit from above left: where each is, how much it covers, its tone.

    All are reckoned at once on grids of one size, because numpy's price is by the call.
    """
    reach = radii.max(axis=1, keepdims=True) + 1.5
    low = np.maximum(np.floor(ends.min(axis=1) - reach), 0).astype(int)
    high = np.minimum(np.ceil(ends.max(axis=1) + reach), np.array(size)).astype(int)
    spans = np.maximum(high - low, 1)
    wide, tall = spans.max(axis=0).tolist()
    start = (ends[:, 0] - low - 0.5).astype(np.float32)
    run = (ends[:, 1] - ends[:, 0]).astype(np.float32)[:, :, None, None]
    xs = (np.arange(wide, dtype=np.float32) - start[:, :1])[:, None, :]
    ys = (np.arange(tall, dtype=np.float32) - start[:, 1:])[:, :, None]
    dx, dy = run[:, 0], run[:, 1]
    scale = 1 / np.maximum(dx * dx + dy * dy, np.float32(1e-6))
    along = np.clip(xs * (dx * scale) + ys * (dy * scale), 0, 1)
    px, py = xs - along * dx, ys - along * dy
    thick = radii.astype(np.float32)[:, :, None, None]
    radius = thick[:, 0] + along * (thick[:, 1] - thick[:, 0])
    cover = np.clip(radius - np.sqrt(px * px + py * py) + np.float32(0.5), 0, 1)
    # The normal of a round limb leans as far as the pixel is from its middle.
    tone = np.float32(0.86) - (px * np.float32(0.16) + py * np.float32(0.26)) / (radius + np.float32(0.5))
    found = []
    for i, ((x, y), (w, h)) in enumerate(zip(low.tolist(), spans.tolist(), strict=True)):
        found.append(((slice(y, y + h), slice(x, x + w)), cover[i, :h, :w], tone[i, :h, :w]))
    return found


def _trunk(canvas: _Canvas, corners: Points, radius: float, colour: tuple[float, float, float]) -> None:
    """A rounded body between four corners, lit from above left."""
    found = _grid(corners, radius + 1.5, canvas)
    if found is None:
        return
    box, xs, ys = found
    away = np.full((len(ys), len(xs)), np.float32(1e9))
    points = corners.tolist()
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        px, py = (xs - np.float32(ax))[None, :], (ys - np.float32(ay))[:, None]
        dx, dy = np.float32(bx - ax), np.float32(by - ay)
        along = np.clip((px * dx + py * dy) / np.float32(max(float(dx * dx + dy * dy), 1e-6)), 0, 1)
        np.minimum(away, (px - along * dx) ** 2 + (py - along * dy) ** 2, out=away)
    away = np.sqrt(away, out=away)
    away[coverage(corners, xs, ys) > 0.5] *= -1
    middle = corners.mean(axis=0)
    half = float(np.ptp(corners[:, 0])) / 2 + radius
    tall = float(np.ptp(corners[:, 1])) / 2 + radius
    lateral = ((xs - np.float32(middle[0])) / np.float32(half))[None, :]
    lower = ((ys - np.float32(middle[1])) / np.float32(tall))[:, None]
    tone = np.float32(0.87) - np.float32(0.13) * lateral - np.float32(0.09) * lower
    tone -= np.float32(0.05) * np.clip(1 + away / np.float32(radius), 0, 1) ** 2
    _put(canvas, box, np.clip(np.float32(radius + 0.5) - away, 0, 1), tone, colour)
