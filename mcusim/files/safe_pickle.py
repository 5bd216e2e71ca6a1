"""Unpickles numbers, texts, containers and numpy arrays, and refuses everything else.

Nothing a pickle names is ever imported or called: the few names that numpy writes for an array are
answered with stand-ins of this file, which check what they are given and compute nothing.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from math import prod
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel
from mcusim.core.legible import shortened
from mcusim.core.unpickling import BoundedUnpickler


class Refused(pickle.UnpicklingError):
    """A pickle asks for something that is no number, text, container or numeric array."""


def load_pickle(data: bytes, where: str) -> Any:
    """Return what ``data`` holds: dicts, lists, tuples, texts, numbers, and arrays as `PickledArray`.

    Raises:
        BadModel: if the pickle is damaged or names anything but numpy's array reconstruction; the
            message says what it named.
    """
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except Refused as error:
        raise BadModel(where, str(error), "only numpy arrays are allowed in a model's pickle") from None
    except Exception as error:
        # A damaged pickle can make the unpickler raise nearly anything.
        raise BadModel(
            where, f"is a damaged pickle: {shortened(str(error))}", "get the file again"
        ) from error


class _StandIn:
    """Takes the place of a global that the pickle names; has no attributes a pickle could set."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise Refused(f"sets the attribute {name!r} of a function")

    def __setstate__(self, state: object) -> NoReturn:
        raise Refused("sets the state of a function")


class _Dtype:
    """A numeric numpy dtype, described by its name and, later, its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, name: object, *_: object) -> None:
        dtype = np.dtype(name) if isinstance(name, str) and len(name) <= 4 else None
        if dtype is None or dtype.kind not in "biuf":
            raise Refused(f"holds an array of {name!r}")
        self.dtype: np.dtype[Any] = dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise Refused(f"holds an array of byte order {state[1]!r}")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """A numpy array in a pickle; `array` gives it."""

    __slots__ = ("_array",)

    def __init__(self) -> None:
        self._array: NDArray[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self._array = _decode(tuple(shape), dtype, data, bool(fortran))

    @property
    def array(self) -> NDArray[Any]:
        """The array, in native byte order, read-only."""
        if self._array is None:
            raise Refused("holds an array without contents")
        return self._array


def _decode(shape: tuple[int, ...], dtype: _Dtype, data: object, fortran: bool = False) -> NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes):
        raise Refused("holds an array that is no array of numbers")
    if any(not isinstance(s, int) or s < 0 for s in shape) or prod(shape) * dtype.dtype.itemsize != len(data):
        raise Refused(f"holds an array of shape {shape} in {len(data)} bytes")
    array = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.dtype.newbyteorder("="))


def _reconstruct(*_: object) -> PickledArray:
    return PickledArray()


def _scalar(dtype: _Dtype, data: bytes) -> int | float:
    value: int | float = _decode((1,), dtype, data)[0].item()
    return value


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise Refused(f"asks for the text encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes(*arguments: object) -> bytes:
    if arguments:
        raise Refused("calls bytes")
    return b""


def _refuse(*_: object) -> NoReturn:
    raise Refused("calls numpy.ndarray itself")


_ALLOWED = {
    ("_codecs", "encode"): _StandIn(_encode),
    ("__builtin__", "bytes"): _StandIn(_no_bytes),  # how protocol 2 writes b""
    ("numpy", "dtype"): _StandIn(_Dtype),
    ("numpy", "ndarray"): _StandIn(_refuse),
    **{
        (module, name): _StandIn(function)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name, function in (("_reconstruct", _reconstruct), ("scalar", _scalar))
    },
}


class _Unpickler(BoundedUnpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise Refused(f"asks for {module}.{name}, which may run any code")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise Refused(f"refers to the outside object {str(pid)[:60]!r}")
