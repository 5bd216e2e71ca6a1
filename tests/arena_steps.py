"""A few training steps of a small network, in the arena or with separate buffers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.buffers import ArenaBuffers, SeparateBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.graph import Model
from mcusim.lowering.lower import lower
from mcusim.lowering.patches import Patches
from mcusim.memory.arena import Arena
from mcusim.memory.checker import check
from mcusim.memory.planners import PLANNERS
from mcusim.planning.placement import sized
from mcusim.tasks.task import Task
from mcusim.update.formats import Formats
from mcusim.update.optimizer import Sgd
from mcusim.update.scheme import scheme, statistics_for


def images(side: int = 16, count: int = 4, seed: int = 7) -> NDArray[np.int8]:
    """Return images for the small network."""
    return np.random.default_rng(seed).integers(-128, 128, (count, 1, side, side, 3)).astype(np.int8)


def train(
    model: Model, update: str, formats: Formats, *, arena: bool, planner: str = "best",
    sgd: Sgd | None = None, patches: Patches | None = None, in_place: bool = True, overlap: bool = True,
    fuse: bool = True,
    residency: str = "sram", steps: int = 4, task: Task | None = None, targets: Any = (0, 1, 2, 3),
    x: Any = None,
) -> tuple[list[float], State]:  # fmt: skip
    """Run some steps, each on another image, with new channels after every second if their number is fixed.

    Returns the losses, and the state with everything learned.
    """
    sgd = sgd or Sgd(lr=0.01)
    chosen = scheme(update)
    statistics = statistics_for(chosen, model)
    scope = chosen.scope(model)
    if not scope.fixed:  # selections of other sizes would need other plans: one selection all along
        scope = sized(scope, chosen.select(model, 0, 5, statistics))
    step = lower(
        model, scope, formats, residency=residency, patches=patches, in_place=in_place, overlap=overlap,
        fuse=fuse, momentum=sgd.momentum > 0, second_moment=sgd.second_moment > 0, accumulate=sgd.accumulate,
        runtime_bytes=100,
        task=task,
    )  # fmt: skip
    state = State.of(model, step.scope, formats)
    buffers: Any = SeparateBuffers(step)
    if arena:
        problem = step.problem()
        solution = PLANNERS[planner](problem)
        check(problem, solution)
        buffers = ArenaBuffers(step, solution.offsets, Arena(solution.height))
    program = Program(step, buffers, state, sgd, seed=3, poison=True)
    losses = []
    for i, image in enumerate(images(model.input.shape[1], steps) if x is None else x):
        if i % 2 == 0:
            program.store()
            program.load(chosen.select(model, i // 2 if scope.fixed else 0, 5, statistics))
            program.calibrate(image, targets[1], tail=False)
        losses.append(program.run(image, targets[i % 4]))
    program.store()
    return losses, state
