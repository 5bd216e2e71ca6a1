"""Results that are kept as long as the thing they are about is alive, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

S = TypeVar("S")
P = ParamSpec("P")
R = TypeVar("R")


def remembered(limit: int) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Return a decorator for a function of a subject (its first argument) and of hashable values.

    ``functools.lru_cache`` would keep the subjects, whole networks, alive. Here the subject is held weakly;
    so the result must not refer to it.

    Args:
        limit: how many results are kept for one subject; the oldest goes first.
    """

    def decorate(function: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        known: WeakKeyDictionary[S, dict[Any, R]] = WeakKeyDictionary()

        @wraps(function)
        def found(subject: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            results = known.setdefault(subject, {})
            key = (args, tuple(kwargs.items()))
            if key not in results:
                result = function(subject, *args, **kwargs)
                while len(results) >= limit:
                    del results[next(iter(results))]
                results[key] = result
            return results[key]

        return found

    return decorate
