"""Networks to files: one door for every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcusim.core import Registry
from mcusim.graph import Model

Exporter = Callable[[Model, Path], None]
EXPORTERS: Registry[Exporter] = Registry("model file type", "mcusim.exporters")
"""File suffixes without the dot, and the functions that write such files."""


@EXPORTERS.register("npz")
def _npz(model: Model, path: Path) -> None:
    from mcusim.files.npz import save

    save(model, path)


@EXPORTERS.register("tflite")
def _tflite(model: Model, path: Path) -> None:
    from mcusim.files.tflite.writer import export_tflite

    export_tflite(model, path)


def save(model: Model, path: str | Path) -> None:
    """Write a network in the format that the suffix of ``path`` names: ``.npz`` or ``.tflite``.

    Args:
        model: the network; a float one as ``.npz`` only.
        path: the file to write.

    Raises:
        UnknownName: if no format has that suffix.
        BadModel: if the format cannot express the network.
        SaveFailed: if the place cannot be written or the disk is full; nothing half-written is left.
    """
    path = Path(path)
    EXPORTERS[path.suffix.removeprefix(".")](model, path)
