"""Plain data as TOML: what ``tomllib`` reads gives the same data again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml(data: Mapping[str, Any]) -> str:
    """Return nested tables of numbers, texts, truth values and lists as TOML; ``None`` is left out."""
    return "\n".join(_lines(data, "")).lstrip("\n") + "\n"


def _lines(data: Mapping[str, Any], table: str) -> list[str]:
    """Return a table: its own values before the tables in it, or they would belong to those."""
    plain = {key: value for key, value in data.items() if not isinstance(value, Mapping)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items() if value is not None]
    for key, value in data.items():
        if isinstance(value, Mapping):
            name = f"{table}{_key(key)}"
            owns = any(not isinstance(item, Mapping) for item in value.values())
            lines += [*(["", f"[{name}]"] if owns else []), *_lines(value, f"{name}.")]
    return lines


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(k)} = {_value(each)}" for k, each in value.items() if each is not None)
        return f"{{{inner}}}"
    return _text(value) if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _text(text: str) -> str:
    """Return a basic string: JSON's, but for DEL, which TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
