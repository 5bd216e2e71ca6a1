"""Profiles become TOML files again, written so that a person can read and edit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mcusim.core.files import replacing
from mcusim.core.toml_text import toml
from mcusim.mcu.cycles.profile import Profile

DIGITS = 5


def write_profile(profile: Profile, path: str | Path) -> None:
    """Write a profile as a TOML file; the file is whole or not there.

    Raises:
        SaveFailed: if the place cannot be written.
    """
    data = {key: value for key, value in asdict(profile).items() if key != "file" and value not in ("", ())}
    with replacing(path) as file:
        file.write(toml(_rounded(data)).encode())


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_rounded(each) for each in value]
    return value
