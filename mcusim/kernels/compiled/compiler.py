"""How numba compiles kernels: each whole, with the functions that it calls as parts of it.

By itself numba optimises each function twice, translates it for the processor and wraps it for Python before
any caller links its code in: nearly half of the time that a kernel's first compilation took was for code that
nobody runs.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import proxy

from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager

from mcusim.core.jit import njit


class _NoEnvironment:
    """Stands for numba's code generator where it is only asked to set what a function shows to Python."""

    def set_env(self, name: str, environment: object) -> None:
        """Do nothing: no variable of this name exists before a caller is compiled."""


class _PartLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code of a function as it is linked into its callers, whose passes optimise it there."""

    codegen = _NoEnvironment()

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code of its own."""
        self._ensure_finalized()
        return 0

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._final_module.__library = proxy(self)
        self._finalized = True


class _PartCompiler(CompilerBase):  # type: ignore[misc]
    def define_pipelines(self) -> list[PassManager]:
        """Return numba's own passes, after saying where the code goes."""
        state = self.state
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return [DefaultPassBuilder.define_nopython_pipeline(state)]


_part = njit(
    nogil=True,
    error_model="numpy",
    no_cpython_wrapper=True,
    no_cfunc_wrapper=True,
    pipeline_class=_PartCompiler,
)


def inner(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; once, not once for every constant that it is called with.

    numba numbers the cache files of a function that has several signatures without a lock, so two processes
    that compile at once could mix them up: nothing is kept.
    """
    part = _part(function)
    found = part.get_call_template
    part.get_call_template = lambda args, kws: found(tuple(map(types.unliteral, args)), kws)
    return part


inlined = njit(nogil=True, error_model="numpy", inline="always")
"""Compile what is handed a function: numba cannot cache on disk what passes functions as values."""


def whole(function: Callable[..., Any], cache: Any) -> Any:
    """Compile a kernel that Python calls: kept in ``cache``, without the GIL, no float reordered."""
    kernel = njit(function, nogil=True, error_model="numpy", cache=cache)
    compile_ = kernel.compile

    def compile_undisturbed(signature: Any) -> Any:
        with _without_collector():
            return compile_(signature)

    kernel.compile = compile_undisturbed
    return kernel


@contextmanager
def _without_collector() -> Iterator[None]:
    """Spare Python the search for garbage in a compiler's large graphs (a tenth of its time)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
