"""Problems for the tests of this folder."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from mcusim.core import Interval, Role
from mcusim.memory.block import Block
from mcusim.memory.problem import Problem


def training_like(seed: int, *, layers: int = 20, align: int = 16) -> Problem:
    """A step of a made-up network: activations, saved features, masks, errors, gradients, weights."""
    rng = random.Random(seed)
    sizes = sorted(rng.choice([16, 24, 40, 96]) * rng.choice([16, 64, 256, 1024]) for _ in range(layers + 1))
    sizes.reverse()
    first_learning, end, blocks = rng.randint(0, layers - 3), 3 * layers + 1, []
    for i, size in enumerate(sizes):
        blocks.append(Block(f"act{i}", size, Interval(max(0, i - 1), i + 1)))
        if i < layers:
            blocks.append(Block(f"im2col{i}", rng.randint(100, 4000), Interval(i, i + 1), Role.SCRATCH))
    for i in range(first_learning, layers):
        back = layers + 1 + 2 * (layers - 1 - i)
        feature = max(1, sizes[i] // rng.choice([1, 4, 10, 50]))
        blocks += [
            Block(f"feature{i}", feature, Interval(i, back + 2), Role.FEATURE),
            Block(f"mask{i}", max(1, sizes[i] // 8), Interval(i, back + 1), Role.MASK),
            Block(f"error{i}", rng.choice([1, 2, 4]) * sizes[i], Interval(back - 2, back + 1), Role.ERROR),
            Block(f"grad{i}", rng.randint(100, 9000), Interval(back + 1, back + 2), Role.GRADIENT),
            Block(f"weight{i}", rng.randint(100, 9000), Interval(0, end), Role.WEIGHT),
        ]
    return Problem(tuple(blocks), align=align)


@pytest.fixture
def training_problem() -> Callable[..., Problem]:
    return training_like
