"""Bytes copied to where kernels want them: as uint8, padded, out of the way of an output."""

from __future__ import annotations

import numpy as np

from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.vector import simd

copy = simd.copy


@inner
def flip(source, target, count):  # type: ignore[no-untyped-def]
    """Copy int8 as uint8, each plus 128."""
    done = 0
    while count - done >= 64:
        simd.flip_64(source + done, target + done)
        done += 64
    while done < count:
        simd.flip_first(source + done, target + done, min(count - done, 16))
        done += 16


@inner
def fill(target, value, count):  # type: ignore[no-untyped-def]
    """Set bytes."""
    for i in range(0, count, 16):
        simd.fill_first(target + i, np.int32(value), min(count - i, 16))
