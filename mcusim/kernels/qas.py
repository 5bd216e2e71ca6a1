"""Quantisation-aware scaling (arXiv 2206.15472), with a guard for dead channels.

With weights W = s_W * W̄, a step of SGD on the real weight is a step of g / s_W**2 on the integer one; for
a bias b = s_x * s_W * b̄ it is g / (s_x * s_W)**2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.graph import Op
from mcusim.kernels.arrays import Tensors
from mcusim.kernels.scales import scale_of, weight_scales

DEAD_SCALE = 1e-5
DEAD_RATIO = 1e-3


def dead_channels(scales: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which output channels are dead: s_W < 1e-5, or s_W < median(s_W) / 1000.

    Pruned or never active channels keep scales near 1e-9; dividing by their squares lets one step throw
    their weights to the ends of the range. They do not learn.
    """
    return (scales < DEAD_SCALE) | (scales < DEAD_RATIO * np.median(scales))


def qas_weight(op: Op, tensors: Tensors) -> NDArray[np.float32]:
    """Return 1 / s_W**2, one an output channel; 0 for dead channels, 1 for float32 weights."""
    weight = tensors[op.inputs[1]]
    if weight.dtype == "float32":
        return np.ones(weight.shape[0], np.float32)
    return _inverse_square(weight_scales(op, tensors), 1.0)


def qas_bias(op: Op, tensors: Tensors) -> NDArray[np.float32]:
    """Return 1 / (s_x * s_W)**2, one an output channel; 0 for dead channels, 1 for float32 biases."""
    weight = tensors[op.inputs[1]]
    if weight.dtype == "float32":
        return np.ones(weight.shape[0], np.float32)
    return _inverse_square(weight_scales(op, tensors), scale_of(tensors[op.inputs[0]]))


def _inverse_square(scales: NDArray[np.float64], s_x: float) -> NDArray[np.float32]:
    alive = ~dead_channels(scales)
    factors = np.zeros(scales.size, np.float64)
    factors[alive] = 1.0 / (scales[alive] * s_x) ** 2
    return factors.astype(np.float32)
