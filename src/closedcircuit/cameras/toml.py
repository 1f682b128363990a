# SPDX-License-Identifier: Apache-2.0
"""Writing TOML (1.0): as much of it as camera files need. Reading is `tomllib`'s."""

from __future__ import annotations

import enum
import re
from typing import Any

import msgspec

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def to_toml(record: msgspec.Struct) -> str:
    """A record as TOML that reads back as an equal record.

    Nested records are tables. None is left out, and so is what is empty and empty by default.
    """
    lines: list[str] = []
    _table(_fields(record), "", lines)
    return "\n".join(lines) + "\n"


def _fields(record: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(record)):
        value = getattr(record, field.name)
        if value is None or (not value and value in ("", (), {}) and not field.required):
            continue
        found[field.encode_name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _fields(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, enum.Enum) else value


def _table(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    inner: list[tuple[str, dict[str, Any]]] = []
    for name, value in table.items():
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
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_name(key)} = {_value(item)}" for key, item in value.items()) + " }"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _text(text: str) -> str:
    out = []
    for char in text:
        code = ord(char)
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif code < 32 or code == 127:
            out.append(f"\\u{code:04x}")
        else:
            out.append("\ufffd" if 0xD800 <= code < 0xE000 else char)
    return '"' + "".join(out) + '"'
