"""What this installation has: versions, processor, compiled kernels, optional packages, data, caches."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from mcusim.core.units import format_bytes
from mcusim.sections.kinds import Column, Facts, Headline, Notes, Section, Table
from mcusim.sections.shown import Shown

SPEEDING = ("avx512vnni", "avxvnni", "avx512f", "avx2", "i8mm", "dotprod", "neon")
"""Instructions that kernels gain from, the best first, as LLVM names them."""
NEEDED_BY = re.compile(r"(?P<package>[\w.-]+).*extra == ['\"](?P<extra>[\w-]+)['\"]")
LEAST_FREE = 2**30
"""Bytes of disk below which a cache of features, and a long trace, may not find room."""


@dataclass(frozen=True, slots=True)
class OptionalPart:
    """An optional part of the package: which packages it takes, and which of them are missing."""

    name: str
    packages: Mapping[str, str | None]
    """Name of a package -> its version, or ``None`` where it is not installed."""

    @property
    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [name for name, found in self.packages.items() if found is None]


@dataclass(frozen=True, slots=True, repr=False)
class Installation(Shown):
    """What was found on this machine. ``problems`` are those that stand in the way of something."""

    versions: Mapping[str, str]
    processor: str
    instructions: tuple[str, ...]
    kernels: int
    """Compiled functions kept on disk; 0 before the first run, which then compiles them."""
    kernels_at: str
    extras: tuple[OptionalPart, ...]
    data: Mapping[str, str]
    """Name of a data set or folder -> where it is, or empty."""
    free_bytes: int
    """Bytes free where caches are."""
    problems: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "versions": dict(self.versions), "processor": self.processor,
            "instructions": list(self.instructions),
            "kernels": {"compiled": self.kernels, "folder": self.kernels_at},
            "extras": {item.name: dict(item.packages) for item in self.extras},
            "data": dict(self.data), "free_bytes": self.free_bytes, "problems": list(self.problems),
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return the verdict, what there is, which extras are whole, and what to mend."""
        compiled = "none yet: the first run compiles"
        if self.kernels:
            compiled = f"{self.kernels:,} functions in {self.kernels_at}"
        gains = ", ".join(self.instructions) or "no vector products of bytes"
        facts = [
            *self.versions.items(),
            ("processor", f"{self.processor}, with {gains}"),
            ("compiled kernels", compiled),
            *((name, place or "not there") for name, place in self.data.items()),
            ("free for caches", format_bytes(self.free_bytes)),
        ]
        rows = [(item.name, "no" if item.missing else "yes", ", ".join(item.missing)) for item in self.extras]
        columns = (Column("extra", kind="name"), Column("whole", kind="name"), Column("missing packages"))
        wrong = len(self.problems)
        verdict = f"{wrong} thing{'s' * (wrong != 1)} to mend" if wrong else "all is well"
        headline = Headline("this installation", verdict, not wrong)
        found: list[Section] = [headline, Facts(facts), Table(columns, rows)]
        if any(item.missing for item in self.extras):
            found.append(Notes(["an extra is installed with pip install 'mcusim[NAME]'"], quiet=True))
        return [*found, Notes(self.problems, "to mend")] if self.problems else found


def doctor() -> Installation:
    """Return what this installation has: versions, processor, compiled kernels, extras, data, caches.

    Nothing is compiled, fetched or written.
    """
    from mcusim import __version__
    from mcusim.core.cache import cache_dir
    from mcusim.kernels.vector.vectors import features

    present = {item for item in features().split(",") if item.startswith("+")}
    folder, count = compiled_kernels()
    cache = cache_dir()
    free = shutil.disk_usage(_existing(cache)).free
    problems = list(_problems(folder, free, cache))
    names = ("numpy", "numba", "llvmlite", "simpy", "pandas", "pyarrow")
    versions = {"mcusim": __version__, "Python": platform.python_version(), **{n: version(n) for n in names}}
    return Installation(
        versions, f"{platform.machine()} under {platform.system()}",
        tuple(name for name in SPEEDING if f"+{name}" in present), count, str(folder or ""), tuple(_extras()),
        _data(cache), free, tuple(problems),
    )  # fmt: skip


def compiled_kernels() -> tuple[Path | None, int]:
    """Return the folder in which numba keeps compiled kernels, if any, and the number of functions there."""
    from importlib import import_module
    from pkgutil import iter_modules

    from mcusim.kernels import compiled

    for item in iter_modules(compiled.__path__, "mcusim.kernels.compiled."):
        for value in vars(import_module(item.name)).values():
            path = getattr(getattr(value, "_cache", None), "cache_path", None)
            if path is not None:
                folder = Path(path)
                return folder, sum(1 for _ in folder.glob("*.nbi")) if folder.is_dir() else 0
    return None, 0


def _extras() -> Iterator[OptionalPart]:
    """Yield what the package's own metadata say of its extras; only those of users."""
    found: dict[str, dict[str, str | None]] = {}
    for line in _requirements():
        asked = NEEDED_BY.match(line)
        if asked and asked["package"] != "mcusim":
            found.setdefault(asked["extra"], {})[asked["package"]] = _version(asked["package"])
    developers = {"test", "dev", "docs", "oracles"}
    yield from (OptionalPart(name, packages) for name, packages in found.items() if name not in developers)


def _requirements() -> list[str]:
    try:
        return requires("mcusim") or []
    except PackageNotFoundError:  # a checkout that is on the path and not installed
        return []


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _data(cache: Path) -> dict[str, str]:
    import os

    from mcusim.core import BadData
    from mcusim.data.cifar10 import find

    try:
        cifar = str(find())
    except BadData:
        cifar = ""
    return {"MCUSIM_DATA": os.environ.get("MCUSIM_DATA", ""), "cifar10": cifar, "cache": str(cache)}


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.exists())


def _problems(folder: Path | None, free: int, cache: Path) -> Iterator[str]:
    import os

    if folder is None or not os.access(_existing(folder), os.W_OK):
        place = folder or "this installation or this home"
        yield f"compiled kernels cannot be kept in {place}: every run compiles them; set NUMBA_CACHE_DIR"
    if not os.access(_existing(cache), os.W_OK):
        yield f"nothing can be cached in {cache}: set XDG_CACHE_HOME to a folder that can be written"
    if free < LEAST_FREE:
        yield f"{format_bytes(free)} are free where {cache} is: long traces and cached features need more"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        yield "NUMBA_DISABLE_JIT is set: kernels would run as Python; unset it"
    given = os.environ.get("MCUSIM_DATA")
    if given and not Path(given).is_dir():
        yield f"MCUSIM_DATA is {given}, which is no folder: correct or unset it"
