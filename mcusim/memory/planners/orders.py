"""Orders in which a greedy planner may take the blocks; ties fall back to the order of the problem."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcusim.memory.bound import live_over_time
from mcusim.memory.problem import Problem

Order = Callable[[Problem], list[int]]
"""Returns the numbers of a problem's blocks, the first to be placed first."""


def by_size(problem: Problem) -> list[int]:
    """Largest first; equal sizes by birth."""
    blocks = problem.blocks
    return sorted(range(len(blocks)), key=lambda i: (-blocks[i].bytes, blocks[i].lifetime.start))


def by_lifetime(problem: Problem) -> list[int]:
    """Longest-lived first; equal lifetimes by size, then birth."""
    blocks = problem.blocks
    return sorted(
        range(len(blocks)),
        key=lambda i: (-len(blocks[i].lifetime), -blocks[i].bytes, blocks[i].lifetime.start),
    )


def by_pressure(problem: Problem) -> list[int]:
    """Those live when memory is fullest first; among them the longest-lived, then the largest."""
    blocks, pressure = problem.blocks, _pressure(problem)
    return sorted(
        range(len(blocks)), key=lambda i: (-pressure[i], -len(blocks[i].lifetime), -blocks[i].bytes)
    )


def by_pressure_and_size(problem: Problem) -> list[int]:
    """Those live when memory is fullest first; among them the largest, then the first born."""
    blocks, pressure = problem.blocks, _pressure(problem)
    return sorted(
        range(len(blocks)), key=lambda i: (-pressure[i], -blocks[i].bytes, blocks[i].lifetime.start)
    )


def _pressure(problem: Problem) -> list[int]:
    """Return for each block the most bytes that are live at any time of its life."""
    profile = live_over_time(problem.blocks, pad_to=problem.align, pairs=problem.pairs)
    lives = [(b.lifetime.start, b.lifetime.end) for b in problem.blocks]
    spans = np.searchsorted(profile.times, np.array(lives, np.int64).reshape(-1, 2))
    return [int(profile.bytes[first:last].max()) for first, last in spans]


ORDERS: dict[str, Order] = {
    "greedy_by_size": by_size,
    "greedy_by_pressure": by_pressure,
    "greedy_by_lifetime": by_lifetime,
    "greedy_by_pressure_and_size": by_pressure_and_size,
}
"""By the name of the greedy planner that takes the blocks so, in the order in which ``best`` tries them."""
