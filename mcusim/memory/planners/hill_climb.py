"""Hill climbing over the order in which blocks are placed."""

from __future__ import annotations

import random

from mcusim.memory.planners.orders import by_pressure
from mcusim.memory.planners.placing import Placing
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution

DEFAULT_EFFORT = 100_000
"""Placements of single blocks: a second or less of work."""


@PLANNERS.register("hill_climb")
def hill_climb(problem: Problem, /, *, seed: int = 0, effort: int | None = None) -> Solution:
    """Improve an order step by step until the lower bound or the ``effort`` is reached.

    ``effort`` counts placements of single blocks, by default ``DEFAULT_EFFORT``; ``seed`` drives
    the choice of steps.
    """
    placing = Placing(problem)
    offsets = climb(placing, by_pressure(problem), seed=seed, effort=effort)
    return placing.solution("hill_climb", offsets)


def climb(placing: Placing, order: list[int], *, seed: int, effort: int | None) -> list[int]:
    """Return the offsets of the lowest placement found from ``order`` on.

    A step takes the block that reaches highest, picks one of the blocks that hold it up, directly
    or through others, and moves it, or the block itself, to another turn among them. Steps to
    equal heights are kept, so that the climb can cross plateaus.
    """
    rng = random.Random(seed)
    budget = placing.placements + (DEFAULT_EFFORT if effort is None else effort)
    offsets = [-1] * len(order)
    height = placing.place(order, offsets)
    while height > placing.bound.bytes and placing.placements < budget:
        turns = _turns_to_change(placing, order, offsets, height)
        if len(turns) < 2:
            break
        first, second = sorted(rng.sample(turns, 2))
        trial = order.copy()
        trial.insert(first, trial.pop(second))
        new = offsets.copy()
        below = max((offsets[i] + placing.sizes[i] for i in order[:first]), default=0)
        new_height = max(below, placing.place(trial, new, start=first, limit=height))
        if new_height <= height:
            order, offsets, height = trial, new, new_height
    return offsets


def _turns_to_change(placing: Placing, order: list[int], offsets: list[int], height: int) -> list[int]:
    """Return the turns of the highest blocks and of all blocks that hold them up."""
    sizes = placing.sizes
    turn_of = {index: turn for turn, index in enumerate(order)}
    todo = [i for i in order if offsets[i] + sizes[i] == height]
    seen = set(todo)
    while todo:
        index = todo.pop()
        for other, _, theirs in placing.neighbours[index]:
            if (
                other not in seen
                and offsets[other] < offsets[index] <= offsets[other] + theirs + placing.aligns[index] - 1
                and turn_of[other] < turn_of[index]
            ):
                seen.add(other)
                todo.append(other)
    return [turn_of[i] for i in seen]
