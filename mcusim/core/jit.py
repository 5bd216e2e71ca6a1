"""numba's ``njit``, whose files of compiled code can never stop or fail what they are to speed up."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any, TypeVar

import numba

from mcusim.core.errors import BadArgument

F = TypeVar("F", bound=Callable[..., Any])


def njit(function: Any = None, **options: Any) -> Any:
    """Compile a function as ``numba.njit`` does; ``cache`` may also be the class of a cache of numba's.

    Where compiled code cannot be kept (a read-only installation and home, a full disk), it is compiled anew
    in every process, which is said once. What was kept and is damaged is compiled anew and kept again.

    Raises:
        BadArgument: if numba is told to compile nothing: pure Python would take hours for what takes seconds.
    """
    if numba.config.DISABLE_JIT:
        reason = "is set, and the kernels exist only as compiled code"
        raise BadArgument("the environment variable NUMBA_DISABLE_JIT", reason, "unset it")
    if function is None:
        return partial(njit, **options)
    kept = options.pop("cache", False)
    if not kept:
        return numba.njit(**options)(function)
    try:
        compiled = numba.njit(cache=kept is True, **options)(function)
        if kept is not True:
            compiled._cache = kept(function)
    except RuntimeError as error:  # numba found no folder that it may write to
        _say(error)
        return numba.njit(**options)(function)
    _forgive(compiled._cache)
    return compiled


def _forgive(cache: Any) -> None:
    """Let errors of the files of one function be no errors of the function."""
    load, save = cache.load_overload, cache.save_overload

    def loaded(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # a damaged pickle raises nearly anything
            with suppress(OSError):
                cache.flush()
            return None

    def saved(*arguments: Any) -> None:
        try:
            save(*arguments)
        except Exception as error:
            _say(error)

    cache.load_overload, cache.save_overload = loaded, saved


def _say(error: Exception) -> None:
    # Numba names the function: its sentence would be another one for each.
    _say_once(getattr(error, "strerror", None) or "no folder for it can be written")


@cache
def _say_once(reason: str) -> None:
    message = f"compiled code cannot be kept ({reason}); set NUMBA_CACHE_DIR to a folder that can be written"
    warnings.warn(message, stacklevel=4)
