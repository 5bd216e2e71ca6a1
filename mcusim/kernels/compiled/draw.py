"""numpy's seeding and PCG64 in compiled code: the draws of channels that training makes in every step.

`SeedSequence` hashes words of entropy into a pool of four and words of state out of it; PCG64 is the
generator XSL-RR 128/64 (M. E. O'Neill, 2014). Both are documented by numpy, and their streams never change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcusim.kernels.compiled.cache import compiled
from mcusim.kernels.compiled.compiler import inner
from mcusim.kernels.compiled.prepared import address_of, array_at, record_at

U32, U64 = np.uint32, np.uint64
POOL = 4
INIT_A, MULT_A, INIT_B, MULT_B = U32(0x43B0D7E5), U32(0x931E8875), U32(0x8B51F9DD), U32(0x58F38DED)
MIX_LEFT, MIX_RIGHT, SHIFT = U32(0xCA01F9DD), U32(0x4973F715), U32(16)
STEP_HIGH, STEP_LOW = U64(2549297995355413924), U64(4865540595714422341)
HALF, LOW = U64(32), U64(0xFFFFFFFF)
WORDS = POOL + 2
RECORD = np.dtype([(name, np.int64) for name in ("seed", "stage", "count", "rows", "chosen", "scratch")])
ROW = np.dtype([(name, np.int64) for name in ("path", "channels", "size")])


@inner
def _hashed(value, key):  # type: ignore[no-untyped-def]
    value = U32(U32(value ^ key) * U32(key * MULT_A))
    return U32(value ^ (value >> SHIFT)), U32(key * MULT_A)


@inner
def _mixed(x, y):  # type: ignore[no-untyped-def]
    value = U32(U32(MIX_LEFT * x) - U32(MIX_RIGHT * y))
    return U32(value ^ (value >> SHIFT))


@inner
def _advance(high, low, add_high, add_low):  # type: ignore[no-untyped-def]
    """Return state * STEP + increment, 128 bits as two words."""
    a, b, c, d = low & LOW, low >> HALF, STEP_LOW & LOW, STEP_LOW >> HALF
    middle = ((a * c) >> HALF) + ((a * d) & LOW) + ((b * c) & LOW)
    carried = b * d + ((a * d) >> HALF) + ((b * c) >> HALF) + (middle >> HALF)
    low, high = ((a * c) & LOW) | (middle << HALF), carried + high * STEP_LOW + low * STEP_HIGH
    total = low + add_low
    return high + add_high + U64(1 if total < low else 0), total


@inner
def _state(seed, path, stage, scratch):  # type: ignore[no-untyped-def]
    """Return the first state and the increment of PCG64, as numpy seeds it from three words of entropy."""
    entropy, pool = array_at(scratch, WORDS, np.uint32), array_at(scratch + 4 * WORDS, POOL, np.uint32)
    for i in range(WORDS):
        entropy[i] = 0
    entropy[0], entropy[POOL], entropy[POOL + 1] = U32(seed), U32(path), U32(stage)
    key = INIT_A
    for i in range(POOL):
        pool[i], key = _hashed(entropy[i], key)
    for source in range(WORDS):
        for target in range(POOL):
            if source != target:
                value, key = _hashed(pool[source] if source < POOL else entropy[source], key)
                pool[target] = _mixed(pool[target], value)
    words, key = array_at(scratch + 4 * (WORDS + POOL), 4, np.uint64), INIT_B
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
    return high, low, add_high, add_low


@inner
def _ascending(chosen, size):  # type: ignore[no-untyped-def]
    for i in range(1, size):
        value, place = chosen[i], i
        while place > 0 and chosen[place - 1] > value:
            chosen[place] = chosen[place - 1]
            place -= 1
        chosen[place] = value


@compiled
def draw(address):  # type: ignore[no-untyped-def]
    """Write the subset of every row one behind the other."""
    a = record_at(address, RECORD)
    out = a.chosen
    smallest = array_at(a.scratch, 1 << 40, np.uint64)
    for i in range(a.count):
        row = record_at(a.rows + i * 24, ROW)
        channels, size = row.channels, row.size
        high, low, add_high, add_low = _state(a.seed, row.path, a.stage, a.scratch)
        chosen = array_at(out, size, np.int32)
        # The smallest words so far, ascending; of equal ones the earlier drawn comes first.
        kept = 0
        for index in range(channels):
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
            kept = kept + 1 if kept < size else size
        _ascending(chosen, size)
        out += 4 * size
    return 0


class Subsets:
    """Draws one subset of channels a layer, all in one call.

    Args:
        wanted: for each layer how many channels it has, and how many are drawn; its place in the list is
            the first number of its path.
    """

    def __init__(self, wanted: tuple[tuple[int, int], ...]) -> None:
        rows = [(path, channels, min(size, channels)) for path, (channels, size) in enumerate(wanted)]
        ends = np.cumsum([size for _, _, size in rows], dtype=np.int64).tolist()
        self._parts = [slice(end - row[2], end) for end, row in zip(ends, rows, strict=True)]
        self._total = ends[-1] if ends else 0
        self._rows = np.array(rows, ROW)
        largest = max((size for _, _, size in rows), default=0)
        self._scratch = np.zeros(max(largest, WORDS + POOL), np.uint64)
        self._record = np.zeros(1, RECORD)
        where = address_of(self._rows), 0, address_of(self._scratch)
        self._record[0] = (0, 0, len(rows), *where)
        self._numbers = self._record.view(np.int64)
        self._address = address_of(self._record)

    def __call__(self, seed: int, stage: int) -> list[NDArray[np.int32]]:
        """Return what ``Draws(seed, place, stage).subset`` does for each layer; both are one word."""
        chosen = np.empty(self._total, np.int32)
        numbers = self._numbers
        numbers[0], numbers[1], numbers[4] = seed, stage, chosen.ctypes.data
        draw(self._address)
        return [chosen[part] for part in self._parts]
