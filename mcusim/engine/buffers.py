"""Where the tensors of a step lie on the host: in the arena, or each in a buffer of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mcusim.lowering.step import Step, StepTensor
from mcusim.memory.arena import Arena

Array = NDArray[Any]


class Buffers(Protocol):
    """Gives every tensor of a step an array to live in."""

    def view(self, name: str) -> Array:
        """Return the array of a tensor; always the same bytes for the same name."""
        ...

    def poison(self, tensors: Iterable[StepTensor]) -> None:
        """Overwrite tensors that have just died, so that a use after free shows."""
        ...


class ArenaBuffers:
    """Views at the planned offsets of one byte array that is exactly as long as the SRAM."""

    def __init__(self, step: Step, offsets: Mapping[str, int], arena: Arena) -> None:
        self._step, self._offsets, self.arena = step, offsets, arena
        self._views: dict[str, Array] = {}

    def view(self, name: str) -> Array:
        """Return the view of a tensor."""
        if name not in self._views:
            tensor = self._step.tensors[name]
            self._views[name] = self.arena.view(self._offsets[tensor.buffer], tensor.shape, tensor.dtype)
        return self._views[name]

    def poison(self, tensors: Iterable[StepTensor]) -> None:
        """Fill the bytes of dead tensors, except those that others have by now, in place or over them."""
        for tensor in tensors:
            start = self._offsets[tensor.buffer]
            taken = sorted(
                (at, at + other.bytes)
                for other in self._step.tensors.values()
                if tensor.lifetime.end in other.lifetime
                and (at := self._offsets[other.buffer]) < start + tensor.bytes
                and at + other.bytes > start
            )
            for low, high in taken:
                self.arena.poison(start, max(low - start, 0))
                start = max(start, high)
            end = self._offsets[tensor.buffer] + tensor.bytes
            self.arena.poison(min(start, end), max(end - start, 0))


class SeparateBuffers:
    """Every tensor, also an in-place output, in an array of its own: the truth the arena is held against."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._views: dict[str, Array] = {}

    def view(self, name: str) -> Array:
        """Return the array of a tensor."""
        if name not in self._views:
            tensor = self._step.tensors[name]
            self._views[name] = np.zeros(tensor.shape, tensor.dtype)
        return self._views[name]

    def poison(self, tensors: Iterable[StepTensor]) -> None:
        """Fill the arrays of dead tensors."""
        for tensor in tensors:
            self.view(tensor.name).view(np.uint8).fill(0xA5)
