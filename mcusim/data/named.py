"""Data sets by name or path, as people write them on a command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from mcusim.core import BadArgument, BadData, Registry, UnknownName
from mcusim.core.boundary import reads
from mcusim.data.arrays import from_arrays, load_arrays
from mcusim.data.cifar10 import cifar10
from mcusim.data.corruptions import corrupted
from mcusim.data.dataset import Dataset
from mcusim.data.image_folder import image_folder
from mcusim.data.public import SETS
from mcusim.data.sounds import holds_sounds, sounds, spoken
from mcusim.data.synthetic import DOMAINS, synthetic
from mcusim.data.tables import SUFFIXES, from_frame, load_table
from mcusim.graph import Model

DATASETS: Registry[Callable[..., Dataset]] = Registry("data set", "mcusim.datasets")
"""Names and the functions that return the data sets."""

DATASETS.register("cifar10")(cifar10)
DATASETS.register("synthetic")(partial(synthetic, "target"))
for _domain in DOMAINS:
    DATASETS.register(f"synthetic-{_domain}")(partial(synthetic, _domain))
for _name, _set in SETS.items():
    DATASETS.register(_name)(_set)


def open_for(model: Model, data: Dataset | str | Path) -> Dataset:
    """Return the data set that a text means, folders of pictures scaled to what a network takes.

    What is a data set already comes back as it is.

    Every verb that has a network opens its data so: a folder trains as it quantises.

    Raises:
        UnknownName, BadData: as `open_data`.
    """
    if isinstance(data, Dataset):
        return data
    return open_data(data, size=picture_size(model.input.shape))


def picture_size(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return (height, width) of an input ``(1, H, W, C)`` or ``(1, C, H, W)``; None of any other."""
    if len(shape) != 4:
        return None
    first = shape[1] in (1, 3) and shape[3] not in (1, 3)
    return shape[2:4] if first else shape[1:3]


@reads(BadData, "it is damaged, or a reader of mcusim is: get it again, or report the file")
def open_data(text: str | Path, *, size: tuple[int, int] | int | None = None) -> Dataset:
    """Return the data set that a text means.

    A name, such as ``cifar10``, ``synthetic-source``, ``kws-1000``; or the path of

    * an ``.npz`` file or a folder of ``.npy`` files (see `load_arrays`);
    * a ``.csv`` or ``.parquet`` table (see `mcusim.data.from_frame`);
    * a folder or ``.tar.gz`` of wav files (see `mcusim.data.sounds.sounds`);
    * a folder or archive with CIFAR-10;
    * a folder of pictures with one folder a class (see `image_folder`), scaled to ``size``.

    Options follow as in a web address: ``spoken-digits?left_out=theo``, ``arm.csv?window=128&group=user``.
    ``corruption`` and ``severity`` are known to all pictures: ``cifar10?corruption=fog&severity=3``.

    Args:
        text: a name or a path, with options.
        size: height and width, or the side, that pictures of a folder are scaled to.

    Raises:
        UnknownName: if it is neither a name nor a path, or has an option that it does not know.
        BadArgument: if an option has a value that makes no sense.
        BadData: if what the path leads to is no data set.
    """
    place, mark, query = str(text).partition("?")
    if mark and Path(text).exists():  # a question mark in the name of a file
        place, query = str(text), ""
    given = _options(query)
    corruption = {name: given.pop(name) for name in ("corruption", "severity") if name in given}
    opened, known = _door(place, size)
    for name in given:
        if name not in known:
            raise UnknownName(f"option of {place}", name, [*known, "corruption", "severity"])
    found = opened(**{name: _valued(name, value, known[name]) for name, value in given.items()})
    if not corruption:
        return found
    if "corruption" not in corruption:
        raise BadArgument("severity", "is of a corruption", "name it too: corruption=fog")
    return corrupted(
        found, corruption["corruption"], int(_valued("severity", corruption.get("severity", "3"), 3))
    )


def _door(text: str, size: tuple[int, int] | int | None) -> tuple[Callable[..., Dataset], dict[str, Any]]:
    """Return what opens a data set, and its options with their defaults."""
    if text in DATASETS:
        opened = DATASETS[text]
        return opened, _defaults(opened, ("root", "domain"))
    path = Path(text)
    if not path.exists() and path.parent == Path() and path.suffix not in (".npz", *SUFFIXES):
        raise UnknownName("data set", text, DATASETS.names())
    if path.suffix == ".npz" or (path.is_dir() and any((*path.glob("*.npy"), *path.glob("*/*.npy")))):
        return partial(load_arrays, path), {**_defaults(spoken), **_defaults(from_arrays)}
    if path.suffix in SUFFIXES:
        return partial(load_table, path), _defaults(from_frame)
    if holds_sounds(path) or (path.name.endswith((".tar.gz", ".tgz")) and not path.name.startswith("cifar")):
        return partial(sounds, path), _defaults(sounds)
    if path.is_dir() and not any((*path.glob("cifar-10-*"), *path.glob("data_batch_1*"))):
        return partial(image_folder, path, size=size), _defaults(image_folder, ("size",))
    return partial(cifar10, path), {}


def _defaults(function: Callable[..., Any], but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the options of a function: what has a default that a text can stand for."""
    return {
        name: item.default
        for name, item in signature(function).parameters.items()
        if item.kind is item.KEYWORD_ONLY and name not in (*but, "names", "name", "speakers", "groups")
    }


def _options(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise BadArgument(f"options {query!r}", "are not NAME=VALUE&NAME=VALUE", "e.g. ?seed=1") from error


def _valued(name: str, text: str, default: Any) -> Any:
    """Return the value of an option, of the type that its default has; a text where that is unknown."""
    kind = str if default is None else type(default)
    try:
        return kind(text)
    except ValueError as error:
        raise BadArgument(f"option {name}={text}", f"is no {kind.__name__}", f"e.g. {default}") from error
