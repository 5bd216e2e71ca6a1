"""Losses in float32 on records: the compiled form of ``reference/loss.py``, operation for operation."""

from __future__ import annotations

import math

import numpy as np

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import array_at, record_at
from mcusim.kernels.reference.loss import EXP, HALF_ROOT, LN2_HIGH, LN2_LOW, LOG, LOG2E, LOWEST

FIELDS = (
    # Real logits, how many; targets, bytes of each, how many; the gradient, and what multiplies it.
    "logits", "count", "target", "target_bytes", "targets", "gradient", "chain",
    "value", "smoothing",
)  # fmt: skip
RECORD = np.dtype([(name, np.int64) for name in FIELDS])
"""All are addresses or counts; ``chain`` may be 0, ``smoothing`` and ``value`` point to a float32 each."""
REALS = np.dtype([(name, np.int64) for name in ("x", "bytes", "count", "scale", "zero", "out")])
CLASS_BYTES = 8
"""Of the number of a class, int64; labels of pixels are uint8."""
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
def _cross_entropy(logits, label, gradient, smoothing):  # type: ignore[no-untyped-def]
    """Return the loss of one row of logits; write its gradient."""
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
        part, behind = smoothing / np.float32(logits.size), np.float32(0)
        for i in range(logits.size):
            gradient[i] -= part
            behind += (logits[label] - top) - (logits[i] - top)
        gradient[label] += smoothing
        loss += part * behind
    return loss


@inner
def _finish(a, loss):  # type: ignore[no-untyped-def]
    """Write the loss, and the gradient with respect to what the logits were made of."""
    array_at(a.value, 1, np.float32)[0] = loss
    if a.chain != 0:
        gradient, chain = array_at(a.gradient, a.count, np.float32), array_at(a.chain, a.count, np.float32)
        for i in range(a.count):
            gradient[i] *= chain[i]


@compiled
def softmax(address):  # type: ignore[no-untyped-def]
    """Mean of the cross-entropy of rows of logits with a class each; return 1 if one is no class."""
    a = record_at(address, RECORD)
    rows, classes, wide = a.targets, a.count // a.targets, a.target_bytes == CLASS_BYTES
    number, labels = array_at(a.target, rows, np.int64), array_at(a.target, rows, np.uint8)
    for p in range(rows):
        label = number[p] if wide else np.int64(labels[p])
        if label < 0 or label >= classes:
            return 1
    smoothing = array_at(a.smoothing, 1, np.float32)[0]
    total, many = np.float32(0), np.float32(rows)
    for p in range(rows):
        label = number[p] if wide else np.int64(labels[p])
        logits = array_at(a.logits + 4 * p * classes, classes, np.float32)
        gradient = array_at(a.gradient + 4 * p * classes, classes, np.float32)
        total += _cross_entropy(logits, label, gradient, smoothing)
        for c in range(classes if rows > 1 else 0):
            gradient[c] /= many
    _finish(a, total / many)
    return 0


@compiled
def squares(address):  # type: ignore[no-untyped-def]
    """Mean of squared differences; return 0."""
    a = record_at(address, RECORD)
    output, target = array_at(a.logits, a.count, np.float32), array_at(a.target, a.count, np.float32)
    gradient = array_at(a.gradient, a.count, np.float32)
    total, factor = np.float32(0), np.float32(2) / np.float32(a.count)
    for i in range(a.count):
        difference = output[i] - target[i]
        total += difference * difference
        gradient[i] = difference * factor
    _finish(a, total / np.float32(a.count))
    return 0


@compiled
def sigmoids(address):  # type: ignore[no-untyped-def]
    """Mean of the cross-entropy of sigmoids with labels of zeros and ones, uint8; return 0."""
    a = record_at(address, RECORD)
    logits, target = array_at(a.logits, a.count, np.float32), array_at(a.target, a.count, np.uint8)
    gradient = array_at(a.gradient, a.count, np.float32)
    count, total = np.float32(a.count), np.float32(0)
    for i in range(a.count):
        z, t = logits[i], np.float32(target[i])
        e = exponential(-abs(z))
        sigmoid = (ONE if z >= 0 else e) / (ONE + e)
        gradient[i] = (sigmoid - t) / count
        total += (max(z, np.float32(0)) - z * t) + logarithm(ONE + e)
    _finish(a, total / count)
    return 0


@compiled
def reals(address):  # type: ignore[no-untyped-def]
    """Write (x - zero) * scale of int8, int16 or int32 as float32, every element with its own scale."""
    a = record_at(address, REALS)
    few, some = array_at(a.x, a.count, np.int8), array_at(a.x, a.count, np.int16)
    many, zero = array_at(a.x, a.count, np.int32), np.float32(a.zero)
    scale, out = array_at(a.scale, a.count, np.float32), array_at(a.out, a.count, np.float32)
    for i in range(a.count):
        x = np.int32(few[i]) if a.bytes == 1 else np.int32(some[i]) if a.bytes == 2 else many[i]
        out[i] = (np.float32(x) - zero) * scale[i]
