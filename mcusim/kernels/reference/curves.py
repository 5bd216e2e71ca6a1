"""What each curve computes, and its slope: float64 in, float64 out.

Definitions of ``alpha`` and ``beta`` as of https://onnx.ai/onnx/operators/ and of PyTorch's functions of the
same names; where a curve has one parameter it is ``alpha``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op
from mcusim.graph.curves import CurveName

Reals = NDArray[np.float64]
Computed = Callable[[Reals, float, float], Reals]
F = np.float32
_erf = np.frompyfunc(erf, 1, 1)


class Shape(NamedTuple):
    """A curve of x, alpha and beta, and its derivative by x."""

    value: Computed
    slope: Computed


def _sigmoid(x: Reals) -> Reals:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def _soft(x: Reals) -> Reals:
    """log(1 + exp(x)), of any x."""
    return np.asarray(np.logaddexp(0.0, x))


def _below(x: Reals) -> Reals:
    """exp(x) where x is below zero, 1 elsewhere."""
    return np.asarray(np.exp(np.minimum(x, 0.0)))


def _mish_slope(x: Reals, a: float, b: float) -> Reals:
    t = np.tanh(_soft(x))
    return np.asarray(t + x * (1 - t * t) * _sigmoid(x))


def _bent(x: Reals, alpha: float, stretch: float = 1.0) -> Reals:
    """X from zero up, alpha · (exp(x / stretch) - 1) below."""
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0.0) / stretch))


SHAPES: Mapping[CurveName, Shape] = {
    CurveName.ERF: Shape(
        lambda x, a, b: np.asarray(_erf(x), np.float64), lambda x, a, b: 2 / sqrt(pi) * np.exp(-x * x)
    ),
    CurveName.SOFTPLUS: Shape(lambda x, a, b: _soft(a * x) / a, lambda x, a, b: _sigmoid(a * x)),
    CurveName.SOFTSIGN: Shape(lambda x, a, b: x / (1 + np.abs(x)), lambda x, a, b: (1 + np.abs(x)) ** -2.0),
    CurveName.MISH: Shape(lambda x, a, b: x * np.tanh(_soft(x)), _mish_slope),
    CurveName.SELU: Shape(
        lambda x, a, b: b * _bent(x, a), lambda x, a, b: b * np.where(x >= 0, 1.0, a * _below(x))
    ),
    CurveName.CELU: Shape(
        lambda x, a, b: _bent(x, a, a),
        lambda x, a, b: np.where(x >= 0, 1.0, _below(x / a)),
    ),
    CurveName.ELU: Shape(
        lambda x, a, b: _bent(x, a),
        lambda x, a, b: np.where(x >= 0, 1.0, a * _below(x)),
    ),
    CurveName.LOG_SIGMOID: Shape(lambda x, a, b: -_soft(-x), lambda x, a, b: _sigmoid(-x)),
    CurveName.THRESHOLD: Shape(
        lambda x, a, b: np.where(x > a, x, b),
        lambda x, a, b: np.where(x > a, 1.0, 0.0),
    ),
    CurveName.SHRINK: Shape(
        lambda x, a, b: np.where(np.abs(x) > a, x - np.sign(x) * b, 0.0),
        lambda x, a, b: np.where(np.abs(x) > a, 1.0, 0.0),
    ),
    CurveName.HARD_SIGMOID: Shape(
        lambda x, a, b: np.clip(a * x + b, 0.0, 1.0),
        lambda x, a, b: np.where((a * x + b > 0) & (a * x + b < 1), a, 0.0),
    ),
    CurveName.CLIP: Shape(
        lambda x, a, b: np.clip(x, a, b),
        lambda x, a, b: np.where((x >= a) & (x <= b), 1.0, 0.0),
    ),
    CurveName.SINE: Shape(lambda x, a, b: np.sin(x), lambda x, a, b: np.cos(x)),
    CurveName.COSINE: Shape(lambda x, a, b: np.cos(x), lambda x, a, b: -np.sin(x)),
}


def value_of(op: Op, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what a CURVE makes of float32 numbers, rounded to float32 once."""
    return _computed(op, x, SHAPES[_curve(op)].value)


def slope_of(op: Op, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return its slope there."""
    return _computed(op, x, SHAPES[_curve(op)].slope)


def _curve(op: Op) -> CurveName:
    assert op.attributes.curve is not None, "validation asks for it"
    return op.attributes.curve


def _computed(op: Op, x: NDArray[np.float32], function: Computed) -> NDArray[np.float32]:
    found = function(np.asarray(x, np.float64), op.attributes.alpha, op.attributes.beta)
    return np.asarray(found, F)
