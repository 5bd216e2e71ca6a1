"""Proving a plan: a certificate that holds for every selection its scheme may draw."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, pairwise
from math import comb, prod
from pathlib import Path
from typing import Any

from mcusim.core import BadArgument, LiveBlock, OutOfSram
from mcusim.graph import Model
from mcusim.lowering.flash import ITERATION_BYTES, flash_layout, learned_parameters
from mcusim.lowering.step import Step, StepOp
from mcusim.mcu.board import Board
from mcusim.mcu.flash.store import header_bytes
from mcusim.memory.block import Block
from mcusim.memory.bound import lower_bound
from mcusim.memory.problem import Problem, Solution
from mcusim.planning.allowance import allowances
from mcusim.planning.plan import Plan
from mcusim.planning.regions import placed
from mcusim.proof.certificate import Certificate
from mcusim.proof.checker import SCHEMA, seal
from mcusim.proof.every_selection import Covering, Parted, covering
from mcusim.session.session import Session
from mcusim.update.channels import layers
from mcusim.update.scheme import Scheme
from mcusim.update.selection import Scope


def prove(
    model: Model | str | Path, board: Board | str | Path, update: str | Scheme | None = None, **choices: Any
) -> Certificate:
    """Plan a step and return a certificate of it, checked by the independent checker.

    Args:
        model: the network, from ``mcusim.load``, or its name or path.
        board: from ``mcusim.board``, or its name or path.
        update: what learns, e.g. ``last-6`` or ``head``; ``dynamic`` if neither this nor a setting says.
        choices: further settings by name, e.g. ``sram="256KiB"``, ``seed=1``; see ``mcusim.Settings``.

    Returns:
        The certificate: every offset, lifetime and allowed overlap, what no placement can beat, flash, stack
        and statics with where they come from, for every selection that the scheme may draw.

    Raises:
        OutOfSram, OutOfFlash: if the step does not fit, or not with every selection.
        UnknownName: for an unknown scheme or setting; suggests the nearest.
        BadArgument: if a setting makes no sense, or an allocator decides at run time.
        BadProof: if the checker does not follow.
    """
    return proven(Session(model, board, update, **choices))


def proven(session: Session) -> Certificate:
    """Return the certificate of a session's plan, see ``prove``."""
    plan = session.plan()
    if plan.settings.allocator is not None:
        raise BadArgument(
            f"allocator {plan.settings.allocator}", "decides at run time, which nobody can prove in advance",
            "place statically, without an allocator",
        )  # fmt: skip
    plan.require()
    found = certificate(plan, session.scheme)
    found.require()
    return found


def certificate(plan: Plan, scheme: Scheme) -> Certificate:
    """Return the certificate of a plan for every selection of its scheme, unchecked.

    Raises:
        OutOfSram: if there is no room for every selection.
        BadArgument: if places for every selection cannot be given.
    """
    every = covering(plan, scheme)
    solution = plan.solution
    if every.problem is not plan.problem:
        settings = plan.settings
        solution = placed(every.problem, every.step, plan.board, settings.planner, settings.seed)
        _require(every.problem, solution)
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "subject": _subject(plan, solution),
        "selections": _selections(plan.step.model, every.scope),
        "sram": _sram(every, solution, plan.settings.sram_bytes, plan.board),
        "flash": _flash(every.step, plan.board),
        "figures": [
            {"name": name, "bytes": int(figure.value), "provenance": str(figure.provenance),
             "source": figure.source}
            for name, figure in allowances(plan.board).items()
        ],
    }  # fmt: skip
    plain = json.loads(json.dumps(data, allow_nan=False))  # as it is read again: slots become texts
    return Certificate({**plain, "seal": seal(plain)})


def _require(problem: Problem, solution: Solution) -> None:
    if not solution.fits:
        assert problem.capacity is not None
        time = lower_bound(problem).time
        live = [
            LiveBlock(b.name, str(b.role), b.bytes_at(time)) for b in problem.blocks if time in b.lifetime
        ]
        raise OutOfSram(
            capacity_bytes=problem.capacity, needed_bytes=solution.height, live=live,
            where="the step that has room for every selection",
            suggestions=("draw the same numbers of channels each time (even=true), or fewer",),
        )  # fmt: skip


def _subject(plan: Plan, solution: Solution) -> dict[str, str]:
    settings = plan.settings
    return {
        "model": plan.step.model.name, "board": plan.board.name, "update": settings.update,
        "task": "" if plan.step.goals is None else plan.step.goals.name,
        "residency": str(settings.residency),
        "patches": "" if settings.patches is None else str(settings.patches),
        "planner": solution.winner or solution.planner,
    }  # fmt: skip


def _selections(model: Model, scope: Scope) -> dict[str, Any]:
    known = layers(model)
    names = [name for name, most in scope.channels.items() if most]
    pairs = [(known[name].channels, scope.channels[name]) for name in names]
    ways = (
        comb(total, most) if scope.fixed else sum(comb(total, count) for count in range(most + 1))
        for total, most in pairs
    )
    return {
        "fixed": scope.fixed,
        "layers": [
            {"name": name, "channels": known[name].channels, "most": scope.channels[name]} for name in names
        ],
        "biases": [*scope.biases], "head": scope.head,
        "limits": [
            {"what": limit.what, "most": limit.most, "cost": {name: limit.cost[name] for name in names}}
            for limit in scope.limits if not scope.fixed
        ],
        "draws": str(prod(ways)),
    }  # fmt: skip


def _sram(every: Covering, solution: Solution, capacity: int, board: Board) -> dict[str, Any]:
    problem, bound = every.problem, lower_bound(every.problem)
    edges = [0, *accumulate(region.bytes for region in board.sram)]
    regions = dict(zip((region.name for region in board.sram), pairwise(edges), strict=True))
    return {
        "capacity_bytes": capacity, "align": problem.align, "gaps": [*problem.gaps],
        "memory": [{"name": region.name, "bytes": region.bytes} for region in board.sram],
        "ops": [{"name": op.name, "uses": _uses(every.step, op)} for op in every.step.ops],
        "height_bytes": solution.height, "optimal": solution.height == bound.bytes,
        "lower_bound": {"op": bound.time, "bytes": bound.bytes},
        "blocks": [
            _block(b, solution.offsets[b.name], every.parted.get(b.name), regions) for b in problem.blocks
        ],
        "overlaps": [
            {
                "old": overlap.old, "new": overlap.new, "distance": overlap.distance,
                "rows": [*order.rows], "columns": [*order.columns], "read": order.read,
                "written": order.written, "backward": order.backward, "own": order.own,
            }
            for overlap, order in every.step.orders.items() if overlap in {*problem.overlaps}
        ],
    }  # fmt: skip


def _uses(step: Step, op: StepOp) -> list[str]:
    """Return the buffers that an op touches; of what lies in a pool its part."""
    names = (*op.reads, *op.writes, *filter(None, (op.scratch, op.mask)))
    return list(dict.fromkeys(step.tensors[name].buffer for name in names if name in step.tensors))


def _block(
    block: Block, offset: int, parted: Parted | None, regions: Mapping[str, tuple[int, int]]
) -> dict[str, Any]:
    parts, end = () if parted is None else parted.parts, offset + block.bytes
    return {
        "name": block.name, "role": str(block.role), "offset": offset, "bytes": block.bytes,
        "start": block.lifetime.start, "end": block.lifetime.end, "align": block.align,
        "shrinks": [[*shrink] for shrink in block.shrinks],
        "regions": [name for name, (low, high) in regions.items() if offset < high and low < end],
        "barred": [name for name, span in regions.items() if span in block.barred],
        "parts": [
            {"name": p.name, "layer": p.layer, "channel_bytes": p.channel_bytes, "end": p.end} for p in parts
        ],
        "prices": [
            {what: str(price) for what, price in prices.items()}
            for prices in (parted.prices if parted else ())
        ],
    }  # fmt: skip


def _flash(step: Step, board: Board) -> dict[str, Any]:
    layout = flash_layout(step, board)
    return {
        "capacity_bytes": layout.capacity_bytes, "total_bytes": layout.total_bytes,
        "sectors": [[sectors.count, sectors.bytes] for sectors in board.flash.sectors],
        "header_bytes": header_bytes(board), "counter_bytes": ITERATION_BYTES,
        "learned": [{"name": name, "bytes": size} for name, size in learned_parameters(step).items()],
        "items": [
            {"name": i.name, "role": str(i.role), "offset": i.offset, "bytes": i.bytes} for i in layout.items
        ],
    }  # fmt: skip
