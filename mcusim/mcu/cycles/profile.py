"""Cycle profiles: what one kernel library costs on one core, as data with its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MinLen

from mcusim.core import BadBoard, Registry, UnknownName, Work
from mcusim.core.boundary import reads
from mcusim.mcu import toml_files
from mcusim.mcu.toml_files import unknown_key

_STRICT = {"extra": "forbid", "allow_inf_nan": False}
Coefficient = Annotated[float, Ge(0), Le(100_000)]
Error = Annotated[float, Ge(0), Le(100)]
Terms = Mapping[str, Coefficient]
"""Cycles per unit of a count of ``Work``; ``ops`` is cycles per call."""

COUNTS = tuple(f.name for f in fields(Work) if f.name != "kind")
"""The counts a term can weigh, beside ``ops``."""

PROFILES: Registry[str | Path | Profile] = Registry("cycle profile", "mcusim.profiles")
"""Other packages register a ``Profile`` or the path of a TOML file under ``mcusim.profiles``."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """How the calibrated terms came about. Errors are relative, over the rows of this core."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    data: Annotated[str, MinLen(1)]
    """Which rows of which file."""
    command: Annotated[str, MinLen(1)]
    """What to run to get these numbers again."""
    rows: Annotated[int, Ge(1)]
    """Rows fitted, over all cores that were fitted together."""
    constants: Annotated[int, Ge(1)]
    """Numbers that were free in that fit."""
    mean_error: Error
    worst_error: Error
    held_out: str = ""
    """What was left out in turn, such as ``network`` or ``layer``; empty where nothing was."""
    held_out_mean_error: Error | None = None
    held_out_worst_error: Error | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """Cycles of one kernel library on one core.

    An op costs ``sum(terms[kind][count] * count)``, plus ``flash_stall`` times the cycles the board's
    flash keeps the core waiting for the op's constants (``flash_read * wait_states / fetch_bytes``), plus
    what it waits for SRAM (``mcu/sram.py``).
    A kind without terms of its own uses ``default``; so do all float counts, and backward kinds.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    name: Annotated[str, MinLen(1)]
    core: Annotated[str, MinLen(1)]
    library: Annotated[str, MinLen(1)]
    terms: Mapping[str, Terms]
    default: Terms
    """Terms of everything that was not measured: float work, backward ops, updates."""
    default_source: Annotated[str, MinLen(1)]
    fitted: Fitted
    version: str = ""
    calibrated: Annotated[tuple[str, ...], MinLen(1)] = ()
    """Kinds whose terms rest on measurements; other kinds in ``terms`` are modelled after them."""
    flash_stall: Annotated[float, Ge(0), Le(4)] = 0.0
    notes: tuple[str, ...] = ()
    file: str = field(default="", compare=False)

    @property
    def source(self) -> str:
        """One line that names the profile and what it rests on."""
        return f"{self.name}, fitted to {self.fitted.rows} rows"


def profile(name_or_path: str | Path) -> Profile:
    """Return a profile by its name, or from a TOML file of the same form.

    Raises:
        UnknownName: if no profile is called so; suggests the nearest names.
        BadBoard: if the file is wrong; names the field.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text:
        return load_profile(Path(name_or_path))
    if text in _shipped():
        return _load_shipped(text)
    if text not in PROFILES:
        raise UnknownName("cycle profile", text, profile_names())
    found = PROFILES[text]
    return found if isinstance(found, Profile) else load_profile(Path(found))


def profile_names() -> list[str]:
    """Return the names of all profiles, shipped and installed."""
    return sorted({*_shipped(), *PROFILES.names()})


@reads(BadBoard, "compare it with one that comes with the package")
def load_profile(path: Path) -> Profile:
    """Read one profile file.

    Raises:
        BadBoard: if the file cannot be read, has unknown keys or counts, or negative coefficients.
    """
    data = toml_files.read(path)
    if "file" in data:
        raise BadBoard(str(path), "unknown key file", "the path is filled in when the profile is read")
    found = toml_files.build(Profile, {**data, "file": str(path)}, str(path))
    tables = {f"terms.{kind}": terms for kind, terms in found.terms.items()}
    for where, terms in {**tables, "default": found.default}.items():
        for count in terms:
            if count != "ops" and count not in COUNTS:
                raise unknown_key(str(path), f"{where}.{count}", count, ("ops", *COUNTS))
    for kind in found.calibrated:
        if kind not in found.terms:
            raise unknown_key(str(path), f"calibrated: {kind}", kind, tuple(found.terms))
    return found


@cache
def _shipped() -> frozenset[str]:
    folder = files("mcusim.mcu").joinpath("profiles")
    return frozenset(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml"))


@cache
def _load_shipped(name: str) -> Profile:
    return load_profile(Path(str(files("mcusim.mcu").joinpath("profiles", f"{name}.toml"))))
