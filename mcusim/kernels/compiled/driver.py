"""Many prepared kernels run by one call: a table of (kernel, record), walked by compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import groupby
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.compiled.prepared import address_of, compiled
from mcusim.kernels.vector.simd import int64_at
from mcusim.kernels.vector.vectors import LONG, emitted

Call = Callable[[], Any]


@emitted(types.none, types.int64, types.int64)
def _call(b: Any, kernel: Any, record: Any) -> None:
    """Call the kernel at an address with a record's address."""
    kind = ir.FunctionType(ir.VoidType(), [LONG])
    b.call(b.inttoptr(kernel, kind.as_pointer()), [record])


@compiled
def walk(table, count):  # type: ignore[no-untyped-def]
    """Run ``count`` rows of (kernel, record), int64 each."""
    for i in range(count):
        _call(int64_at(table + 16 * i), int64_at(table + 16 * i + 8))


@cache
def pointer_of(kernel: Any) -> int:
    """Return where the machine code of a compiled kernel of one record lies."""
    signature = (types.int64,)
    kernel.compile(signature)
    found = kernel.overloads[signature]
    return int(found.library.get_pointer_to_function(found.fndesc.llvm_cfunc_wrapper_name))


class CallTable:
    """Calls in order: runs of prepared kernels in one compiled call each, others one by one."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls: list[Call] = []
        for together, group in groupby(calls, _is_kernel):
            run = list(group)
            if not together:
                self._calls += run
                continue
            rows = np.array([(pointer_of(k.func), k.args[0]) for k in run], np.int64)  # type: ignore[attr-defined]
            walked = partial(walk, address_of(rows), len(rows))
            walked.keep = rows, run  # type: ignore[attr-defined]
            self._calls.append(walked)

    def __call__(self) -> None:
        """Run all."""
        for call in self._calls:
            call()


def _is_kernel(call: Call) -> bool:
    """Return True for a prepared kernel bound to a record and to nothing else."""
    return isinstance(call, partial) and hasattr(call.func, "overloads") and len(call.args) == 1
