"""TOML files become checked dataclasses; a wrong key or value is named with the file it stands in."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

from mcusim.core import BadBoard
from mcusim.core.toml_file import read_toml

T = TypeVar("T")


def read(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        BadBoard: if the file is missing, absurdly large, not text, or not TOML.
    """
    return read_toml(path, BadBoard)


def build(kind: type[T], data: dict[str, Any], file: str) -> T:
    """Return a ``kind`` from plain data, every field checked strictly.

    Raises:
        BadBoard: names the first wrong field, what is wrong with it, and for an unknown key the
            nearest known one.
    """
    from pydantic import ValidationError

    try:
        built: T = _adapter(cast("Hashable", kind)).validate_json(json.dumps(data, default=str), strict=True)
        return built
    except ValidationError as error:
        # A misspelt key shows up twice, as missing and as unknown; the second says more.
        wrong = sorted(error.errors(), key=lambda e: e["type"] != "unexpected_keyword_argument")
        raise _explained(kind, wrong[0], file) from error


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def unknown_key(file: str, path: str, key: str, known: Sequence[str]) -> BadBoard:
    """Return the error for an unknown key: names the nearest known one, or all."""
    near = get_close_matches(key, known, n=1, cutoff=0.4)
    way_out = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    return BadBoard(file, f"unknown key {path}", way_out)


def _explained(kind: type, wrong: Any, file: str) -> BadBoard:
    path = ".".join(str(part) for part in wrong["loc"])
    if wrong["type"] == "unexpected_keyword_argument":
        return unknown_key(file, path, str(wrong["loc"][-1]), _known_keys(kind, wrong["loc"][:-1]))
    if wrong["type"] == "missing":
        return BadBoard(file, f"{path} is missing", "every board and profile states it")
    shown = repr(wrong["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    message = str(wrong["msg"])
    return BadBoard(
        file, f"{path} = {shown}: {message[:1].lower()}{message[1:]}", "the field's name states its unit"
    )


def _known_keys(kind: Any, location: tuple[Any, ...]) -> list[str]:
    for part in location:
        if isinstance(part, int):
            continue
        kind = _dataclass_in(get_type_hints(kind)[part])
    return [field.name for field in fields(kind)]


def _dataclass_in(hint: Any) -> Any:
    if is_dataclass(hint):
        return hint
    return next((found for inner in get_args(hint) if (found := _dataclass_in(inner))), None)
