"""What follows in a PyTorch graph from constants and shapes alone: zeros that a module makes, positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mcusim.core import BadModel

Fold = Callable[..., Any]
LARGEST = 1 << 24
"""Elements of a constant that a graph may make."""


def fold(target: str, shape: tuple[int, ...], args: list[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return what an operation gives as an array, or a list of them; None if no rule is known for it.

    Args:
        target: the operation, without ``aten.``.
        shape: of what it gives.
        args, kwargs: its arguments, arrays where they are constants.
    """
    rule = FOLDS.get(target) or FOLDS.get(target.split(".")[0])
    if rule is None:
        return None
    if int(np.prod(shape)) > LARGEST:
        raise BadModel(
            target, f"makes a constant of shape {shape}", "make it smaller, or give it as an input"
        )
    return rule(shape, *args, **kwargs)


def _filled(value: float) -> Fold:
    return lambda shape, *_, **__: np.full(shape, value, np.float32)


def _full(shape: tuple[int, ...], _: Any, value: float, **__: Any) -> Any:
    return np.full(shape, value, np.float32)


def _arange(
    shape: tuple[int, ...], first: float, last: float | None = None, step: float = 1, **_: Any
) -> Any:
    start = 0 if last is None else first
    return np.asarray(start + step * np.arange(shape[0]), np.float32)


def _same(shape: tuple[int, ...], x: Any, *_: Any, **__: Any) -> Any:
    return np.asarray(x)


def _reshaped(shape: tuple[int, ...], x: Any, *_: Any, **__: Any) -> Any:
    return np.reshape(x, shape)


def _expand(shape: tuple[int, ...], x: Any, *_: Any, **__: Any) -> Any:
    return np.ascontiguousarray(np.broadcast_to(x, shape))


def _slice(
    shape: tuple[int, ...], x: Any, axis: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]


def _split(shape: tuple[int, ...], x: Any, size: Any, axis: int = 0) -> Any:
    sizes = size if isinstance(size, int) else np.cumsum(size)[:-1]
    return np.split(x, range(sizes, x.shape[axis], sizes) if isinstance(size, int) else sizes, axis)


def _pair(function: Callable[[Any, Any], Any]) -> Fold:
    def rule(shape: tuple[int, ...], a: Any, b: Any, *, alpha: float = 1, **_: Any) -> Any:
        return np.asarray(function(a, b * alpha), np.float32)

    return rule


FOLDS: dict[str, Fold] = {
    "zeros": _filled(0), "ones": _filled(1), "full": _full, "zeros_like": _filled(0),
    "ones_like": _filled(1), "full_like": _full, "new_zeros": _filled(0), "new_ones": _filled(1),
    "arange": _arange, "lift_fresh_copy": _same, "clone": _same, "detach": _same, "detach_": _same,
    "alias": _same, "to": _same, "_to_copy": _same, "contiguous": _same,
    "view": _reshaped, "reshape": _reshaped, "squeeze": _reshaped, "unsqueeze": _reshaped,
    "flatten": _reshaped, "expand": _expand,
    "permute": lambda shape, x, axes: np.transpose(x, axes),
    "transpose": lambda shape, x, one=0, other=1: np.swapaxes(x, one, other),
    "t": lambda shape, x: np.transpose(x),
    "slice": _slice, "select": lambda shape, x, axis, index: np.take(x, index, axis),
    "split": _split, "split_with_sizes": _split,
    "unbind": lambda shape, x, axis=0: [np.take(x, i, axis) for i in range(x.shape[axis])],
    "<built-in function getitem>": lambda shape, parts, index: parts[index],
    "cat": lambda shape, parts, axis=0: np.concatenate(parts, axis),
    "stack": lambda shape, parts, axis=0: np.stack(parts, axis),
    "add": _pair(np.add), "sub": _pair(np.subtract), "mul": _pair(np.multiply), "div": _pair(np.divide),
    "linear": lambda shape, x, weight, bias=0: x @ weight.T + bias,
    "tanh": lambda shape, x: np.tanh(x), "relu": lambda shape, x: np.maximum(x, 0),
    "sigmoid": lambda shape, x: 1 / (1 + np.exp(-x)),
    "neg": lambda shape, x: np.negative(x), "exp": lambda shape, x: np.exp(x),
    "sin": lambda shape, x: np.sin(x), "cos": lambda shape, x: np.cos(x),
    "pow": lambda shape, x, exponent: np.power(x, exponent),
}  # fmt: skip
"""By operation: of the shape it gives and its arguments."""
