"""Finds a placement for a session's step: residency and patches by choice or by search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mcusim.core import BadBoard, observe
from mcusim.graph import Model
from mcusim.lowering.flash import flash_layout
from mcusim.lowering.gradients import Flow
from mcusim.lowering.lower import lower
from mcusim.lowering.patches import Patches, split_points
from mcusim.lowering.residency import Residency
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.cycles import Estimate, estimate
from mcusim.memory.bound import lower_bound
from mcusim.memory.planners import PLANNERS
from mcusim.session.plan import Plan
from mcusim.session.settings import AUTO, Settings
from mcusim.update.scheme import Scheme
from mcusim.update.selection import Scope

PATCH_COUNTS = (2, 3, 4)
"""Patches a side that the search tries."""


def make_plan(model: Model, board: Board, scheme: Scheme, settings: Settings) -> Plan:
    """Return the first placement that fits, in order of what it costs; else the smallest one.

    With ``auto`` residency and patches the order is: everything in SRAM and the image as a whole;
    patches, fewest recomputed multiply-accumulates first; then the same with weights in flash.
    """
    scope = scheme.scope(model)
    plan = search(model, board, scope, settings)
    observe.notify(plan)
    return plan


def search(model: Model, board: Board, scope: Scope, settings: Settings) -> Plan:
    """Return the cheapest plan that fits, or the one with the lowest peak."""
    best: Plan | None = None
    for residency in _residencies(settings):
        for step, patches in _steps(model, board, scope, settings, residency):
            plan = place(step, board, replace(settings, residency=str(residency), patches=patches))
            if plan.fits:
                return plan
            if best is None or plan.peak_bytes < best.peak_bytes:
                best = plan
    assert best is not None
    return best


def place(step: Step, board: Board, settings: Settings) -> Plan:
    """Return the plan of one step under the settings' planner."""
    problem = step.problem(settings.sram_bytes)
    solution = PLANNERS[settings.planner](problem, seed=settings.seed)
    return Plan(
        step=step, problem=problem, solution=solution, bound=lower_bound(problem), board=board,
        settings=settings, flash=flash_layout(step, board), estimate=_estimate(step, board, settings),
    )  # fmt: skip


def _estimate(step: Step, board: Board, settings: Settings) -> Estimate | None:
    try:
        return estimate([op.work for op in step.ops], board, settings.profile)
    except BadBoard:
        # Without a cycle profile memory can still be planned; the time is then said to be unknown.
        if settings.profile is not None:
            raise
        return None


def lower_with(
    model: Model, board: Board, scope: Scope, settings: Settings, residency: Residency, patches: Patches | None
) -> Step:
    """Lower with everything that the settings fix."""
    return lower(
        model, scope, settings.formats, residency=residency, patches=patches, in_place=settings.in_place,
        momentum=settings.sgd.momentum > 0, accumulate=settings.sgd.accumulate,
        runtime_bytes=board.runtime_bytes,
    )  # fmt: skip


def _residencies(settings: Settings) -> tuple[Residency, ...]:
    if settings.residency == AUTO:
        return (Residency.SRAM, Residency.FLASH)
    return (Residency(settings.residency),)


def _steps(
    model: Model, board: Board, scope: Scope, settings: Settings, residency: Residency
) -> Iterator[tuple[Step, Patches | None]]:
    """Yield the steps to try: without patches, then, if they are to be searched, the promising ones."""
    chosen = settings.patches
    if isinstance(chosen, Patches):
        yield lower_with(model, board, scope, settings, residency, chosen), chosen
        return
    yield lower_with(model, board, scope, settings, residency, None), None
    if chosen != AUTO:
        return
    tried: list[tuple[int, int, Step, Patches]] = []
    for split in split_points(model, Flow.of(model, scope)):
        side = min(model.tensors[model.op(split).output].shape[1:3])
        for count in PATCH_COUNTS:
            if count <= side:
                patches = Patches(count, split)
                step = lower_with(model, board, scope, settings, residency, patches)
                tried.append((step.patch_macs, lower_bound(step.problem()).bytes, step, patches))
    fitting = sorted((t for t in tried if t[1] <= settings.sram_bytes), key=lambda t: t[:2])
    for _, _, step, patches in fitting[:8]:
        yield step, patches
    if not fitting and tried:
        _, _, step, patches = min(tried, key=lambda t: (t[1], t[0]))
        yield step, patches
