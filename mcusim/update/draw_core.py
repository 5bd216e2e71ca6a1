"""numpy's seeding and PCG64 in compiled code: the draws of `draw` that training makes in every step.

`SeedSequence` hashes words of entropy into a pool of four and words of state out of it; PCG64 is the
generator XSL-RR 128/64 (M. E. O'Neill, 2014). Both are documented by numpy, and their streams never change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.core.jit import njit

U32, U64 = np.uint32, np.uint64
POOL = 4
INIT_A, MULT_A, INIT_B, MULT_B = U32(0x43B0D7E5), U32(0x931E8875), U32(0x8B51F9DD), U32(0x58F38DED)
MIX_LEFT, MIX_RIGHT, SHIFT = U32(0xCA01F9DD), U32(0x4973F715), U32(16)
STEP_HIGH, STEP_LOW = U64(2549297995355413924), U64(4865540595714422341)
HALF, LOW = U64(32), U64(0xFFFFFFFF)

_inner = njit(nogil=True)


@_inner
def _hashed(value, key):  # type: ignore[no-untyped-def]
    value = U32(U32(value ^ key) * U32(key * MULT_A))
    return U32(value ^ (value >> SHIFT)), U32(key * MULT_A)


@_inner
def _mixed(x, y):  # type: ignore[no-untyped-def]
    value = U32(U32(MIX_LEFT * x) - U32(MIX_RIGHT * y))
    return U32(value ^ (value >> SHIFT))


@_inner
def _advance(high, low, add_high, add_low):  # type: ignore[no-untyped-def]
    """Return state * STEP + increment, 128 bits as two words."""
    a, b, c, d = low & LOW, low >> HALF, STEP_LOW & LOW, STEP_LOW >> HALF
    middle = ((a * c) >> HALF) + ((a * d) & LOW) + ((b * c) & LOW)
    carried = b * d + ((a * d) >> HALF) + ((b * c) >> HALF) + (middle >> HALF)
    low, high = ((a * c) & LOW) | (middle << HALF), carried + high * STEP_LOW + low * STEP_HIGH
    total = low + add_low
    return high + add_high + U64(1 if total < low else 0), total


@njit(cache=True, nogil=True)
def _subset(seed, first, second, count, size):  # type: ignore[no-untyped-def]
    entropy, chosen = np.zeros(POOL + 2, np.uint32), np.empty(size, np.int32)
    entropy[0], entropy[POOL], entropy[POOL + 1] = seed, first, second
    pool, key = np.empty(POOL, np.uint32), INIT_A
    for i in range(POOL):
        pool[i], key = _hashed(entropy[i], key)
    for source in range(entropy.size):
        for target in range(POOL):
            if source != target:
                value, key = _hashed(pool[source] if source < POOL else entropy[source], key)
                pool[target] = _mixed(pool[target], value)
    words, key = np.empty(4, np.uint64), INIT_B
    for i in range(8):
        value = U32(pool[i % POOL] ^ key)
        key = U32(key * MULT_B)
        value = U32(value * key)
        word = U64(U32(value ^ (value >> SHIFT)))
        words[i // 2] = word if i % 2 == 0 else words[i // 2] | (word << HALF)
    add_high, add_low = (words[2] << U64(1)) | (words[3] >> U64(63)), (words[3] << U64(1)) | U64(1)
    low = add_low + words[1]
    high = add_high + words[0] + U64(1 if low < add_low else 0)
    high, low = _advance(high, low, add_high, add_low)
    # The smallest words so far, ascending; of equal ones the earlier drawn comes first.
    smallest, kept = np.empty(size, np.uint64), 0
    for index in range(count):
        high, low = _advance(high, low, add_high, add_low)
        turn, folded = high >> U64(58), high ^ low
        word = (folded >> turn) | (folded << ((U64(64) - turn) & U64(63)))
        if kept == size and (size == 0 or word >= smallest[size - 1]):
            continue
        place = kept if kept < size else size - 1
        while place > 0 and smallest[place - 1] > word:
            smallest[place], chosen[place] = smallest[place - 1], chosen[place - 1]
            place -= 1
        smallest[place], chosen[place] = word, index
        kept = min(kept + 1, size)
    chosen.sort()
    return chosen


def subset(seed: int, first: int, second: int, count: int, size: int) -> NDArray[np.int32]:
    """Return ``Draws(seed, first, second).subset(count, size)``, for numbers of one word each."""
    found: NDArray[np.int32] = _subset(seed, first, second, count, min(size, count))
    return found
