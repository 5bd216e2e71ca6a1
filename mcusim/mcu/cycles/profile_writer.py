"""Profiles become TOML files again, written so that a person can read and edit them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from mcusim.core.files import replacing
from mcusim.mcu.cycles.profile import Profile


def write_profile(profile: Profile, path: str | Path) -> None:
    """Write a profile as a TOML file; the file is whole or not there.

    Raises:
        SaveFailed: if the place cannot be written.
    """
    with replacing(path) as file:
        file.write(("\n".join(_lines(profile)) + "\n").encode())


def _lines(profile: Profile) -> Iterator[str]:
    for name in ("name", "core", "library", "version"):
        yield f"{name} = {_value(getattr(profile, name))}"
    yield f"flash_stall = {_value(profile.flash_stall)}"
    yield f"calibrated = {_value(profile.calibrated)}"
    yield f"default_source = {_value(profile.default_source)}"
    if profile.notes:
        yield f"notes = {_value(profile.notes)}"
    yield ""
    yield "[fitted]"
    for field in fields(profile.fitted):
        value = getattr(profile.fitted, field.name)
        if value is not None:
            yield f"{field.name} = {_value(value)}"
    for kind, terms in sorted(profile.terms.items()):
        yield from _table(f"terms.{_value(kind)}" if "." in kind else f"terms.{kind}", terms)
    yield from _table("default", profile.default)


def _table(name: str, terms: Mapping[str, float]) -> Iterator[str]:
    yield ""
    yield f"[{name}]"
    for count, value in terms.items():
        yield f"{count} = {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
