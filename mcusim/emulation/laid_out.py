"""The engine's arena as the firmware's; a stage of its own size has its own plan, and is moved by tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.emulation.meaningful_bytes import MeaningfulBytes
from mcusim.graph import DTYPES
from mcusim.lowering.step import StepTensor
from mcusim.planning.plan import Plan

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Laid:
    """What the engine holds after an op, where the firmware has it.

    Attributes:
        op: the number of the op in the firmware; -1 for one that saves what is there as a whole.
        arena: bytes of the firmware's arena.
        mask: those of them that are known and have to agree.
    """

    op: int
    arena: Array
    mask: NDArray[np.bool_]


class LaidOut:
    """Lays the tensors of every stage where the firmware has them.

    Args:
        live: what is compared after each op of the firmware.
        plan: of the firmware.
    """

    def __init__(self, live: MeaningfulBytes, plan: Plan) -> None:
        self._live, self._plan = live, plan
        self._numbers = {op.name: number for number, op in enumerate(plan.step.ops)}
        assert len(self._numbers) == len(plan.step.ops)
        self._stage: tuple[Plan, MeaningfulBytes] | None = None

    def after(self, plan: Plan, number: int, arena: Array) -> Laid:
        """Return what the engine's arena holds after an op of a stage's plan."""
        size = self._live.masks[0].size
        if plan is self._plan:
            return Laid(number, arena[:size].copy(), self._live.masks[number])
        if self._stage is None or self._stage[0] is not plan:
            self._stage = (plan, MeaningfulBytes(plan.step, plan.solution.offsets, arena.size))
        op = self._numbers.get(plan.step.ops[number].name, -1)
        laid, mask = np.zeros(size, np.uint8), np.zeros(size, bool)
        there = {} if op < 0 else {tensor.name: tensor for tensor in self._live.tensors[op]}
        for tensor in self._stage[1].tensors[number]:
            if tensor.name not in there:
                continue
            target = there[tensor.name]
            start, place = plan.solution.offsets[tensor.buffer], self._plan.solution.offsets[target.buffer]
            part = tuple(slice(0, n) for n in tensor.shape)
            source = _view(arena, start, tensor)
            _view(laid, place, target)[part] = source
            _view(mask, place, target)[part] = True
        return Laid(op, laid, mask)


def _view(data: Array, start: int, tensor: StepTensor) -> Array:
    """Return a tensor's bytes by its dimensions, and last those of an element."""
    size = DTYPES[tensor.dtype]
    return data[start : start + tensor.bytes].reshape(*tensor.shape, size)
