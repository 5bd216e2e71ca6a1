"""Data sets as NumPy arrays, in memory or in files: pictures, spectrograms, sensor windows."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData
from mcusim.core.fields import joined, names_of
from mcusim.data.dataset import Dataset, Split
from mcusim.data.sounds import spoken
from mcusim.data.splits import held_out
from mcusim.data.validation import held_out_groups

MAX_BYTES = 2**33
_NAMES = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_x", "train_y", "test_x", "test_y"),
    ("images", "labels"),
    ("x", "y"),
)
"""What the arrays may be called; with two, the test split is taken out of them."""


Examples = NDArray[Any] | Mapping[str, NDArray[Any]] | tuple[NDArray[Any], ...]
"""One array, or one for each input or output of a network: by its name, or in the network's order."""


def from_arrays(
    images: Examples,
    labels: Examples | None = None,
    test_images: Examples | None = None,
    test_labels: Examples | None = None,
    *,
    groups: NDArray[Any] | None = None,
    names: Sequence[str] = (),
    name: str = "arrays",
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Return a data set of arrays.

    ``uint8`` of 3 or 4 dimensions are pictures (``[N, H, W]`` is grey, ``[N, 3, H, W]`` and ``[N, 1, H, W]``
    have planes first and are turned round); other numbers become float32 real
    values, such as the spectrograms ``[N, frames, bands]`` of a keyword network; ``int8`` is left as it
    is: values of the network's own input quantisation. A network with several inputs takes a tuple of
    arrays or a dictionary by name or number, and one whose outputs learn together takes such labels.

    Args:
        images: the examples, or the training examples.
        labels: of each example; see `Split`. Integers ``[N]`` are classes, integers ``[N, K]`` of zeros
            and ones say which of several labels apply, integers ``[N, H, W]`` are masks, and float numbers
            ``[N]`` or ``[N, ...]`` are what a regression learns. Left out where the example is its own
            target, as for an autoencoder.
        test_images: without them, ``test_fraction`` of the examples (of each class), chosen by ``seed``.
        test_labels: of the test examples.
        groups: ``[N]`` whole numbers of what belongs together (a speaker, a day); a part of the examples that
            is held out holds whole groups.
        names: of the classes; their numbers if left out.
        name: of the data set.
        test_fraction: between 0 and 1.
        seed: of the split.

    Raises:
        BadData: if shapes, types or labels do not fit together, or values are not finite.
    """
    train = replace(_split(images, labels), groups=None if groups is None else np.asarray(groups))
    if test_images is not None:
        test = _split(test_images, test_labels)
    else:
        kinds = train.class_numbers if _classes(train) else np.zeros(len(train), np.int64)
        if train.groups is not None:
            held = held_out_groups(train.groups, test_fraction, seed)
        else:
            held = held_out(kinds, test_fraction, seed)
        train, test = train.subset(np.flatnonzero(~held)), train.subset(np.flatnonzero(held))
    if not _classes(train):
        if names:
            raise BadData(f"names of {name}", "are given, and the labels are no classes", "leave them out")
        return Dataset(train, test, (), name)
    count = 1 + max(int(train.class_numbers.max()), int(test.class_numbers.max()))
    if not names and count > 65_536:
        raise BadData(f"labels of {name}", f"go up to {count - 1:,}", "number the classes from 0")
    return Dataset(train, test, tuple(names) or tuple(map(str, range(count))), name)


def load_arrays(path: str | Path, **more: Any) -> Dataset:
    """Return the data set in an ``.npz`` file, or in a folder of ``.npy`` files; see `from_arrays`.

    The arrays are called ``train_images``, ``train_labels``, ``test_images``, ``test_labels``, or
    ``x_train``, ``y_train``, ``x_test``, ``y_test``, or only ``images``, ``labels`` or ``x``, ``y``; the last
    two may come with ``groups``. Of several inputs or outputs each is called ``x/NAME``, or ``x/0``, ``x/1``.
    Recordings lie end to end in ``samples`` with ``lengths`` and ``y``, and perhaps ``speaker`` (see
    `mcusim.data.sounds.spoken`). In a folder they are mapped into memory. Pickled objects are never read.

    Args:
        path: the file or folder.
        more: further arguments of `from_arrays`.

    Raises:
        BadData: if the file is missing or damaged, or holds no arrays of these names.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted((*path.glob("*.npy"), *path.glob("*/*.npy")))
        found = {p.relative_to(path).with_suffix("").as_posix(): _mapped(p) for p in files}
    elif path.is_file():
        found = unzipped(path)
    else:
        raise BadData(str(path), "does not exist", "give an .npz file or a folder of .npy files")
    if {"samples", "lengths", "y"} <= {*found}:
        parts = [found["samples"], found["lengths"], found["y"], found.get("speaker")]
        return spoken(*parts, name=path.stem, **more)  # type: ignore[arg-type]
    whole = _grouped(found)
    for names in _NAMES:
        if all(name in whole for name in names):
            if len(names) == 2:
                more = {"groups": found.get("groups"), **more}
            return from_arrays(*(whole[name] for name in names), name=path.stem, **more)
    if len(whole) == 1:
        return from_arrays(*whole.values(), name=path.stem, **more)
    known = "; ".join(", ".join(names) for names in _NAMES)
    raise BadData(str(path), f"holds the arrays {', '.join(found) or 'none'}", f"name them: {known}")


def _grouped(found: Mapping[str, NDArray[Any]]) -> dict[str, Examples]:
    """Return the arrays, those called ``x/NAME`` together as ``x``."""
    whole: dict[str, Examples] = {}
    for name, array in found.items():
        group, _, part = name.partition("/")
        if not part:
            whole[name] = array
        elif isinstance(parts := whole.setdefault(group, {}), dict):
            parts[part] = array
    return whole


def _split(images: Examples, labels: Examples | None) -> Split:
    parts = parts_of(images)
    if parts is None:
        found = _images("images", np.asanyarray(images))
    else:
        found = joined("images", {name: _images(f"images {name!r}", part) for name, part in parts.items()})
    if labels is None:
        return Split(found, None)
    parts = parts_of(labels)
    if parts is None:
        return Split(found, _labels(np.asanyarray(labels)))
    return Split(found, joined("labels", {name: _labels(part) for name, part in parts.items()}))


def _labels(labels: NDArray[Any]) -> NDArray[Any]:
    return labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels


def parts_of(examples: Examples) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of several inputs or outputs by name or number; None for one array."""
    if isinstance(examples, Mapping):
        return {str(name): np.asanyarray(part) for name, part in examples.items()}
    if isinstance(examples, tuple):
        return {str(place): np.asanyarray(part) for place, part in enumerate(examples)}
    plain = np.asanyarray(examples)
    return {name: plain[name] for name in names_of(plain)} or None


def _images(what: str, images: NDArray[Any]) -> NDArray[Any]:
    if images.dtype.kind not in "iuf":
        raise BadData(what, f"are {images.dtype}", "give numbers")
    if images.dtype == np.uint8 and images.ndim == 3:
        images = images[..., None]
    elif images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] not in (1, 3):
        if images.shape[1] in (1, 3):  # planes first, as PyTorch has them
            images = np.moveaxis(images, 1, -1)
    elif images.dtype not in (np.uint8, np.int8):
        images = images.astype(np.float32, copy=False)
        if not np.isfinite(images).all():
            raise BadData(what, "hold values that are no finite numbers", "clean the data")
    return images


def _classes(split: Split) -> bool:
    return split.labels is not None and split.labels.ndim == 1 and split.labels.dtype.kind in "iu"


def _mapped(path: Path) -> NDArray[Any]:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, SyntaxError, TypeError) as error:
        raise BadData(str(path), f"is no array file: {error}", "save it with numpy.save") from error


def unzipped(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz``; a header is believed only if it fits the entry's size.

    Arrays of texts are left out.

    Raises:
        BadData: if it is damaged, too large, or holds what is no array of numbers.
    """
    found = {}
    room = MAX_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                room -= info.file_size
                if room < 0:
                    raise ValueError(f"it unpacks to more than {MAX_BYTES:,} B")
                with archive.open(info) as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_1_0
                    if version != (1, 0):
                        read = np.lib.format.read_array_header_2_0
                    shape, fortran, dtype = read(file)
                    size = prod(shape) * dtype.itemsize
                    if dtype.kind == "U":  # names
                        continue
                    if dtype.kind not in "iuf" or not 0 < size <= info.file_size:
                        raise ValueError(f"{info.filename} holds {dtype} {shape} in {info.file_size:,} B")
                    values = np.frombuffer(file.read(size), dtype)
                found[info.filename.removesuffix(".npy")] = values.reshape(
                    shape, order="F" if fortran else "C"
                )
    except (
        OSError, ValueError, EOFError, SyntaxError, TypeError, zipfile.BadZipFile, zlib.error, RuntimeError,
    ) as error:  # fmt: skip
        raise BadData(str(path), f"is no archive of arrays: {error}", "save it with numpy.savez") from error
    return found
