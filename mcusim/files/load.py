"""Networks by name or path: one door for every format."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from mcusim.core import BadModel, Registry, UnknownName
from mcusim.core.boundary import reading
from mcusim.core.cache import cache_dir
from mcusim.files.registry import registry, shipped_models
from mcusim.graph import Arithmetic, Model
from mcusim.graph.batch import single
from mcusim.graph.head import HeadFormat, replace_head
from mcusim.kernels.overflow import overflow_message, overflows

Importer = Callable[[Path], Model]
IMPORTERS: Registry[Importer] = Registry("importer", "mcusim.files")
"""File suffixes without the dot, and the functions that read such files."""

WAY_OUT = "it is damaged, or a reader of mcusim is: export it again, or report the file"
MAX_FILE_BYTES = 512 * 1024**2


@IMPORTERS.register("npz")
def _npz(path: Path) -> Model:
    from mcusim.files.arrays import names_in_archive
    from mcusim.files.graph_json import load_graph_json
    from mcusim.files.npz import ENTRY, load_npz

    if path.with_suffix(".json").is_file() and ENTRY not in names_in_archive(path):
        return load_graph_json(path)
    return load_npz(path)


@IMPORTERS.register("json")
def _json(path: Path) -> Model:
    from mcusim.files.graph_json import load_graph_json

    return load_graph_json(path)


@IMPORTERS.register("pkl")
def _pkl(path: Path) -> Model:
    from mcusim.files.tiny_training_pkl import load_tiny_training_pkl

    return load_tiny_training_pkl(path)


@IMPORTERS.register("tflite")
def _tflite(path: Path) -> Model:
    from mcusim.files.tflite.reader import load_tflite

    return load_tflite(path)


@IMPORTERS.register("pt2")
def _pt2(path: Path) -> Model:
    from mcusim.files.torch.reader import load_exported

    return load_exported(path)


@IMPORTERS.register("onnx")
def _onnx(path: Path) -> Model:
    from mcusim.files.onnx.reader import load_onnx

    return load_onnx(path)


def network(model: Model | str | Path) -> Model:
    """Return a network as it is, or the one of a name or path as `load` reads it."""
    return load(model) if isinstance(model, (str, Path)) else model


def load(
    name_or_path: str | Path,
    *,
    classes: int | None = None,
    head: HeadFormat = "float32",
    seed: int = 0,
    arithmetic: Arithmetic | str | None = None,
    resolution: int | None = None,
    pixels: int | None = None,
    strict: bool = False,
) -> Model:
    """Load a network.

    A path to a file is read as what its suffix says. A name (``mbv2-w0.35``, the stem of a file) is
    looked for in the folder ``MCUSIM_DATA`` names (and its ``models/`` and ``tflite/``), in the user's
    cache, where `fetch` puts files, and among the models that come with the package.

    Args:
        name_or_path: what to load.
        classes: give the network a fresh classifier for so many classes; None keeps the one it has.
        head: format of the fresh classifier, ``float32`` or ``int8``; see `replace_head`.
        seed: seed of the fresh classifier's weights.
        arithmetic: how to rescale, if not as the file's origin does: ``float``, ``tflite``,
            ``tinyengine`` or ``litert``. A network trained with ``tflite`` and written as ``.tflite``
            gives the same predictions on TFLite Micro, one with ``litert`` on LiteRT's reference kernels.
        resolution: side in pixels of the images it takes, if not those it was made for; see
            `at_resolution`.
        pixels: side of the pictures as they arrive, which the network then enlarges itself; see `enlarging`.
        strict: refuse a network whose 32-bit accumulators can overflow for some input; else that is a
            warning.

    Raises:
        UnknownName: if no file and no known model or arithmetic is called so; suggests the nearest.
        BadModel: if the file is damaged or holds something that is not supported, or if the name is
            that of a public model which was not fetched yet.
        BadArgument: if the network cannot take images of that resolution, or cannot enlarge them.
    """
    path = find(name_or_path)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BadModel(str(path), f"is larger than {MAX_FILE_BYTES:,} B", "it is no microcontroller's model")
    model = single(read(path))
    if arithmetic is not None:
        if arithmetic not in list(Arithmetic):
            raise UnknownName("arithmetic", arithmetic, list(Arithmetic))
        model = replace(model, arithmetic=Arithmetic(arithmetic))
    if resolution is not None:
        from mcusim.graph.resolution import at_resolution

        model = at_resolution(model, resolution)
    if pixels is not None:
        from mcusim.graph.enlarging import enlarging

        model = enlarging(model, pixels)
    _check_accumulators(path, model, strict)
    return model if classes is None else replace_head(model, classes, format=head, seed=seed)


def _check_accumulators(path: Path, model: Model, strict: bool) -> None:
    with reading(path, BadModel, WAY_OUT):
        found = overflows(model)
    if found and strict:
        raise BadModel(
            str(path), overflow_message(model, found), "quantise it with smaller biases, or be less strict"
        )
    if found:
        warnings.warn(f"{path.name} {overflow_message(model, found)}", stacklevel=3)


def read(path: Path) -> Model:
    """Return the network in a file, read as what its suffix says.

    Raises:
        BadModel: whatever is wrong with it: what a reader did not foresee too, as one line.
    """
    with reading(
        path, BadModel, "it is damaged, or a reader of mcusim is: export it again, or report the file"
    ):
        return IMPORTERS[path.suffix.removeprefix(".")](path)


def find(name_or_path: str | Path) -> Path:
    """Return the file that ``name_or_path`` means; the search order is that of `load`.

    Raises:
        UnknownName: if there is none, or if its suffix belongs to no importer.
        BadModel: if a path with a known suffix leads to nothing.
    """
    path = Path(name_or_path)
    suffix = path.suffix.removeprefix(".")
    if path.is_file():
        if suffix not in IMPORTERS:
            raise UnknownName("model file type", path.suffix, (f".{n}" for n in IMPORTERS.names()))
        return path
    known: dict[str, Path] = {}
    for file in _candidates():
        for name in (file.name, file.stem, _name(file)):
            known.setdefault(name, file)
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if suffix in IMPORTERS and path.parent != Path():
        raise BadModel(str(path), "there is no such file", "give the path of a model file or a known name")
    public = {name for name, entry in registry().items() if entry.file.startswith("models/")}
    if str(name_or_path) in public:
        way_out = f"mcusim fetch {name_or_path}"
        raise BadModel(str(name_or_path), "is a public model that is not on this machine yet", way_out)
    raise UnknownName("model", str(name_or_path), public | {_name(file) for file in known.values()})


def available() -> dict[str, Path]:
    """Return all models that can be loaded by name, with the file each name means, sorted."""
    found: dict[str, Path] = {}
    for file in _candidates():
        found.setdefault(_name(file), file)
    return dict(sorted(found.items()))


def _name(file: Path) -> str:
    return file.stem.removesuffix("-int8").removesuffix("-float32")


def _candidates() -> Iterator[Path]:
    folders = []
    if data := os.environ.get("MCUSIM_DATA"):
        folders += [Path(data), Path(data) / "models", Path(data) / "tflite"]
    folders += [cache_dir() / "models", shipped_models()]
    # A json graph is found through the npz beside it.
    suffixes = [f".{name}" for name in IMPORTERS.names() if name != "json"]
    for folder in folders:
        if folder.is_dir():
            yield from sorted(f for f in folder.iterdir() if f.suffix in suffixes and f.is_file())
