"""Orders in which a greedy planner may take the blocks; ties fall back to the order of the problem."""

from __future__ import annotations

import numpy as np

from mcusim.memory.bound import live_profile
from mcusim.memory.problem import Problem


def by_size(problem: Problem) -> list[int]:
    """Largest first; equal sizes by birth. The order of TensorFlow Lite Micro's greedy planner."""
    blocks = problem.blocks
    return sorted(range(len(blocks)), key=lambda i: (-blocks[i].bytes, blocks[i].lifetime.start))


def by_lifetime(problem: Problem) -> list[int]:
    """Longest-lived first; equal lifetimes by size, then birth."""
    blocks = problem.blocks
    return sorted(
        range(len(blocks)),
        key=lambda i: (-len(blocks[i].lifetime), -blocks[i].bytes, blocks[i].lifetime.start),
    )


def by_area(problem: Problem) -> list[int]:
    """Largest product of bytes and ops first."""
    areas = [sum(len(lifetime) * size for lifetime, size in b.rectangles) for b in problem.blocks]
    return sorted(range(len(areas)), key=lambda i: -areas[i])


def by_pressure(problem: Problem) -> list[int]:
    """Blocks that are live when memory is fullest first; among those the longest-lived, then the largest."""
    blocks = problem.blocks
    profile = live_profile(blocks)
    pressure = []
    for block in blocks:
        first, last = np.searchsorted(profile.times, (block.lifetime.start, block.lifetime.end))
        pressure.append(int(profile.bytes[first:last].max()))
    return sorted(
        range(len(blocks)), key=lambda i: (-pressure[i], -len(blocks[i].lifetime), -blocks[i].bytes)
    )
