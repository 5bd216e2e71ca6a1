"""Constant folding: what follows from constants and from shapes alone is computed when a file is read.

Converters write shapes as arithmetic (the size of a batch, a product of sides, a list put together again).
No device ever runs that: every shape is known here. Each reader says which of its operators is which numpy
function; what all of them share is in this file. Integers divide as in C, toward zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadModel

Array = NDArray[Any]
MAX_ELEMENTS = 2**26
"""Of one folded constant: a list of sizes has a few, and no weight of a microcontroller has more."""


def divide(a: Array, b: Array) -> Array:
    """Return the quotient; of integers, cut off toward zero.

    Raises:
        ZeroDivisionError: if an integer is divided by 0.
    """
    if np.result_type(a, b).kind == "f":
        return np.asarray(a / b)
    if not np.all(b):
        raise ZeroDivisionError("division by zero")
    quotient = np.floor_divide(np.abs(a), np.abs(b))
    return np.asarray(quotient * (np.sign(a) * np.sign(b)))


ELEMENTWISE: dict[tuple[str, str], Callable[..., Any]] = {
    ("ADD", "Add"): np.add,
    ("SUB", "Sub"): np.subtract,
    ("MUL", "Mul"): np.multiply,
    ("DIV", "Div"): divide,
    ("MAXIMUM", "Max"): np.maximum,
    ("MINIMUM", "Min"): np.minimum,
    ("NEG", "Neg"): np.negative,
    ("ABS", "Abs"): np.abs,
    ("FLOOR", "Floor"): np.floor,
    ("CEIL", "Ceil"): np.ceil,
    ("SQRT", "Sqrt"): np.sqrt,
    ("EQUAL", "Equal"): np.equal,
    ("LESS", "Less"): np.less,
    ("LESS_EQUAL", "LessOrEqual"): np.less_equal,
    ("GREATER", "Greater"): np.greater,
    ("GREATER_EQUAL", "GreaterOrEqual"): np.greater_equal,
    ("LOGICAL_AND", "And"): np.logical_and,
    ("LOGICAL_OR", "Or"): np.logical_or,
    ("LOGICAL_NOT", "Not"): np.logical_not,
    ("SELECT_V2", "Where"): np.where,
}
"""By the names TFLite and ONNX have for it: functions of arrays, element by element, which broadcast."""

REDUCTIONS: dict[tuple[str, str], Callable[..., Any]] = {
    ("REDUCE_PROD", "ReduceProd"): np.prod,
    ("SUM", "ReduceSum"): np.sum,
    ("REDUCE_MAX", "ReduceMax"): np.max,
    ("REDUCE_MIN", "ReduceMin"): np.min,
}


def evaluate(compute: Callable[[], Any]) -> Array:
    """Return what ``compute`` gives as an array of its own.

    Raises:
        BadModel: without a thing: if the constants do not fit each other or the operator.
    """
    try:
        with np.errstate(all="ignore"):
            found = np.array(compute())
    except (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError, MemoryError) as error:
        if isinstance(error, BadModel):
            raise
        raise BadModel(
            "", f"its constant inputs do not fit each other: {error}", "the file is damaged"
        ) from None
    room(found.shape)
    return found


def room(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape that is small enough to be made.

    Raises:
        BadModel: without a thing, if it has more than ``MAX_ELEMENTS`` elements or a negative side.
    """
    sides = tuple(int(s) for s in shape)
    if min(sides, default=0) < 0 or len(sides) > 8 or prod(sides) > MAX_ELEMENTS:
        raise BadModel("", f"makes a constant of shape {sides}", f"at most {MAX_ELEMENTS:,} elements")
    return sides


def arange(start: Array, limit: Array, delta: Array) -> Array:
    """Return ``start, start + delta, ...`` below ``limit``, in the type of ``start``."""
    first, last, step = (np.asarray(v).reshape(-1)[0].item() for v in (start, limit, delta))
    if not step or abs((last - first) / step) > MAX_ELEMENTS:
        raise BadModel("", f"counts from {first} to {last} in steps of {step}")
    return np.arange(first, last, step).astype(np.asarray(start).dtype)


def elementwise(function: Callable[..., Any], x: Sequence[Array]) -> Array:
    """Return a function of arrays, element by element."""
    room(np.broadcast_shapes(*(v.shape for v in x)))
    return np.asarray(function(*x))


def take(x: Array, places: Array, axis: int) -> Array:
    """Return the elements of ``x`` at ``places`` along one dimension."""
    room([places.size, x.size // max(x.shape[axis], 1)])
    return np.asarray(np.take(x, places, axis))


def tile(x: Array, times: Array) -> Array:
    """Return ``x`` repeated along each dimension."""
    repeats = [int(t) for t in np.asarray(times).reshape(-1)]
    room([size * t for size, t in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats)


def integers(x: Array) -> list[int]:
    """Return a constant list of sizes or dimensions.

    Raises:
        TypeError: if it holds anything else than integers.
    """
    if x.dtype.kind not in "iu":
        raise TypeError(f"{x.dtype} where integers are needed")
    return [int(v) for v in x.reshape(-1)]
