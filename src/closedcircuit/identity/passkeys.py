# SPDX-License-Identifier: Apache-2.0
"""Challenges that wait for a browser's answer. Each is good once, for a few minutes."""

from __future__ import annotations

import base64
import binascii
import json
import threading
from typing import Any

from closedcircuit.base import Clock
from closedcircuit.base.errors import AccessError
from closedcircuit.vault import Challenge

GOOD_FOR_S = 300.0
WAITING_MAX = 256
"""Overflow rule: the oldest is forgotten, and its browser has to ask again."""


class Challenges:
    """What was asked and not answered yet. Safe from any thread (`_lock`)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, bytes], float] = {}

    def ask(self, purpose: str, challenge: Challenge) -> dict[str, Any]:
        """Remember a challenge and return its options for the browser."""
        with self._lock:
            while len(self._waiting) >= WAITING_MAX:
                self._waiting.pop(next(iter(self._waiting)))
            self._waiting[purpose, challenge.challenge] = self._clock.monotonic_s() + GOOD_FOR_S
        return challenge.options

    def take(self, purpose: str, credential: dict[str, Any]) -> bytes:
        """Return the challenge that a credential answers; it cannot be taken again. Raises AccessError."""
        challenge = _challenge_of(credential)
        with self._lock:
            until_s = self._waiting.pop((purpose, challenge), 0.0)
        if self._clock.monotonic_s() >= until_s:
            raise AccessError("This answer of the passkey is too old, or was used before.", remedy="Try again.")
        return challenge


def _challenge_of(credential: dict[str, Any]) -> bytes:
    try:
        text = credential["response"]["clientDataJSON"]
        client_data = json.loads(_decode(text))
        return _decode(client_data["challenge"])
    except (KeyError, TypeError, ValueError, binascii.Error, RecursionError) as error:
        raise AccessError("The passkey's answer cannot be read.", remedy="Try again.") from error


def _decode(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("base64 is text")
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
