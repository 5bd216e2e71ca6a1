"""Machine code on disk, valid as long as no source of any kernel changed.

numba keeps what it compiled with the time stamp of the file a function is in, and does not see that something
the function calls has changed, or the layout of a record. Here the stamp is a digest of all sources of
kernels, and numba itself adds the processor and its features. Each kernel has one signature, so that
processes that compile the same one at once write the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import llvmlite  # type: ignore[import-untyped]
import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from mcusim.kernels.compiled.compiler import whole

SOURCES = Path(__file__).parents[1]
KERNELS: list[Any] = []
"""Every kernel that was imported."""


@cache
def digest() -> str:
    """Return a digest of all sources of kernels, and of the compiler's versions."""
    found = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for path in sorted(SOURCES.rglob("*.py")):
        found.update(f"{path.relative_to(SOURCES)}".encode() + path.read_bytes())
    return found.hexdigest()


class _Stamp:
    """A place for machine code whose stamp is the digest."""

    def get_source_stamp(self) -> str:
        return digest()


class _Places(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes: ClassVar[list[Any]] = [
        type(place.__name__, (_Stamp, place), {}) for place in CompileResultCacheImpl._locator_classes
    ]


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Places


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a kernel that Python calls; see ``compiler.whole``."""
    KERNELS.append(whole(function, _Cache))
    return KERNELS[-1]
