"""Losses in float32, with exp and log as fixed sequences of float32 operations.

Range reduction and polynomials follow Cephes' ``expf`` and ``logf`` (S. L. Moshier); every multiplication
and addition is rounded to float32, nothing is fused, so all machines agree bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mcusim.core import BadArgument
from mcusim.kernels.arrays import Array

F = np.float32
EXP = tuple(F(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                           1.6666665459e-1, 5.0000001201e-1))  # fmt: skip
LOG = tuple(F(c) for c in (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
                           1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
                           3.3333331174e-1))  # fmt: skip
LOG2E, LN2_HIGH, LN2_LOW, HALF_ROOT = F(1.44269504088896341), F(0.693359375), F(-2.12194440e-4), F(0.70710678)
LOWEST = F(-87.0)
"""exp of anything below counts as exp(-87): results stay normal numbers."""


def exponential(x: Array) -> Array:
    """Return exp(x) for -87 <= x <= 87; arguments outside are clamped."""
    x = np.clip(x.astype(F), LOWEST, -LOWEST)
    n = np.rint(x * LOG2E)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = np.full_like(r, EXP[0])
    for c in EXP[1:]:
        p = p * r + c
    p = (p * (r * r) + r) + F(1)
    scaled: Array = p * np.exp2(n).astype(F)
    return scaled


def logarithm(x: Any) -> Any:
    """Return the natural logarithm of positive normal numbers."""
    m, exponent = np.frexp(x)
    small = m < HALF_ROOT
    e = exponent.astype(F) - small.astype(F)
    m = np.where(small, m + m, m) - F(1)
    z = m * m
    p = LOG[0]
    for c in LOG[1:]:
        p = p * m + c
    y = (m * z) * p
    y = y + LN2_LOW * e
    y = y - F(0.5) * z
    return (m + y) + LN2_HIGH * e


def softmax_cross_entropy(logits: Array, label: int, gradient: Array, *, smoothing: float = 0.0) -> float:
    """Return the cross-entropy of softmax(logits) with the target; write its gradient, softmax - target.

    The target is onehot(label), of which the part ``smoothing`` is spread over all classes alike.
    """
    if not 0 <= label < logits.size:
        raise BadArgument(f"label {label}", f"is not a class: there are {logits.size}")
    shifted = logits - logits.max()
    e = exponential(shifted)
    total = F(0)
    for value in e:
        total = total + value
    gradient[...] = e / total
    gradient[label] -= F(1)
    loss = logarithm(total) - shifted[label]
    if smoothing:
        part = F(smoothing) / F(logits.size)
        gradient -= part
        gradient[label] += F(smoothing)
        behind = F(0)
        for value in shifted:
            behind = behind + (shifted[label] - value)
        loss = loss + part * behind
    return float(loss)


def mean_squared_error(output: Array, target: Array, gradient: Array) -> float:
    """Return mean((output - target)**2); write 2 (output - target) / n to ``gradient``."""
    difference = output - target
    total = F(0)
    for value in difference:
        total = total + value * value
    gradient[...] = difference * (F(2) / F(output.size))
    return float(total / F(output.size))


def pixel_cross_entropy(logits: Array, labels: Array, gradient: Array, *, smoothing: float = 0.0) -> float:
    """Return the mean of ``softmax_cross_entropy`` over pixels; write its gradient."""
    total = F(0)
    for row, label, out in zip(logits, labels, gradient, strict=True):
        total = total + F(softmax_cross_entropy(row, int(label), out, smoothing=smoothing))
        out /= F(len(labels))
    return float(total / F(len(labels)))


def sigmoid_cross_entropy(logits: Array, target: Array, gradient: Array) -> float:
    """Return mean(log(1 + exp(z)) - t z); write (sigmoid(z) - t) / n to ``gradient``.

    Both are computed from exp(-|z|), which never overflows: log(1 + exp(z)) is
    max(z, 0) + log(1 + exp(-|z|)).
    """
    e = exponential(-np.abs(logits))
    t = target.astype(F)
    gradient[...] = (np.where(logits >= 0, F(1), e) / (F(1) + e) - t) / F(logits.size)
    total = F(0)
    for z, value, small in zip(logits, t, e, strict=True):
        total = total + ((max(z, F(0)) - z * value) + logarithm(F(1) + small))
    return float(total / F(logits.size))
