"""Cycle profiles: what one kernel library costs on one core, as data with its provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le, MinLen

from mcusim.core import BadBoard, Registry, UnknownName
from mcusim.core.boundary import reads
from mcusim.mcu import toml_files
from mcusim.mcu.cycles.band import Band
from mcusim.mcu.cycles.terms import Terms, check_terms
from mcusim.mcu.toml_files import unknown_key

_STRICT = {"extra": "forbid", "allow_inf_nan": False}
Error = Annotated[float, Ge(0), Le(100)]

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
    """Rows of this profile; others may have been fitted with it, see ``data``."""
    families: Annotated[int, Ge(1)]
    """Of networks, or of layers, among the rows: what is left out together."""
    constants: Annotated[float, Ge(0)]
    """Numbers the rows determined: free ones, each as far as they moved it from what was supposed."""
    mean_error: Error
    worst_error: Error
    held_out: str = ""
    """What was left out in turn, such as ``family`` or ``layer``; empty where nothing was."""
    held_out_mean_error: Error | None = None
    held_out_90_error: Error | None = None
    """Nine of ten errors are smaller."""
    held_out_worst_error: Error | None = None
    coverage: Annotated[float, Ge(0), Le(1)] | None = None
    """Share of these rows that lay in the band that was printed without them."""


@dataclass(frozen=True, slots=True)
class Chip:
    """What the rows told of one chip, by the name of its board."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT
    speed: Annotated[float, Gt(0), Le(10)] = 1.0
    """Factor on the cycles of all terms."""
    flash_cycles_per_byte: Annotated[float, Ge(0), Le(100)] | None = None
    """What a byte of constants waits for the flash, as fitted."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Cycles of one version of a kernel library, built with one option, on one core.

    An op costs ``speed * sum(terms[kind][count] * count)``, plus what the flash keeps the core waiting for
    the op's constants, plus what it waits for SRAM (``mcu/cycles/sram.py``). A byte of constants waits
    ``flash_stall * wait_states / fetch_bytes`` of the board, unless ``chips`` knows better; speed is 1
    unless it does.
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
    band: Band
    version: str = ""
    option: str = ""
    """How it was built, such as ``balanced``; ``unstated`` where the measurers do not say."""
    calibrated: tuple[str, ...] = ()
    """Kinds whose terms rest on measurements; other kinds in ``terms`` are modelled, after them or after
    executed instructions."""
    flash_stall: Annotated[float, Ge(0), Le(4)] = 0.0
    chips: Mapping[str, Chip] = field(default_factory=dict, hash=False)
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


def of_own_kernels(core: str) -> Profile | None:
    """Return the profile of the C kernels that this package writes, on a core; None if none is shipped."""
    names = sorted(name for name in _shipped() if name.startswith(f"{core}-mcusim-"))
    return _load_shipped(names[-1]) if names else None


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
        check_terms(str(path), where, terms)
    for kind in found.calibrated:
        if kind not in found.terms:
            raise unknown_key(str(path), f"calibrated: {kind}", kind, tuple(found.terms))
    size = len(found.band.constants)
    if [len(row) for row in found.band.covariance] != [size] * size:
        raise BadBoard(str(path), f"band.covariance is not {size} x {size}", "give a row a constant")
    return found


@cache
def _shipped() -> frozenset[str]:
    folder = files("mcusim.mcu").joinpath("profiles")
    return frozenset(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml"))


@cache
def _load_shipped(name: str) -> Profile:
    return load_profile(Path(str(files("mcusim.mcu").joinpath("profiles", f"{name}.toml"))))
