"""Kernels with arguments beside their record as rows of a `driver` table.

What changes from step to step is read where it lies: scales of errors, rate and iteration.

A row's own record holds addresses. Kernels are called as numba calls them: the address of a result and of
what would be an exception, then the arguments; with numpy's error model nothing raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numpy.typing import NDArray

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.prepared import address_of
from mcusim.kernels.vector.simd import float64_at, int64_at
from mcusim.kernels.vector.vectors import BYTE, LONG, WORD, emitted, load, store

DOUBLE = ir.DoubleType()
GRADIENT = (types.int64, types.float64)
"""Arguments of the gradients of parameters: record, scale of the errors."""
INPUT = (types.int64, types.float64, types.float64, types.int64)
"""Of input gradients: record, scales of the errors read and written, whether to add."""
RULE = (types.int64, types.float64, types.float64, types.int64, types.int64)
"""Of update rules: record, rate, momentum, seed, iteration."""


def _native(b: Any, kernel: Any, result: Any, *arguments: Any) -> Any:
    """Emit a call of compiled code of numba's; return its result."""
    place = cgutils.alloca_once(b, result)
    error = cgutils.alloca_once(b, BYTE.as_pointer())
    b.store(ir.Constant(result, None), place)
    kinds = [place.type, error.type, *(a.type for a in arguments)]
    function = b.inttoptr(kernel, ir.FunctionType(WORD, kinds).as_pointer())
    b.call(function, [place, error, *arguments])
    return b.load(place)


@emitted(types.int64, types.int64, types.int64, types.float64)
def _gradient(b: Any, kernel: Any, record: Any, scale: Any) -> Any:
    """Call the gradient of a parameter; return what it says of its channels (nothing, of a bias)."""
    return b.zext(_native(b, kernel, BYTE, record, scale), LONG)


@emitted(types.int64, types.int64, types.int64, *(types.float64,) * 2, *(types.int64,) * 2)
def _rule(b: Any, kernel: Any, record: Any, rate: Any, momentum: Any, seed: Any, iteration: Any) -> Any:
    """Call an update rule; return whether its channels exist."""
    return b.zext(_native(b, kernel, BYTE, record, rate, momentum, seed, iteration), LONG)


@emitted(types.none, types.int64, types.int64, *(types.float64,) * 2, *(types.int64,) * 3)
def _input(
    b: Any, kernel: Any, record: Any, scale: Any, x_scale: Any, accumulate: Any, saturated: Any, peak: Any
) -> None:
    """Call an input gradient; add to the saturated elements and raise the peak, if there are addresses."""
    result = ir.LiteralStructType([LONG, DOUBLE])
    stored = _native(b, kernel, result, record, scale, x_scale, accumulate)
    with b.if_then(b.icmp_signed("!=", saturated, LONG(0))):
        store(b, b.add(load(b, saturated, LONG), b.extract_value(stored, 0)), saturated)
        before, found = load(b, peak, DOUBLE), b.extract_value(stored, 1)
        store(b, b.select(b.fcmp_ordered(">", found, before), found, before), peak)


@compiled
def input_row(row):  # type: ignore[no-untyped-def]
    """Kernel, record, addresses of both scales, whether to add, addresses of statistics."""
    _input(
        int64_at(row), int64_at(row + 8), float64_at(int64_at(row + 16)), float64_at(int64_at(row + 24)),
        int64_at(row + 32), int64_at(row + 40), int64_at(row + 48),
    )  # fmt: skip
    return 0


@compiled
def gradient_row(row):  # type: ignore[no-untyped-def]
    """Kernel, record, addresses of the scale and of whether to learn, whether there are channels to check."""
    if int64_at(int64_at(row + 24)) == 0:
        return 0
    known = _gradient(int64_at(row), int64_at(row + 8), float64_at(int64_at(row + 16)))
    return int(int64_at(row + 32) != 0 and known == 0)


@compiled
def rule_row(row):  # type: ignore[no-untyped-def]
    """Kernel, record, addresses of rate, iteration and whether to learn, seed; layer's rate, momentum."""
    if int64_at(int64_at(row + 32)) == 0:
        return 0
    rate = float64_at(row + 48) * float64_at(int64_at(row + 16))
    iteration = int64_at(int64_at(row + 24))
    known = _rule(int64_at(row), int64_at(row + 8), rate, float64_at(row + 56), int64_at(row + 40), iteration)
    return int(known == 0)


class Row:
    """A row of a table: a kernel of one record, and what to do where it returns anything but 0.

    ``inner`` is the kernel that the record begins with and its signature, if it begins with one: compiled by
    ``link``, not before.
    """

    def __init__(
        self, kernel: Any, record: NDArray[Any], otherwise: Callable[[], Any],
        inner: tuple[Any, Any] | None, *keep: Any,
    ) -> None:  # fmt: skip
        self.kernel, self.record, self.otherwise, self.inner = kernel, record, otherwise, inner
        self._keep = keep

    def link(self) -> None:
        """Compile the kernel that the record begins with, and write its address there."""
        if self.inner is not None and self.record[0] == 0:
            self.record[0] = native_pointer(*self.inner)

    def __call__(self) -> None:
        """Run it alone."""
        self.link()
        if self.kernel(address_of(self.record)):
            self.otherwise()


class Rows:
    """Rows, bound kernels and other calls that belong together."""

    def __init__(self, *rows: Callable[[], Any]) -> None:
        self.rows = rows

    def __call__(self) -> None:
        """Run them alone."""
        for each in self.rows:
            each()


@cache
def native_pointer(kernel: Any, signature: tuple[Any, ...]) -> int:
    """Return where a kernel's machine code lies, as numba calls it."""
    kernel.compile(signature)
    found = kernel.overloads[signature]
    return int(found.library.get_pointer_to_function(found.fndesc.mangled_name))


def row(
    kernel: Any, signature: tuple[Any, ...], run: Any, numbers: Sequence[int], otherwise: Callable[[], Any],
    reals: Sequence[float] = (), keep: Any = None,
) -> Row:  # fmt: skip
    """Return a row that runs ``run``, a kernel bound to its record, through ``kernel`` of this module."""
    integers = np.array([0, run.args[0], *numbers], np.int64)
    record = np.concatenate([integers, np.array(reals, np.float64).view(np.int64)])
    return Row(kernel, record, otherwise, (run.func, signature), run, keep)
