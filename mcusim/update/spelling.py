"""Schemes as text: ``dynamic:ratio=0.02,stage=200``, ``last-6``, ``static:mbv2-99kb``, and back.

A scheme is a frozen dataclass; its fields are its parameters. Its class attribute ``positional``
names the one field, if any, that is written without its name: behind a dash if it is a number
(``last-6``), behind a colon if it is a word (``static:mbv2-99kb``).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
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


def parse(kind: type[Any], name: str, parts: Sequence[str], said: str) -> Any:
    """Return the scheme of class ``kind`` with parameters such as ``ratio=0.02``.

    Args:
        kind: a frozen dataclass.
        name: under which it is registered.
        parts: the parameters, each as the person wrote it; empty ones do not count.
        said: the whole text that the person wrote, for messages.

    Raises:
        UnknownName: if there is no such parameter; suggests the nearest.
        BadArgument: if a parameter is given twice, cannot be read, or one is missing.
    """
    known = {item.name: item for item in fields(kind)}
    hints = typing.get_type_hints(kind)
    values: dict[str, object] = {}
    positional = getattr(kind, "positional", None)
    for part in filter(None, (p.strip() for p in parts)):
        thing = f"{part!r} in {said!r}"
        key, equals, text = (p.strip() for p in part.partition("="))
        if not equals:
            if positional is None:
                reason = "is no parameter" if known else f"is no parameter: {name} has none"
                raise BadArgument(thing, reason, f"write {_usage(name, known, positional)}")
            key, text = positional, part
        if key not in known:
            raise UnknownName(f"parameter of {name}", key, known)
        if key in values:
            raise BadArgument(thing, f"gives {key} a second time", "give it once")
        values[key] = _read(text, hints[key], thing, key)
    missing = [n for n, item in known.items() if n not in values and _default(item) is MISSING]
    if missing:
        raise BadArgument(
            f"scheme {said!r}", f"needs {missing[0]}", f"write {_usage(name, known, positional)}"
        )
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


def usage(name: str, kind: type[Any]) -> str:
    """Return how schemes of class ``kind`` are written, e.g. ``last-LAYERS``; the name alone may do."""
    return _usage(name, {item.name: item for item in fields(kind)}, getattr(kind, "positional", None))


def defaults(kind: type[Any]) -> dict[str, str]:
    """Return the parameters of a class of schemes with what each is if not given; ``""``: it must be."""
    found = {item.name: _default(item) for item in fields(kind)}
    return {name: "" if value is MISSING else _write(value) for name, value in found.items()}


def _default(item: Field[Any]) -> object:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _usage(name: str, known: dict[str, Field[Any]], positional: str | None) -> str:
    """Return how the scheme is written, its parameters in capitals or behind their names."""
    named = ",".join(f"{n}=…" for n in known)
    if positional is None:
        return f"{name}:{named}" if known else name
    if len(known) > 1:
        return f"{name}:{named}"
    word = str(known[positional].type).split(" ")[0] == "str"
    return f"{name}{':' if word else '-'}{positional.upper()}"


def _write(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r}" if isinstance(value, float) else str(value)


def _read(text: str, hint: Any, thing: str, key: str) -> object:
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
    raise BadArgument(thing, f"{key} is not {names}", "correct the value")
