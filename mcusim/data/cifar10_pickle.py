"""Pickled CIFAR-10 batches, read without running anything that is in them.

A pickle is a program. Here its only instructions that could call something reach the inert stand-ins
of this file: they keep what a numpy array's pickle says of itself, and the array is built afterwards from
the checked parts.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadData
from mcusim.core.legible import shortened
from mcusim.core.unpickling import BoundedUnpickler

_PIXELS = 3 * 32 * 32


class _DType:
    """Stands for ``numpy.dtype``: keeps the type's code."""

    def __init__(self, code: object = "", *_: object) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and fields: only one-byte integers are accepted."""


class _Array:
    """Stands for ``numpy.ndarray``: keeps shape, type and bytes."""

    def __init__(self, *_: object) -> None:
        self.state: object = None

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Encoder:
    """Stands for ``codecs.encode``, by which Python 3 writes bytes into old pickles."""

    __slots__ = ()

    def __call__(self, text: str, _: str) -> bytes:
        return text.encode("latin1")

    def __setstate__(self, state: object) -> None:
        """Refuse: a pickle must not change what it is given."""
        raise pickle.UnpicklingError("it changes the state of a function")


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array, ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array, ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Encoder(),
}  # fmt: skip


class _Unpickler(BoundedUnpickler):
    def find_class(self, module: str, name: str) -> Callable[..., object]:
        """Return a stand-in, never what the pickle asks for."""
        found: Callable[..., object] = _ALLOWED.get((module, name)) or super().find_class(module, name)
        return found


def read_batch(name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return images ``uint8 [n, 3072]`` and labels ``int64 [n]`` of a pickled batch.

    Raises:
        BadData: if the pickle is damaged, asks for anything but arrays, or holds no such batch.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        images = _pixels(batch[b"data"])
        labels = np.array(batch[b"labels"], np.int64)
    except Exception as error:  # whatever a hostile pickle provokes is its own fault
        reason = f"is no CIFAR-10 batch: {shortened(repr(error))}"
        raise BadData(name, reason, "get the data set again") from error
    if labels.shape != (len(images),) or not len(labels) or labels.min() < 0 or labels.max() > 9:
        raise BadData(name, "has labels that are not one of 0 to 9 for each image", "get the data set again")
    return images, labels


def _pixels(array: object) -> NDArray[np.uint8]:
    if not isinstance(array, _Array) or not isinstance(array.state, tuple) or len(array.state) != 5:
        raise ValueError("the images are no array")
    _, shape, dtype, fortran, raw = array.state
    if not (isinstance(dtype, _DType) and dtype.code in ("u1", "|u1") and isinstance(raw, bytes)):
        raise ValueError("the images are no bytes")
    if len(shape) != 2 or shape[1] != _PIXELS or prod(shape) != len(raw):
        raise ValueError(f"the images have shape {shape}")
    return np.frombuffer(raw, np.uint8).reshape(shape, order="F" if fortran else "C")
