# SPDX-License-Identifier: Apache-2.0
"""Writing TOML (1.0): as much of it as camera files need. Reading is `tomllib`'s."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def to_toml(record: msgspec.Struct) -> str:
    """A record as TOML that reads back as an equal record. None is left out; nested records are tables."""
    lines: list[str] = []
    _table(msgspec.to_builtins(record), "", lines)
    return "\n".join(lines) + "\n"


def _table(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    inner: list[tuple[str, dict[str, Any]]] = []
    for name, value in table.items():
        if value is None:
            continue
        if isinstance(value, dict):
            inner.append((name, value))
        else:
            lines.append(f"{_name(name)} = {_value(value)}")
    for name, value in inner:
        path = f"{prefix}.{_name(name)}" if prefix else _name(name)
        lines += ["", f"[{path}]"]
        _table(value, path, lines)


def _name(name: str) -> str:
    return name if _BARE.match(name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = repr(value)
        return text if any(char in text for char in ".einf") else text + ".0"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{_name(key)} = {_value(item)}" for key, item in value.items() if item is not None) + " }"
        )
    raise TypeError(f"no TOML for {type(value).__name__}")


def _text(text: str) -> str:
    out = []
    for char in text:
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) < 0xE000:
            out.append(f"\\u{ord(char):04x}" if not 0xD800 <= ord(char) < 0xE000 else "\\ufffd")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'
