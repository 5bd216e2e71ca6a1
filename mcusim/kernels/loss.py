"""Losses in float32: the compiled form of ``reference/loss.py``, operation for operation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument
from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.reference.loss import EXP, HALF_ROOT, LN2_HIGH, LN2_LOW, LOG, LOG2E, LOWEST

ONE, HALF = np.float32(1), np.float32(0.5)


@inner
def exponential(x):  # type: ignore[no-untyped-def]
    """Return exp of one float32; see the slow twin."""
    x = min(max(x, LOWEST), -LOWEST)
    n = np.rint(x * LOG2E)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    p = EXP[0]
    for i in range(1, len(EXP)):
        p = p * r + EXP[i]
    p = (p * (r * r) + r) + ONE
    return np.float32(math.ldexp(np.float64(p), int(n)))


@inner
def logarithm(x):  # type: ignore[no-untyped-def]
    """Return the natural logarithm of a positive normal float32; see the slow twin."""
    mantissa, exponent = math.frexp(np.float64(x))
    m, e = np.float32(mantissa), np.float32(exponent)
    if m < HALF_ROOT:
        e -= ONE
        m = (m + m) - ONE
    else:
        m = m - ONE
    z = m * m
    p = LOG[0]
    for i in range(1, len(LOG)):
        p = p * m + LOG[i]
    y = (m * z) * p
    y = y + LN2_LOW * e
    y = y - HALF * z
    return (m + y) + LN2_HIGH * e


@inner
def smooth(logits, top, label, gradient, smoothing):  # type: ignore[no-untyped-def]
    """Make the gradient that of a smoothed target; return by how much the loss is more."""
    part, behind = smoothing / np.float32(logits.size), np.float32(0)
    for i in range(logits.size):
        gradient[i] -= part
        behind += (logits[label] - top) - (logits[i] - top)
    gradient[label] += smoothing
    return part * behind


@compiled
def _cross_entropy(logits, label, gradient, smoothing):  # type: ignore[no-untyped-def]
    top = logits[0]
    for value in logits:
        top = max(top, value)
    total = np.float32(0)
    for i in range(logits.size):
        gradient[i] = exponential(logits[i] - top)
        total += gradient[i]
    for i in range(logits.size):
        gradient[i] /= total
    gradient[label] -= ONE
    loss = logarithm(total) - (logits[label] - top)
    if smoothing > 0:
        loss += smooth(logits, top, label, gradient, smoothing)
    return loss


@compiled
def _squared_error(output, target, gradient):  # type: ignore[no-untyped-def]
    total, factor = np.float32(0), np.float32(2) / np.float32(output.size)
    for i in range(output.size):
        difference = output[i] - target[i]
        total += difference * difference
        gradient[i] = difference * factor
    return total / np.float32(output.size)


@compiled
def _pixel_cross_entropy(logits, labels, gradient, smoothing):  # type: ignore[no-untyped-def]
    pixels = np.float32(labels.size)
    total = np.float32(0)
    for p in range(labels.size):
        top = logits[p, 0]
        for c in range(1, logits.shape[1]):
            top = max(top, logits[p, c])
        scale = np.float32(0)
        for c in range(logits.shape[1]):
            gradient[p, c] = exponential(logits[p, c] - top)
            scale += gradient[p, c]
        for c in range(logits.shape[1]):
            gradient[p, c] /= scale
        gradient[p, labels[p]] -= ONE
        loss = logarithm(scale) - (logits[p, labels[p]] - top)
        if smoothing > 0:
            loss += smooth(logits[p], top, labels[p], gradient[p], smoothing)
        for c in range(logits.shape[1]):
            gradient[p, c] /= pixels
        total += loss
    return total / pixels


@compiled
def _sigmoid_cross_entropy(logits, target, gradient):  # type: ignore[no-untyped-def]
    count = np.float32(logits.size)
    total = np.float32(0)
    for i in range(logits.size):
        z, t = logits[i], np.float32(target[i])
        e = exponential(-abs(z))
        sigmoid = (ONE if z >= 0 else e) / (ONE + e)
        gradient[i] = (sigmoid - t) / count
        total += (max(z, np.float32(0)) - z * t) + logarithm(ONE + e)
    return total / count


def softmax_cross_entropy(
    logits: NDArray[np.float32], label: int, gradient: NDArray[np.float32], *, smoothing: float = 0.0
) -> float:
    """Return the cross-entropy of softmax(logits) with a target; write softmax - target to ``gradient``.

    The target is onehot(label), of which the part ``smoothing`` is spread over all classes alike
    (Szegedy et al. 2016, arXiv 1512.00567, section 7).

    Args:
        logits: float32 of shape (classes,).
        label: 0 <= label < classes.
        gradient: float32 of shape (classes,), written.
        smoothing: from 0 to below 1.

    Raises:
        BadArgument: if the label is no class.
    """
    if not 0 <= label < logits.size:
        raise BadArgument(f"label {label}", f"is not a class: there are {logits.size}")
    return float(_cross_entropy(logits, int(label), gradient, np.float32(smoothing)))


def mean_squared_error(
    output: NDArray[np.float32], target: NDArray[np.float32], gradient: NDArray[np.float32]
) -> float:
    """Return mean((output - target)**2); write 2 (output - target) / n to ``gradient``.

    All three are float32 of shape (n,).

    Raises:
        BadArgument: if the sizes differ.
    """
    if not output.size == target.size == gradient.size:
        raise BadArgument("target", f"has {target.size} elements and the output {output.size}")
    return float(_squared_error(output, target, gradient))


def pixel_cross_entropy(
    logits: NDArray[np.float32], labels: NDArray[np.uint8], gradient: NDArray[np.float32], *,
    smoothing: float = 0.0,
) -> float:  # fmt: skip
    """Return the mean of ``softmax_cross_entropy`` over pixels; write its gradient.

    Args:
        logits: float32 of shape (pixels, classes).
        labels: of shape (pixels,).
        gradient: float32 of shape (pixels, classes), written.
        smoothing: from 0 to below 1.

    Raises:
        BadArgument: if a label is no class, or the sizes differ.
    """
    if logits.shape != gradient.shape or labels.shape != logits.shape[:1]:
        raise BadArgument("labels", f"are {labels.shape} for logits {logits.shape}")
    if int(labels.max()) >= logits.shape[1]:
        raise BadArgument(f"label {int(labels.max())}", f"is not a class: there are {logits.shape[1]}")
    return float(_pixel_cross_entropy(logits, labels, gradient, np.float32(smoothing)))


def sigmoid_cross_entropy(
    logits: NDArray[np.float32], target: NDArray[np.uint8], gradient: NDArray[np.float32]
) -> float:
    """Return mean(log(1 + exp(z)) - t z); write (sigmoid(z) - t) / n to ``gradient``.

    Args:
        logits: z, float32 of shape (n,).
        target: t, zeros and ones of shape (n,).
        gradient: float32 of shape (n,), written.

    Raises:
        BadArgument: if the sizes differ.
    """
    if not logits.size == target.size == gradient.size:
        raise BadArgument("target", f"has {target.size} elements and the output {logits.size}")
    return float(_sigmoid_cross_entropy(logits, target, gradient))
