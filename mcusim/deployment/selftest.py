"""What a step on a made-up example has to give, op by op: what a board's self test compares with."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mcusim.deployment.compared import written
from mcusim.deployment.losses import LOSSES
from mcusim.deployment.records import TYPES, FlashConstants
from mcusim.deployment.tables import FirmwareTables
from mcusim.deployment.text import CText
from mcusim.engine.buffers import ArenaBuffers
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.graph import Model, Tensor
from mcusim.lowering.step import Step, StepTensor
from mcusim.memory.arena import Arena
from mcusim.planning.placement import resized, sized
from mcusim.planning.plan import Plan
from mcusim.tasks.goals import Goal
from mcusim.update.scheme import Scheme

BYTES = 256


def made_up(shape: tuple[int, ...], dtype: str, values: int = BYTES) -> NDArray[Any]:
    """Return the example of ``kernels/selftest.c``."""
    count = np.prod(shape, dtype=np.int64) * (1 if dtype == "float32" else np.dtype(dtype).itemsize)
    drawn = (np.arange(count) * 37 + 11) % BYTES
    if dtype == "float32":
        return ((drawn - 128) / 64).astype(np.float32).reshape(shape)
    return (drawn % values).astype(np.uint8).view(dtype).reshape(shape)


def target_values(goal: Goal, model: Model) -> int:
    """Return how many different values a target has: classes of a pixel, or no and yes, or all bytes."""
    target = goal.target(model)
    if target is None or target.dtype != "uint8":
        return BYTES
    two = LOSSES[goal.task.name] == "mcusim_sigmoid_cross_entropy"
    return 2 if two else model.tensors[goal.part(model).outputs[0]].shape[-1]


def _pieces(step: Step) -> dict[str, tuple[Tensor | StepTensor, int]]:
    """Return the inputs and targets of an example by name, and how many different values each has."""
    model = step.model
    assert step.goals is not None
    found: dict[str, tuple[Tensor | StepTensor, int]]
    found = {name: (step.tensors[name], BYTES) for name in step.arrives}
    for goal in step.goals.items:
        target = goal.target(model)
        if target is not None and target.name not in found:
            found[target.name] = (target, target_values(goal, model))
    return found


def example(plan: Plan, made: FirmwareTables) -> list[dict[str, Any]]:
    """Return the pieces of the made-up example as rows of ``mcusim_made_up``."""
    step, offsets = plan.step, plan.solution.offsets
    return [
        {"data": CText(f"{made.prefix}_arena + {offsets[step.tensors[name].buffer]}"), "bytes": tensor.bytes,
         "values": values, "type": TYPES["float32" if tensor.dtype == "float32" else "int8"]}
        for name, (tensor, values) in _pieces(step).items()
    ]  # fmt: skip


def sums(plan: Plan, scheme: Scheme, made: FirmwareTables) -> list[dict[str, Any]]:
    """Return what every op writes in the first step on the made-up example, as rows of ``mcusim_sum``."""
    settings, offsets, held = plan.settings, plan.solution.offsets, plan.step.tensors
    selection = scheme.select(plan.step.model, 0, settings.seed)
    own_plan = plan if plan.step.scope.fixed else resized(plan, scheme, sized(plan.step.scope, selection))
    step, places = own_plan.step, own_plan.solution.offsets
    numbers = {op.name: number for number, op in enumerate(plan.step.ops)}
    arena = Arena(settings.sram_bytes)
    state = State.of(step.model, step.scope, settings.formats)
    buffers, hears = ArenaBuffers(step, places, arena), step.front_end is not None
    program = Program(step, buffers, state, settings.sgd, seed=settings.seed, hears=hears)
    program.load(selection)
    x, label = _made_up(step)
    own, rows = made.constants.prefix, []
    for op in program.run_each(x, label):
        for tensor in written(step, op):
            if tensor.name not in held or held[tensor.name].shape != tensor.shape:
                continue  # fewer channels than have a place there, or than all, which need no copy
            start, place = places[tensor.buffer], offsets[held[tensor.name].buffer]
            data = arena.bytes[start : start + tensor.bytes].tobytes()
            rows.append({"data": CText(f"{own}_arena + {place}"), "bytes": tensor.bytes, "crc": crc32(data),
                         "op": numbers[step.ops[op].name]})  # fmt: skip
    last = len(plan.step.ops) - 1
    loss = np.float32(program.loss).tobytes()
    rows.append({"data": CText(f"&{own}_state.loss"), "bytes": 4, "crc": crc32(loss), "op": last})
    return [row for row in rows if row["bytes"]]


def _made_up(step: Step) -> tuple[Any, Any]:
    """Return the made-up example and its target as a program takes them."""
    model = step.model
    assert step.goals is not None
    data = {name: made_up(t.shape, t.dtype, values) for name, (t, values) in _pieces(step).items()}
    if model.states:  # a sequence of one
        data = {name: array[None] for name, array in data.items()}
    x = data[step.arrives[0]] if len(step.arrives) == 1 else data
    labels: dict[str, Any] = {}
    for goal in step.goals.items:
        target = goal.target(model)
        labels[goal.output] = (
            0 if target is None else made_up(target.shape, target.dtype, target_values(goal, model))
        )
    return x, labels if step.goals.single is None else next(iter(labels.values()))


def constant_sums(constants: FlashConstants) -> list[dict[str, Any]]:
    """Return the tables of constants in flash as rows of ``mcusim_sum``."""
    held = constants.arrays.items()
    return [{"data": CText(name), "bytes": len(data), "crc": crc32(data)} for name, data in held if data]
