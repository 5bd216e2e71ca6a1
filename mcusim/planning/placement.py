"""Finds a placement for a session's step: residency and patches by choice or by search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import heappop, heappush

from mcusim.core import BadArgument, observe
from mcusim.core.wording import choice
from mcusim.graph import Model
from mcusim.lowering.flash import flash_layout
from mcusim.lowering.gradients import Flow
from mcusim.lowering.patches import Patches, split_points
from mcusim.lowering.residency import Residency
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.cycles.cycles import Estimate, estimate
from mcusim.memory.bound import lower_bound
from mcusim.memory.problem import Problem
from mcusim.memory.serving import serve
from mcusim.planning.network import network_of
from mcusim.planning.plan import Plan
from mcusim.planning.regions import placed
from mcusim.planning.request import Request, lowered
from mcusim.planning.settings import AUTO, Decided, Settings
from mcusim.update.scheme import Scheme
from mcusim.update.selection import Scope, Selection

PATCH_COUNTS = 4
"""Most patches a side that the search tries."""
PREVIEW = 8
"""Stages looked at when selections differ in size."""
HOPELESS = 12
"""Patch stages tried without success before the search gives up."""


def make_plan(model: Model, board: Board, scheme: Scheme, settings: Settings) -> Plan:
    """Return the first placement that fits, in order of what it costs; else the smallest one.

    The network is simplified first, as the settings want it; the scheme chooses among the ops that are left.
    With ``auto`` residency and patches the order is: everything in SRAM and the image as a whole;
    patches, fewest recomputed multiply-accumulates first; then the same with weights in flash.
    """
    plan = planned(model, board, scheme, settings)
    observe.notify(plan)
    return plan


def planned(model: Model, board: Board, scheme: Scheme, settings: Settings) -> Plan:
    """Return the same plan, without a word to those who watch for plans."""
    settings = settings.named(model)
    network = network_of(settings.part(model), settings)
    return replace(largest(network.model, board, scheme, settings), network=network)


def largest(model: Model, board: Board, scheme: Scheme, settings: Settings) -> Plan:
    """Return the plan with the highest peak among those of the selections a scheme may make."""
    settings = settings.named(model)
    model = settings.part(model)
    board = board.of_ops(len(model.ops))
    cost = scheme.cost(model)
    requests = (Request(model, board, s, cost, settings) for s in previewed(model, scheme, settings.seed))
    return max((cheapest(request) for request in requests), key=lambda p: p.peak_bytes)


def previewed(model: Model, scheme: Scheme, seed: int) -> list[Scope]:
    """Return the scopes to plan for: one if selections never differ in size or depend on what is
    observed, else those of the first stages, since no stage takes the most of every layer at once.
    """
    scope = scheme.scope(model)
    scope.validate(model)
    if scope.fixed or scheme.needs:
        return [scope]
    scopes = [sized(scope, scheme.select(model, stage, seed)) for stage in range(PREVIEW)]
    return list({tuple(s.channels.items()): s for s in scopes}.values())


def sized(scope: Scope, selection: Selection) -> Scope:
    """Return the scope of one selection: its numbers of channels, in all eligible layers."""
    counts = {name: len(chosen) for name, chosen in selection.channels.items()}
    return scope.with_channels(counts)


def resized(plan: Plan, scheme: Scheme, scope: Scope) -> Plan:
    """Return the plan of the same session for other numbers of channels; the plan itself for its own."""
    if scope.channels == plan.step.scope.channels:
        return plan
    cost = scheme.cost(plan.step.model)
    step = lowered(plan.step.model, plan.board, scope, cost, plan.settings)
    return replace(place(step, plan.board, plan.settings), network=plan.network)


def for_every_stage(plan: Plan, scheme: Scheme) -> Plan:
    """Return the plan that has a place for the most channels of every layer: what a firmware runs.

    Where selections differ in size, a simulation plans each stage anew, and a program cannot.
    """
    return resized(plan, scheme, scheme.scope(plan.step.model))


def cheapest(request: Request) -> Plan:
    """Return the cheapest plan that fits, or the one with the lowest peak."""
    found: list[Plan] = []
    for residency in request.residencies:
        for step, patches in _steps(request, residency):
            plan = place(step, request.board, request.decide(residency, patches))
            if plan.fits:
                return plan
            found.append(plan)
    return min(found, key=lambda plan: plan.peak_bytes)


def place(step: Step, board: Board, settings: Decided) -> Plan:
    """Return the plan of one step under the settings' planner."""
    problem = step.problem(settings.sram_bytes, board.sram_gaps, board.beyond_dma)
    if settings.allocator is None:
        solution = placed(problem, step, board, settings.planner, settings.seed)
    else:
        if any(gap < settings.sram_bytes for gap in problem.gaps):
            run, size = board.sram_runs[0]
            raise BadArgument(
                f"allocator {settings.allocator} on {board.name}",
                "a heap is one piece of memory, and the SRAM asked for lies in several",
                f"ask for at most {run}: {choice('sram', size)}; or place statically, without an allocator",
            )
        _reach(problem, board, settings.allocator)
        solution = serve(problem, settings.allocator)
    return Plan(
        step=step, problem=problem, solution=solution, bound=lower_bound(problem), board=board,
        settings=settings, flash=flash_layout(step, board),
        estimate=_estimate(step, board, settings, solution.offsets),
    )  # fmt: skip


def _reach(problem: Problem, board: Board, allocator: str) -> None:
    for block in problem.blocks:
        if block.bytes and block.barred and block.barred[0][0] < (problem.capacity or 0):
            raise BadArgument(
                f"allocator {allocator} on {board.name}",
                f"a heap does not choose where {block.name} lies, and DMA does not reach all of it",
                "place statically, without an allocator",
            )


def _estimate(step: Step, board: Board, settings: Decided, offsets: Mapping[str, int]) -> Estimate | None:
    if board.profile is None and settings.profile is None:
        # Without a cycle profile memory can still be planned; the time is then said to be unknown.
        return None
    works = [op.work for op in step.ops]
    return estimate(works, board, settings.profile, accesses=step.accesses(offsets))


def _steps(request: Request, residency: Residency) -> Iterator[tuple[Step, Patches | None]]:
    """Yield the steps to try: without patches, then, if they are to be searched, the promising ones."""
    chosen = request.settings.patches
    if isinstance(chosen, Patches):
        yield request.lower(residency, chosen), chosen
        return
    whole = request.lower(residency)
    yield whole, None
    if chosen == AUTO:
        yield from _patched(request, whole)


def _patched(request: Request, whole: Step) -> Iterator[tuple[Step, Patches | None]]:
    """Yield patched steps whose bound fits, fewest recomputed multiply-accumulates first.

    More patches and a later split never recompute less, so the cheapest candidate is always next to
    one already seen. If none fits, the one with the lowest bound is yielded.
    """
    model, budget = whole.model, request.budget
    splits = _promising(whole, budget)
    heap: list[tuple[int, int, int]] = []
    seen: set[tuple[int, int]] = set()
    steps: dict[tuple[int, int], Step] = {}
    lowest: tuple[int, Step, Patches] | None = None

    def push(split: int, count: int) -> None:
        if split >= len(splits) or count > PATCH_COUNTS or (split, count) in seen:
            return
        seen.add((split, count))
        if count <= min(model.tensors[model.op(splits[split]).output].shape[1:3]):
            patches = Patches(count, splits[split])
            steps[split, count] = step = request.lower(whole.residency, patches)
            heappush(heap, (step.patch_macs, split, count))

    push(0, 2)
    tries = 0
    while heap and tries < HOPELESS:
        _, split, count = heappop(heap)
        step, patches = steps.pop((split, count)), Patches(count, splits[split])
        bound = lower_bound(step.problem()).bytes
        if bound <= budget:
            yield step, patches
        tries += 1
        if lowest is None or bound < lowest[0]:
            lowest = (bound, step, patches)
        push(split, count + 1)
        push(split + 1, count)
    if lowest is not None and lowest[0] > budget:
        yield lowest[1], lowest[2]


def _promising(whole: Step, budget: int) -> list[str]:
    """Return the splits after which the whole-image rest fits; if it never does, where it needs least."""
    points = split_points(whole.model, Flow.of(whole.model, whole.scope, whole.goals))
    live = whole.live_profile()
    rest = {}
    for name in points:
        end = max(i for i, op in enumerate(whole.ops) if op.source is not None and op.name == name)
        rest[name] = max(live[end + 1 :])
    enough = max(budget, min(rest.values(), default=0))
    return [name for name in points if rest[name] <= enough]
