"""A trained network out of the folder of its run, as the file that a device's tools take."""

from __future__ import annotations

from pathlib import Path

from mcusim.core import BadModel, BadRun, McusimError
from mcusim.files.load import find, load
from mcusim.files.save import EXPORTERS, save
from mcusim.session.experiment import FILE, Experiment

TRAINED = "model.npz"


def is_network(path: Path) -> bool:
    """True if a file of this name is one of a network."""
    return path.suffix.removeprefix(".") in EXPORTERS


def export_network(source: Path, out: Path, like: Path | None = None) -> str:
    """Write a network to a file and return what was done, in one line.

    Args:
        source: the folder of a run, or a file of a network.
        out: the file to write, ``.tflite`` for example.
        like: the ``.tflite`` file whose weights alone are to change; by default the one that the run began
            with, if its network is still that of the file.

    Raises:
        BadRun: if the folder holds no trained network.
        BadModel: if the file cannot express the network, or if it is not that of ``like``.
        SaveFailed: if the file cannot be written.
    """
    folder = source.is_dir()
    if folder and not (source / TRAINED).is_file():
        raise BadRun(str(source), f"has no {TRAINED}", "give the folder of a finished run, or a network")
    model = load(source / TRAINED if folder else source)
    if like is not None:
        save(model, out, like=like)
        return f"{out}: {like} with the weights of {source}"
    origin = _origin(source) if folder and out.suffix == ".tflite" else None
    if origin is not None:
        try:
            save(model, out, like=origin)
        except BadModel as error:
            save(model, out)
            return f"{out}: written anew, for {error.thing} {error.reason}"
        return f"{out}: {origin} with the weights of {source}"
    save(model, out)
    return f"{out}: written anew"


def _origin(folder: Path) -> Path | None:
    """Return the ``.tflite`` file that a run began with, if it is still there."""
    try:
        name = Experiment.from_dict(Experiment.read(folder / FILE)).model
        path = None if name is None else find(name)
    except McusimError:
        return None
    return path if path is not None and path.suffix == ".tflite" else None
