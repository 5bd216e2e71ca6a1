"""Which bytes of the arena mean something after an op."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mcusim.deployment.compared import compared, whole
from mcusim.lowering.step import Step, StepOp, StepTensor

Mask = NDArray[np.bool_]


class MeaningfulBytes:
    """The bytes of the arena that engine and firmware must agree on after each op.

    Args:
        step: what is run.
        offsets: where its buffers lie.
        size: bytes of the arena.
    """

    def __init__(self, step: Step, offsets: Mapping[str, int], size: int) -> None:
        self._step, self._offsets = step, offsets
        self._writer: dict[str, int] = {}
        self.tensors: list[list[StepTensor]] = []
        """Of each op: what is compared after it."""
        self.masks: list[Mask] = []
        written = {n for n in step.resident if compared(step.tensors[n])}
        self._writers: list[dict[str, int]] = []
        for time, op in enumerate(step.ops):
            if whole(step, time, op):
                made = [*op.writes, *filter(None, [op.mask])]
                written.update(made)
            for name in (*op.writes, *filter(None, [op.mask])):
                self._writer[name] = time
            now = [t for t in step.tensors.values() if t.name in written and self._meant(t, time, op)]
            mask = np.zeros(size, bool)
            for tensor in now:
                start = offsets[tensor.buffer]
                mask[start : start + tensor.bytes] = True
            self.tensors.append(now)
            self.masks.append(mask)
            self._writers.append(dict(self._writer))

    def at(self, time: int, place: int) -> tuple[StepTensor, int]:
        """Return the tensor that a byte belongs to after an op, and the byte's number in it."""
        for tensor in self.tensors[time]:
            start = self._offsets[tensor.buffer]
            if start <= place < start + tensor.bytes:
                return tensor, place - start
        raise AssertionError(f"no tensor at {place} after op {time}")

    def last_writer(self, time: int, tensor: str) -> str:
        """Return the op that wrote a tensor last, up to an op; before the first step nobody did."""
        number = self._writers[time].get(tensor)
        return "the beginning" if number is None else self._step.ops[number].name

    def _meant(self, tensor: StepTensor, time: int, op: StepOp) -> bool:
        """Return True for what an op wrote, and for what is read again."""
        fresh = tensor.name in (*op.writes, op.mask)
        return compared(tensor) and (
            fresh or tensor.name in self._step.resident or time + 1 in tensor.lifetime
        )
