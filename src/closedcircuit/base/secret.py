# SPDX-License-Identifier: Apache-2.0
"""A value that does not show itself in a log, a traceback or a repr."""

from __future__ import annotations


class Secret:
    """Holds a password or key text. `reveal()` is the one way out, so that a search for it finds every use."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)" if self._value else "Secret()"

    __str__ = __repr__
