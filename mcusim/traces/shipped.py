"""The small recorded traces that come with the package, found by name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mcusim.core.errors import UnknownName

SUFFIX = ".parquet"


def shipped_traces() -> dict[str, Path]:
    """Return name → file of every trace that comes with the package (in a checkout: ``traces/``)."""
    package = Path(str(files("mcusim")))
    assets = package / "assets" / "traces"
    folder = assets if assets.is_dir() else package.parent / "traces"
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def shipped(name: str) -> Path:
    """Return the file of a shipped trace, e.g. ``mbv2-w0.35-dynamic``.

    Raises:
        UnknownName: if there is none; suggests the nearest.
    """
    known = shipped_traces()
    if name not in known:
        raise UnknownName("shipped trace", name, known)
    return known[name]
