"""Examples that a step keeps in the arena, or in flash, and learns again: every byte a device holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.data.replay import ReplayBuffer
from mcusim.engine.buffers import Buffers
from mcusim.lowering.replay import BUFFER, COUNTS, INDEX, example, label_bytes
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.flash.ring import Ring

Array = NDArray[Any]


class KeptExamples:
    """A buffer of examples, and what becomes of the example of a step.

    A training learns from a data set in the order of ``mcusim.data.replay.composed`` instead, which takes no
    copies; tests hold that both learn the same.

    Args:
        step: whose examples they are.
        board: in whose flash they lie, if they do.
        seed: of what is drawn.

    Attributes:
        ring: the flash they lie in; ``None`` in SRAM.
    """

    def __init__(self, step: Step, board: Board, seed: int) -> None:
        assert step.replay is not None
        self._names = example(step.model, step.boundary, step.replay)
        self._label_bytes = label_bytes(step.model)
        self._buffer = ReplayBuffer(step.replay, seed)
        self.ring = None if step.kept is None else Ring(board, *step.kept)
        where = BUFFER if self.ring is None else INDEX
        self._held = {n: np.zeros(step.tensors[n].shape, step.tensors[n].dtype) for n in (where, COUNTS)}
        self._record = np.zeros(0, np.uint8)
        self._again = False

    def load(self, buffers: Buffers) -> None:
        """Put what is kept into the buffers of a step; at first that is nothing."""
        for name, held in self._held.items():
            np.copyto(buffers.view(name), held)

    def store(self, buffers: Buffers) -> None:
        """Take it out of them again: those of another step may lie elsewhere."""
        for name, held in self._held.items():
            np.copyto(held, buffers.view(name))

    def draw(self, buffers: Buffers) -> int | None:
        """Choose what the next step learns again; return its class, or ``None`` if nothing is kept."""
        place = self._buffer.draw()
        if place is None:
            return None
        if self.ring is None:
            size = self._bytes(buffers)
            self._record = buffers.view(BUFFER)[place * size : (place + 1) * size].copy()
        else:
            self._record = self.ring.read(place)[: self._bytes(buffers)]
        self._again = True
        return int.from_bytes(self._record[-self._label_bytes :].tobytes(), "little")

    def bound(self, buffers: Buffers, learns: Array, label: Callable[[], int]) -> Callable[[], None]:
        """Return the call that puts a chosen example into its place, or else keeps the one that is there.

        Args:
            buffers: where the tensors lie.
            learns: 0 while a step is repeated without learning.
            label: gives the class of the example.
        """

        def run() -> None:
            if self._again:
                self._restore(buffers)
            elif learns[0]:
                self._keep(buffers, label())

        return run

    def _bytes(self, buffers: Buffers) -> int:
        return sum(buffers.view(name).nbytes for name in self._names) + self._label_bytes

    def _restore(self, buffers: Buffers) -> None:
        self._again, start = False, 0
        for name in self._names:
            view = buffers.view(name)
            data = self._record[start : start + view.nbytes]
            np.copyto(view, data.view(view.dtype).reshape(view.shape))
            start += view.nbytes
        self._count(buffers)

    def _keep(self, buffers: Buffers, label: int) -> None:
        parts = [buffers.view(name).reshape(-1).view(np.uint8) for name in self._names]
        own = np.frombuffer(label.to_bytes(self._label_bytes, "little"), np.uint8)
        data = np.concatenate([*parts, own])
        place = self._buffer.offer(0, label)
        if place is not None and self.ring is not None:
            self.ring.write(place, data)
            index = buffers.view(INDEX)
            for slot in range(len(self._buffer.kept)):
                index[slot] = self.ring.place(slot)
        elif place is not None:
            view = buffers.view(BUFFER)
            view[place * len(data) : (place + 1) * len(data)] = data
        self._count(buffers)

    def _count(self, buffers: Buffers) -> None:
        turns = (0, 0) if self.ring is None else self.ring.progress
        buffers.view(COUNTS)[...] = (*self._buffer.counted, *turns)
