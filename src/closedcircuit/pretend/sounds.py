# SPDX-License-Identifier: Apache-2.0
"""What a camera's microphone hears: the hum of a room, and now and then a till, a bell or a fridge.

Sound is a function of the sample's number, so that the same moment sounds the same again however it is asked for.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

_LOOP_S = 4


class RoomSound:
    """The sound of one scene. Belongs to one thread."""

    def __init__(self, scene: str, rate: int) -> None:
        self._rate = rate
        random = np.random.default_rng(zlib.crc32(scene.encode()))
        white = random.normal(0.0, 1.0, rate * _LOOP_S)
        spectrum = np.fft.rfft(white)
        hertz = np.fft.rfftfreq(len(white), 1 / rate)
        spectrum *= 1 / np.maximum(hertz, 40.0) ** 0.9  # a room is louder in the depths
        tone = np.fft.irfft(spectrum)
        time_s = np.arange(len(white)) / rate
        hum = sum(level * np.sin(2 * np.pi * f * time_s) for f, level in ((50.0, 0.5), (100.0, 1.0), (150.0, 0.3)))
        # The loop is a whole number of hum periods long, and noise made by inverse FFT joins its own beginning.
        self._room = (tone / np.abs(tone).max() * 500 + hum * 40).astype(np.float32)
        self._bells = _bells(scene, rate)
        self._every_s = {"till": 3.0, "shop-floor": 9.0}.get(scene, 14.0)

    def samples(self, start: int, count: int) -> NDArray[np.int16]:
        """`count` mono samples from number `start` on; the signal does not depend on how it is cut into calls."""
        numbers = np.arange(start, start + count)
        out = self._room[numbers % len(self._room)].copy()
        slot = round(self._every_s * self._rate)
        for index in range(start // slot - 1, (start + count) // slot + 1):
            pick = zlib.crc32(index.to_bytes(8, "big", signed=True))
            if pick & 3 == 0:
                continue
            bell = self._bells[pick % len(self._bells)]
            begin = index * slot + (pick >> 8) % slot
            first, last = max(begin, start), min(begin + len(bell), start + count)
            if first < last:
                out[first - start : last - start] += bell[first - begin : last - begin]
        heard: NDArray[np.int16] = np.clip(out, -32_000, 32_000).astype(np.int16)
        return heard


def _bells(scene: str, rate: int) -> list[NDArray[np.float32]]:
    if scene == "till":
        return [_beep(rate, 1850.0), _beep(rate, 1850.0), _drawer(rate)]
    if scene == "shop-floor":
        return [_door_bell(rate), _steps(rate), _steps(rate)]
    return [_steps(rate), _thud(rate), _steps(rate)]


def _beep(rate: int, hertz: float) -> NDArray[np.float32]:
    """A scanner's."""
    t = np.arange(int(rate * 0.11)) / rate
    shape = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.004)
    return (2600 * shape * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def _door_bell(rate: int) -> NDArray[np.float32]:
    """Ding, dong."""
    t = np.arange(int(rate * 1.3)) / rate
    out = np.zeros(len(t))
    for hertz, at in ((1319.0, 0.0), (1047.0, 0.42)):
        since = np.maximum(t - at, 0.0)
        ring = np.sin(2 * np.pi * hertz * since) + 0.4 * np.sin(2 * np.pi * hertz * 2.76 * since)
        out += (t >= at) * np.exp(-since * 5.0) * np.minimum(1.0, since / 0.002) * ring
    return (2200 * out).astype(np.float32)


def _steps(rate: int) -> NDArray[np.float32]:
    """Somebody walks by."""
    random = np.random.default_rng(7)
    out = np.zeros(int(rate * 3.6))
    length = int(rate * 0.09)
    t = np.arange(length) / rate
    for number in range(6):
        tap = np.exp(-t * 70) * (np.sin(2 * np.pi * 95 * t) + 0.25 * random.normal(0, 1, length))
        begin = int(rate * 0.55 * number)
        out[begin : begin + length] += 1500 * np.sin(np.pi * (number + 1) / 7) * tap
    return out.astype(np.float32)


def _thud(rate: int) -> NDArray[np.float32]:
    """A heavy door falls shut."""
    t = np.arange(int(rate * 0.6)) / rate
    random = np.random.default_rng(8)
    sound = np.exp(-t * 14) * np.sin(2 * np.pi * 62 * t) + 0.3 * np.exp(-t * 45) * random.normal(0, 1, len(t))
    return (4200 * sound).astype(np.float32)


def _drawer(rate: int) -> NDArray[np.float32]:
    """The till's drawer: a bell and a rattle."""
    t = np.arange(int(rate * 0.8)) / rate
    random = np.random.default_rng(9)
    ring = np.exp(-t * 6) * np.sin(2 * np.pi * 2350 * t)
    rattle = np.exp(-((t - 0.12) ** 2) / 0.0012) * random.normal(0, 1, len(t))
    return (1800 * ring + 900 * rattle).astype(np.float32)
