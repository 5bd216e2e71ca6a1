"""Many prepared kernels run by one call: a table of (kernel, record), walked by compiled code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, groupby
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.fused_prepare import Guarded, prepare
from mcusim.kernels.compiled.prepared import address_of
from mcusim.kernels.compiled.rows import Row, Rows
from mcusim.kernels.compiled.together import Wanted, compile_together
from mcusim.kernels.vector.simd import int64_at
from mcusim.kernels.vector.vectors import LONG, emitted

Call = Callable[[], Any]
ONE = (types.int64,)
"""The arguments of a prepared kernel: the address of its record."""


@emitted(types.int64, types.int64, types.int64)
def _call(b: Any, kernel: Any, record: Any) -> Any:
    """Call the kernel at an address on a record; what it returns means nothing unless it is an int."""
    kind = ir.FunctionType(LONG, [LONG])
    return b.call(b.inttoptr(kernel, kind.as_pointer()), [record])


@compiled
def walk(table, first, count):  # type: ignore[no-untyped-def]
    """Run rows of (kernel, record, guard), int64 each, from number ``first`` up to ``count``; return -1.

    A row with a guard whose kernel returns anything but 0 ends the walk: its number is returned.
    """
    for i in range(first, count):
        row = table + 24 * i
        answer = _call(int64_at(row), int64_at(row + 8))
        if answer != 0 and int64_at(row + 16) != 0:
            return i
    return -1


@cache
def pointer_of(kernel: Any) -> int:
    """Return where the machine code of a compiled kernel of one record lies."""
    kernel.compile(ONE)
    found = kernel.overloads[ONE]
    return int(found.library.get_pointer_to_function(found.fndesc.llvm_cfunc_wrapper_name))


class CallTable:
    """Calls in order: runs of prepared kernels in one compiled call each, others one by one."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls: list[Call] = []
        single: Iterable[Call] = chain.from_iterable(c.rows if isinstance(c, Rows) else (c,) for c in calls)
        groups = [(together, list(group)) for together, group in groupby(single, _is_kernel)]
        compile_together(_wanted(call for together, group in groups if together for call in group))
        for together, group in groups:
            self._calls += [_Run(group)] if together else group

    @property
    def run(self) -> Call:
        """What runs all: of a single run of kernels that itself."""
        return self._calls[0] if len(self._calls) == 1 else self

    def __call__(self) -> None:
        """Run all."""
        for call in self._calls:
            call()


class _Run:
    """Prepared kernels one after the other, without Python between them."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls  # they keep what the rows point to
        self._otherwise: dict[int, tuple[Call, int]] = {}
        rows: list[tuple[int, int, int]] = []
        for call in calls:
            at = len(rows)
            if isinstance(call, Row):
                call.link()
                self._otherwise[at] = call.otherwise, at + 1
                rows.append((pointer_of(call.kernel), address_of(call.record), 1))
                continue
            assert isinstance(call, partial)
            kernel, record = call.func, call.args[0]
            if isinstance(kernel, Guarded):
                self._otherwise[at] = kernel.otherwise, at + 2
                rows.append((pointer_of(prepare), record, 1))
                kernel = kernel.run
            rows.append((pointer_of(kernel), record, 0))
        self._rows, self._count = np.array(rows, np.int64), len(rows)
        self._walk = partial(walk, address_of(self._rows))

    def __call__(self) -> None:
        at = self._walk(0, self._count)
        while at >= 0:
            # The kernel in this row would not be exact, or cannot run: this is done instead, or raises.
            call, following = self._otherwise[at]
            call()
            at = self._walk(following, self._count)


def _wanted(calls: Iterable[Call]) -> Iterator[Wanted]:
    """Yield the kernels that prepared calls need."""
    for call in calls:
        if isinstance(call, Row):
            yield call.kernel, ONE
            if call.inner is not None:
                yield call.inner
            continue
        assert isinstance(call, partial)
        kernel: Any = call.func
        yield from ((prepare, ONE), (kernel.run, ONE)) if isinstance(kernel, Guarded) else ((kernel, ONE),)


def _is_kernel(call: Call) -> bool:
    """Return True for a prepared kernel bound to a record and to nothing else."""
    if isinstance(call, Row):
        return True
    if not isinstance(call, partial) or len(call.args) != 1 or call.keywords:
        return False
    return isinstance(call.func, Guarded) or hasattr(call.func, "overloads")
