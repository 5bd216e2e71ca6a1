"""Networks to files: one door for every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mcusim.core import BadArgument, BadModel, Registry
from mcusim.core.files import replacing
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
    from mcusim.files.tflite.writer import to_tflite

    _write(path, to_tflite(model))


@EXPORTERS.register("onnx")
def _onnx(model: Model, path: Path) -> None:
    from mcusim.files.onnx.writer import to_onnx

    _write(path, to_onnx(model))


def _write(path: Path, data: bytes) -> None:
    with replacing(path) as file:
        file.write(data)


def save(model: Model, path: str | Path, *, like: str | Path | None = None) -> None:
    """Write a network in the format that the suffix of ``path`` names: ``.npz``, ``.tflite`` or ``.onnx``.

    Args:
        model: the network; a float one as ``.npz`` only.
        path: the file to write.
        like: the ``.tflite`` file that the network was loaded from: its operators, names and metadata stay as
            they are, and only weights and biases change. The network must be the one in that file, without
            a fresh head.

    Raises:
        UnknownName: if no format has that suffix.
        BadModel: if the format cannot express the network, or it is not the one that it shall be like.
        SaveFailed: if the place cannot be written or the disk is full; nothing half-written is left.
    """
    path = Path(path)
    if like is not None:
        _save_like(model, path, Path(like))
        return
    EXPORTERS[path.suffix.removeprefix(".")](model, path)


def _save_like(model: Model, path: Path, like: Path) -> None:
    from mcusim.files.tflite.patch import patched

    if (path.suffix, like.suffix) != (".tflite", ".tflite"):
        raise BadArgument(f"{path} like {like}", "is no .tflite file like another", "give two of them")
    try:
        data = like.read_bytes()
    except OSError as error:
        raise BadModel(str(like), f"cannot be read: {error.strerror or error}") from error
    _write(path, patched(data, like.name, model))
