"""Schemes as text: ``dynamic:ratio=0.02,stage=200``, ``last-6``, ``static:mbv2-99kb``, and back.

A scheme is a frozen dataclass; its fields are its parameters. Its class attribute ``positional``
names the one field, if any, that is written without its name: behind a dash if it is a number
(``last-6``), behind a colon if it is a word (``static:mbv2-99kb``).
"""

from __future__ import annotations

import types
import typing
from dataclasses import MISSING, Field, fields
from typing import Any

from mcusim.core import BadArgument, UnknownName


def spelled(name: str, scheme: Any) -> str:
    """Return the canonical text of ``scheme``: ``name`` and the parameters that are not the default."""
    positional = getattr(scheme, "positional", None)
    text, rest = name, []
    for item in fields(scheme):
        value = getattr(scheme, item.name)
        if value == _default(item):
            continue
        if item.name == positional:
            text += f"{'-' if isinstance(value, int) else ':'}{value}"
        else:
            rest.append(f"{item.name}={_write(value)}")
    if not rest:
        return text
    return f"{text}{',' if ':' in text else ':'}{','.join(rest)}"


def parse(kind: type[Any], name: str, rest: str) -> Any:
    """Return the scheme of class ``kind`` with the parameters in ``rest``, the text behind its name.

    Raises:
        UnknownName: if there is no such parameter; suggests the nearest.
        BadArgument: if a parameter is given twice, cannot be read, or one is missing.
    """
    known = {item.name: item for item in fields(kind)}
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, text = (p.strip() for p in part.partition("="))
        if not equals:
            key, text = getattr(kind, "positional", None) or part, part
            if key == part and key not in known:
                raise BadArgument(
                    f"{part!r} in {name}:{rest}", "is no parameter", f"write one of {_usage(name, known)}"
                )
        if key not in known:
            raise UnknownName(f"parameter of {name}", key, known)
        if key in values:
            raise BadArgument(f"parameter {key} of {name}", "is given twice", "give it once")
        values[key] = _read(text, hints[key], f"parameter {key}={text} of {name}")
    missing = [n for n, item in known.items() if n not in values and _default(item) is MISSING]
    if missing:
        raise BadArgument(f"scheme {name}", f"needs {missing[0]}", f"write {_usage(name, known)}")
    return kind(**values)


def split_list(text: str) -> list[str]:
    """Return the schemes of a list with commas: ``head,dynamic:ratio=0.02,stage=200`` are two."""
    found: list[str] = []
    for part in (p.strip() for p in text.split(",")):
        if found and "=" in part and ":" not in part:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def _default(item: Field[Any]) -> object:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _usage(name: str, known: dict[str, Field[Any]]) -> str:
    return f"{name}:{','.join(f'{n}=…' for n in known)}" if known else name


def _write(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r}" if isinstance(value, float) else str(value)


def _read(text: str, hint: Any, thing: str) -> object:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if type(None) in choices and text.lower() == "none":
        return None
    for choice in choices:
        try:
            if choice is bool and text.lower() in ("true", "false"):
                return text.lower() == "true"
            if choice in (int, float, str):
                return choice(text)
        except ValueError:
            continue
    names = " or ".join("none" if c is type(None) else c.__name__ for c in choices)
    raise BadArgument(thing, f"is not {names}", "correct the value")
