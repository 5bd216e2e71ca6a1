"""What one iteration shows of each learning channel, from the weight gradient that was computed anyway.

Sums run in float64 one after the other, so the result is the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def gradient_norm(gradient: Floats, qas: Floats) -> Floats:
    """Return the L2 norm of the gradient with respect to the real weights of each channel.

    Args:
        gradient: with respect to the integer weights, one block a selected channel: ``(n, kh, kw, C_out)``,
            depthwise ``(n, kh, kw, multiplier)``, fully connected ``(n, C_out)``.
        qas: 1 / s_W² of every weight of the last axis, 0 for dead channels, shape ``(C_out,)``; depthwise
            ``(n, multiplier)``, those of the selected channels.

    Returns:
        float32, shape ``(n,)``: the statistic ``gradient-norm``.
    """
    squares = np.square(gradient.astype(np.float64))
    factors = qas.astype(np.float64)
    if factors.ndim == 2:
        factors = factors[:, None, None, :]
    return np.sqrt(_sums(squares * factors)).astype(np.float32)


def fisher(gradient: Floats, weights: NDArray[np.int8]) -> Floats:
    """Return (sum of weight * gradient)² of each channel; both arrays have the layout of ``gradient``.

    Returns:
        float32, shape ``(n,)``: the statistic ``fisher``.
    """
    return np.square(_sums(gradient.astype(np.float64) * weights)).astype(np.float32)


def error_norm(errors: NDArray[np.number], scale: float) -> Floats:
    """Return the L1 norm of an error tensor whose stored values mean ``value * scale``.

    Returns:
        float32, shape ``(1,)``: the statistic ``error-norm``.
    """
    return (_sums(np.abs(errors.astype(np.float64)).reshape(1, -1)) * scale).astype(np.float32)


def _sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of each row, added from first to last."""
    if not values.size:
        return np.zeros(values.shape[0])
    rows = values.reshape(values.shape[0], -1)
    return np.asarray(np.add.accumulate(rows, axis=1)[:, -1], np.float64)
