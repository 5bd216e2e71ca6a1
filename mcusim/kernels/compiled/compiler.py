"""How numba compiles kernels: each whole, with the functions that it calls as parts of it.

By itself numba optimises each function three times, translates it for the processor and wraps it for Python
before any caller links its code in, asks for every ``a + b`` which of all its additions is meant, and looks
for what no kernel has (closures, expressions of arrays, counts of references): two thirds of the time of a
first run.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import proxy

import llvmlite.binding as llvm  # type: ignore[import-untyped]
from numba import types
from numba.core import errors, typed_passes, typing, untyped_passes
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager

from mcusim.core.jit import njit

_PASSES = (
    untyped_passes.TranslateByteCode,
    untyped_passes.FixupArgs,
    untyped_passes.IRProcessing,
    untyped_passes.GenericRewrites,
    untyped_passes.InlineInlinables,
    untyped_passes.ReconstructSSA,
    typed_passes.NopythonTypeInference,
    typed_passes.PreLowerStripPhis,
    typed_passes.IRLegalization,
    typed_passes.NativeLowering,
    typed_passes.NoPythonBackend,
)
"""What of numba's passes kernels need."""


class _Context(typing.Context):  # type: ignore[misc]
    """What numba knows of functions and types, and the answers that it gave already."""

    def __init__(self, known: typing.Context) -> None:
        self.__dict__ = known.__dict__
        self._answers: dict[Any, Any] = {}

    def resolve_function_type(self, func: Any, args: Any, kws: Any) -> Any:
        """Return the signature of a call."""
        if kws:
            return super().resolve_function_type(func, args, kws)
        question = func, tuple(args)
        if question not in self._answers:
            self._answers[question] = super().resolve_function_type(func, args, kws)
        return self._answers[question]


class _NoEnvironment:
    """Stands for numba's code generator where it is only asked to set what a function shows to Python."""

    def set_env(self, name: str, environment: object) -> None:
        """Do nothing: no variable of this name exists before a caller is compiled."""


class _WholeLibrary(JITCodeLibrary):  # type: ignore[misc]
    """Code of a kernel, optimised once, with all its parts."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        # Kernels say themselves what lies in which register: unrolled, they would not fit into those.
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_unrolling = options.loop_interleaving = False
        options.loop_vectorization = options.slp_vectorization = False
        builder = llvm.create_pass_builder(self._codegen._tm, options)
        builder.getModulePassManager().run(self._final_module, builder)


class _PartLibrary(_WholeLibrary):
    """Code of a function as it is linked into its callers, whose passes optimise it there."""

    codegen = _NoEnvironment()

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code of its own."""
        self._ensure_finalized()
        return 0

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._final_module.__library = proxy(self)
        self._finalized = True


class _Compiler(CompilerBase):  # type: ignore[misc]
    library: type[JITCodeLibrary] = _WholeLibrary

    def define_pipelines(self) -> list[PassManager]:
        """Return the passes, after saying where the code goes and who is asked for types."""
        state = self.state
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        known = state.typingctx
        state.typingctx = _CONTEXTS.setdefault(id(known), _Context(known))
        manager = PassManager("kernel")
        for each in _PASSES:
            manager.add_pass(each, each.__name__)
        manager.finalize()
        return [manager]


class _PartCompiler(_Compiler):
    library = _PartLibrary


_CONTEXTS: dict[int, _Context] = {}

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
    kernel = njit(function, nogil=True, error_model="numpy", cache=cache, pipeline_class=_Compiler)
    compile_ = kernel.compile

    def compile_undisturbed(signature: Any) -> Any:
        with undisturbed():
            return compile_(signature)

    kernel.compile = compile_undisturbed
    return kernel


SCHEME = "_termcolor_inst"
"""Under which name numba keeps what marks up its errors."""


class _Plain:
    """Text as it is, where numba would mark up each of the thousands of errors that it makes and forgives."""

    def __getattr__(self, _: str) -> Callable[[str], str]:
        return str


@contextmanager
def undisturbed() -> Iterator[None]:
    """Compile without colours, and without Python's search for garbage in large graphs."""
    enabled, known = gc.isenabled(), vars(errors)
    scheme = known.get(SCHEME)
    gc.disable()
    known[SCHEME] = _Plain()
    try:
        yield
    finally:
        known[SCHEME] = scheme
        if enabled:
            gc.enable()
