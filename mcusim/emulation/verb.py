"""The twin as one call: the first steps of a training, on the engine and on an emulated core."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import BadArgument, BadData
from mcusim.data.dataset import Dataset
from mcusim.data.front_end import FrontEnd
from mcusim.data.inputs import Inputs
from mcusim.data.named import open_for
from mcusim.emulation.cores import EmulatedCore, core_named
from mcusim.emulation.twin import run_twin
from mcusim.emulation.twin_run import TwinRun
from mcusim.graph import Model
from mcusim.mcu.board import Board
from mcusim.planning.plan import Plan
from mcusim.planning.recipe import Recipe
from mcusim.session.session import Session
from mcusim.update.schedule import Schedule
from mcusim.update.scheme import Scheme

Array = NDArray[Any]


def twin(
    model: Model | str | Path,
    board: Board | str | Path,
    data: Dataset | str | Path,
    steps: int = 1,
    update: str | Scheme | None = None,
    *,
    core: str | None = None,
    folder: str | Path | None = None,
    selftest: bool = False,
    toolchain: str | None = None,
    emulator: str | None = None,
    **choices: Any,
) -> TwinRun:
    """Write, compile and emulate the firmware of a training step, and compare it with the engine.

    Both learn from the examples with which a training begins, at its learning rates: of one epoch, or of as
    many as the steps take. After every op every live byte of the arena must be the same, and so must losses
    and scales of errors.

    Args:
        model: the network, from ``mcusim.load``, or its name or path.
        board: from ``mcusim.board``, or its name or path.
        data: training examples, from ``mcusim.data``, or their name or path.
        steps: how many steps.
        update: what learns; ``dynamic`` if neither this nor a setting says.
        core: what to emulate, e.g. ``cortex-m7`` or ``rv32imc``; the board's if not given.
        folder: a folder that ``firmware`` has written, to compile instead of a new one.
        selftest: run the firmware's self test on that core too.
        toolchain: what compiles it: ``zig``, which is the default, or ``arm-none-eabi-gcc``.
        emulator: what runs it: ``unicorn``, which counts instructions and is the default wherever it executes
            the core, or ``qemu-system-arm``.
        choices: further settings by name; see ``mcusim.Settings``.

    Returns:
        What was compared, the first difference if there is one, and what was measured.

    Raises:
        BadModel: if something of the step has no C kernel.
        BadArgument: if nothing learns, or there are no steps.
        BadRun: if the C does not compile, or the core faults.
        MissingPackage: if there is no compiler or emulator.
        UnknownName: for an unknown core, scheme or setting.
        OutOfSram, OutOfFlash: if the step does not fit.
    """
    session = Session(model, board, update, **choices)
    return twin_of(
        session, open_for(session.model, data), steps, core=core, folder=folder, selftest=selftest,
        toolchain=toolchain, emulator=emulator,
    )  # fmt: skip


def twin_of(
    session: Session,
    data: Dataset,
    steps: int,
    *,
    core: str | None = None,
    folder: str | Path | None = None,
    selftest: bool = False,
    toolchain: str | None = None,
    emulator: str | None = None,
) -> TwinRun:
    """Run the twin of a session; see ``twin``."""
    chosen: EmulatedCore = core_named(core or session.board.core)
    front = session.settings.front_end
    plan = session.plan_for(data if front is None else FrontEnd.read(front).apply(data))
    if steps < 1:
        raise BadArgument(f"{steps} steps", "are no steps", "choose 1 or more")
    if not plan.step.scope.learns:
        raise BadArgument(f"update {session.settings.update}", "learns nothing", "choose what learns")
    found = list(examples(plan, data, steps))
    place = None if folder is None else Path(folder)
    return run_twin(
        plan, session.scheme, found, chosen, folder=place, selftest=selftest, toolchain=toolchain,
        emulator=emulator,
    )  # fmt: skip


def examples(plan: Plan, data: Dataset, steps: int) -> Iterator[tuple[Array | None, Any, float]]:
    """Yield input, target and factor on the learning rates of the first steps of a training.

    A step that learns again what was kept has neither input nor target.
    """
    goals, model = plan.step.goals, plan.step.model
    split = data.train.named(model.inputs, model.outputs)
    assert goals is not None
    front = plan.step.front_end
    prepare = front.heard if front is not None else Inputs(model, split.images)
    if front is not None and split.images.ndim != 2:
        raise BadData(data.name, f"holds what {front.text} has made", "give the sounds themselves")
    itself = goals.single is not None and goals.single.task.reads_input
    targets = goals.prepared(split.labels, model)
    epochs = -(-steps // len(split))
    schedule = Schedule(len(split) * epochs, kind=Recipe().schedule)
    order = chain.from_iterable(split.order(epoch, plan.settings.seed) for epoch in range(epochs))
    ratio = 0 if plan.step.replay is None else plan.step.replay.ratio
    for step in range(steps):
        if step and (step - 1) % (ratio + 1) < ratio:  # the first example has none before it
            yield None, None, schedule.factor(step)
            continue
        at = np.array([next(order)])
        x = prepare(split.images[at], at)
        yield x[0], x[0] if itself else targets[at][0], schedule.factor(step)
