"""Data sets by name or path, as people write them on a command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from mcusim.core import BadData, Registry, UnknownName
from mcusim.core.boundary import reads
from mcusim.data.arrays import load_arrays
from mcusim.data.cifar10 import cifar10
from mcusim.data.dataset import Dataset
from mcusim.data.image_folder import image_folder
from mcusim.data.synthetic import DOMAINS, synthetic
from mcusim.graph import Model

DATASETS: Registry[Callable[[], Dataset]] = Registry("data set", "mcusim.datasets")
"""Names and the functions that return the data sets."""

DATASETS.register("cifar10")(cifar10)
DATASETS.register("synthetic")(partial(synthetic, "target"))
for _domain in DOMAINS:
    DATASETS.register(f"synthetic-{_domain}")(partial(synthetic, _domain))


def open_for(model: Model, text: str | Path) -> Dataset:
    """Return the data set that a text means, folders of pictures scaled to what a network takes.

    Every verb that has a network opens its data so: a folder trains as it quantises.

    Raises:
        UnknownName, BadData: as `open_data`.
    """
    return open_data(text, size=picture_size(model.input.shape))


def picture_size(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return (height, width) of an input ``(1, H, W, C)`` or ``(1, C, H, W)``; None of any other."""
    if len(shape) != 4:
        return None
    first = shape[1] in (1, 3) and shape[3] not in (1, 3)
    return shape[2:4] if first else shape[1:3]


@reads(BadData, "it is damaged, or a reader of mcusim is: get it again, or report the file")
def open_data(text: str | Path, *, size: tuple[int, int] | int | None = None) -> Dataset:
    """Return the data set that a text means.

    ``cifar10``; ``synthetic`` (its target domain), ``synthetic-source``, ``synthetic-target``; the path of
    an ``.npz`` file or of a folder of ``.npy`` files (see `load_arrays`); of a folder or archive with
    CIFAR-10; or of a folder of pictures with one folder a class (see `image_folder`), scaled to ``size``.

    Args:
        text: a name or a path.
        size: height and width, or the side, that pictures of a folder are scaled to.

    Raises:
        UnknownName: if it is neither a name nor a path; suggests the nearest names.
        BadData: if what the path leads to is no data set.
    """
    if str(text) in DATASETS.names():
        return DATASETS[str(text)]()
    path = Path(text)
    if not path.exists() and path.parent == Path() and path.suffix != ".npz":
        raise UnknownName("data set", str(text), DATASETS.names())
    if path.suffix == ".npz" or (path.is_dir() and any(path.glob("*.npy"))):
        return load_arrays(path)
    if path.is_dir() and not any((*path.glob("cifar-10-*"), *path.glob("data_batch_1*"))):
        return image_folder(path, size=size)
    return cifar10(path)
