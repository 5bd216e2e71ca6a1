"""Exact search with OR-tools' CP-SAT solver."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import ceil, gcd

from mcusim.core import BadProblem, MissingPackage
from mcusim.core.counted import ends_within
from mcusim.memory.planners.best import best
from mcusim.memory.planners.registry import PLANNERS
from mcusim.memory.problem import Problem, Solution, judge

DEFAULT_EFFORT = 30
"""Deterministic seconds: the solver's own count of work, near seconds on a desktop machine."""
DEFAULT_SECONDS = 600.0
MAX_UNITS = 2**40
"""Sizes in units of their common divisor stay below this, so that the solver's sums cannot wrap."""


@PLANNERS.register("exact")
def exact(
    problem: Problem, /, *, seed: int = 0, effort: int | None = None, time_limit_s: float | None = None
) -> Solution:
    """Return the lowest placement there is, or the best one found with what is proven about it.

    ``effort`` is in the solver's deterministic seconds (one thread, so the same seed and effort give
    the same result); ``time_limit_s`` is a wall-clock limit on top of it, ten minutes by default.
    Without a proof in time the status is ``feasible`` or ``unknown``, and ``lower_bound`` is the
    highest bound proven.

    Raises:
        MissingPackage: if OR-tools is needed and not installed. Problems on which a greedy planner
            reaches the liveness lower bound need no search.
        BadProblem: if sizes have no common divisor that brings them into the solver's range.
    """
    greedy = replace(best(problem, seed=seed, effort=1_000_000, time_limit_s=time_limit_s), planner="exact")
    capacity = problem.capacity
    if greedy.height <= greedy.lower_bound or (capacity is not None and greedy.lower_bound > capacity):
        return greedy
    try:
        from ortools.sat.python import cp_model
    except ImportError as error:
        raise MissingPackage("ortools", "exact planner", "exact") from error

    blocks = [block for block in problem.blocks if block.bytes]
    pairs = [pair for pair in problem.pairs if pair.old.bytes and pair.new.bytes]
    unit = gcd(*(s for b in blocks for _, s in b.rectangles), *(problem.align_of(b) for b in blocks))
    if greedy.height // unit >= MAX_UNITS:
        raise BadProblem("problem", "has sizes too large for the exact planner", "use hill_climb")
    moments = {m for b in blocks for r, _ in b.rectangles for m in (r.start, r.end)}
    moments |= {pair.time + late for pair in pairs for late in (0, 1)}
    rank = {moment: index for index, moment in enumerate(sorted(moments))}
    model = cp_model.CpModel()
    top = greedy.height // unit
    height = model.new_int_var(-(-greedy.lower_bound // unit), top, "height")
    places: list[cp_model.IntVar] = []
    for block in blocks:
        step = problem.align_of(block) // unit
        size = block.bytes // unit
        place = model.new_int_var(0, (top - size) // step, block.name)
        model.add_hint(place, greedy.offsets[block.name] // unit // step)
        model.add(place * step + size <= height)
        for gap in problem.gaps:
            below = model.new_bool_var("below")
            model.add(place * step + size <= gap // unit).only_enforce_if(below)
            model.add(place * step >= -(-gap // unit)).only_enforce_if(~below)
        for low, high in block.barred:
            below = model.new_bool_var("under")
            model.add(place * step + size <= low // unit).only_enforce_if(below)
            model.add(place * step >= -(-high // unit)).only_enforce_if(~below)
        places.append(place)
    # Of two that may overlap, each keeps clear of all others in a plane of its own, where the other one is
    # not yet, or no longer, at the op they share.
    begins, ends = {pair.new.name for pair in pairs}, {pair.old.name for pair in pairs}
    for shorter in {frozenset(begins), frozenset(ends)}:
        times, spaces = [], []
        for block, place in zip(blocks, places, strict=True):
            late = shorter == begins and block.name in begins
            early = shorter == ends and block.name in ends
            for lifetime, bytes_ in block.rectangles:
                first, last = rank[lifetime.start], rank[lifetime.end]
                first = rank[lifetime.start + 1] if late and lifetime.start == block.lifetime.start else first
                last = rank[lifetime.end - 1] if early and lifetime.end == block.lifetime.end else last
                if first < last:
                    start = place * (problem.align_of(block) // unit)
                    spaces.append(model.new_fixed_size_interval_var(start, bytes_ // unit, "space"))
                    times.append(model.new_fixed_size_interval_var(first, last - first, "time"))
        model.add_no_overlap_2d(times, spaces)
    at = {b.name: place * (problem.align_of(b) // unit) for b, place in zip(blocks, places, strict=True)}
    distance = {(pair.old.name, pair.new.name): pair.distance for pair in pairs}
    for first_pair, second_pair in product(pairs, repeat=2):
        if first_pair.time == second_pair.time:  # what neither plane holds apart
            old, new = first_pair.old, second_pair.new
            least = distance.get((old.name, new.name), new.bytes)
            below = model.new_bool_var("overlap")
            model.add(at[new.name] + -(-least // unit) <= at[old.name]).only_enforce_if(below)
            model.add(at[new.name] >= at[old.name] + first_pair.left // unit).only_enforce_if(~below)
    model.minimize(height)

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = seed
    solver.parameters.max_deterministic_time = float(DEFAULT_EFFORT if effort is None else effort)
    solver.parameters.max_time_in_seconds = DEFAULT_SECONDS if time_limit_s is None else time_limit_s
    ends_within(solver.parameters.max_time_in_seconds)
    status = solver.solve(model)
    bound = max(greedy.lower_bound, ceil(solver.best_objective_bound - 1e-6) * unit)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return replace(greedy, lower_bound=bound, status=judge(problem, greedy.height, bound))
    offsets = dict.fromkeys((b.name for b in problem.blocks), 0)
    for block, place in zip(blocks, places, strict=True):
        offsets[block.name] = solver.value(place) * problem.align_of(block)
    reached = max(offsets[b.name] + b.bytes for b in blocks)
    return replace(
        greedy,
        offsets=offsets,
        height=reached,
        lower_bound=bound,
        status=judge(problem, reached, bound),
        winner="exact" if reached < greedy.height else greedy.winner,
    )
