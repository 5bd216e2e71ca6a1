"""Cores as data: what work costs on them that no library was measured at, and what instructions cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Le, MinLen

from mcusim.core import UnknownName
from mcusim.mcu import toml_files
from mcusim.mcu.cycles.terms import Terms, check_terms

Cycles = Annotated[float, Ge(0), Le(1000)]
Spread = Annotated[float, Ge(0), Le(2)]


@dataclass(frozen=True, slots=True)
class Instructions:
    """Cycles of an instruction of each class, memory without wait states, branches taken as often as not."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}
    load: Cycles
    store: Cycles
    multiply: Cycles
    divide: Cycles
    branch: Cycles
    float: Cycles
    float_divide: Cycles
    other: Cycles
    spread: Spread
    """Standard deviation of the logarithm of their sum."""
    source: Annotated[str, MinLen(1)]


@dataclass(frozen=True, slots=True)
class Core:
    """A core. A file of this form in ``mcusim/mcu/cores`` is all that a new one takes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}
    name: Annotated[str, MinLen(1)]
    title: Annotated[str, MinLen(1)]
    default: Terms
    """Cycles of work that no row measured: float arithmetic, backward ops, updates. Always modelled."""
    default_source: Annotated[str, MinLen(1)]
    instructions: Instructions | None = None


def core(name: str) -> Core:
    """Return a core by its name.

    Raises:
        UnknownName: if there is no file of it; suggests the nearest names.
    """
    if name not in core_names():
        raise UnknownName("core", name, core_names())
    return _load(name)


def core_names() -> list[str]:
    """Return the names of all cores."""
    folder = files("mcusim.mcu").joinpath("cores")
    return sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml"))


@cache
def _load(name: str) -> Core:
    path = Path(str(files("mcusim.mcu").joinpath("cores", f"{name}.toml")))
    found = toml_files.build(Core, toml_files.read(path), str(path))
    check_terms(str(path), "default", found.default)
    return found
