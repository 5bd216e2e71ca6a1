"""Problems that fill their capacity without a spare byte, to try planners on: an optimum is known."""

from __future__ import annotations

import random

from mcusim.core import Interval
from mcusim.memory.block import Block
from mcusim.memory.problem import Problem


def tiling(count: int, seed: int, *, width: int = 400, height: int = 1 << 16) -> Problem:
    """Return blocks that fill ``width`` ops times ``height`` bytes: one, cut in two again and again.

    Args:
        count: blocks to end with.
        seed: of the cuts and of the order of the blocks.
        width: ops that the problem lasts.
        height: bytes of its capacity, and of its lowest placement.
    """
    rng = random.Random(seed)
    pieces = [(0, width, 0, height)]
    while len(pieces) < count:
        a, b, low, high = pieces.pop(max(range(len(pieces)), key=lambda i: rng.random() * _area(pieces[i])))
        across = rng.random() < (b - a) / (b - a + (high - low) * width / height)
        if across and b - a > 1:
            cut = rng.randrange(a + 1, b)
            pieces += [(a, cut, low, high), (cut, b, low, high)]
        elif high - low > 1:
            cut = rng.randrange(low + 1, high)
            pieces += [(a, b, low, cut), (a, b, cut, high)]
        else:
            pieces.append((a, b, low, high))
    rng.shuffle(pieces)
    blocks = (Block(f"b{i}", high - low, Interval(a, b)) for i, (a, b, low, high) in enumerate(pieces))
    return Problem(tuple(blocks), capacity=height)


def _area(piece: tuple[int, int, int, int]) -> int:
    return (piece[1] - piece[0]) * (piece[3] - piece[2])
