"""The pixels that a step keeps of one op's input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.engine.state import State
from mcusim.graph import Op
from mcusim.kernels.compiled.gather import Gather
from mcusim.lowering.step import Step

Array = NDArray[Any]


class SavedPixels:
    """Where the pattern lies on the input of one op in the present iteration.

    Attributes:
        positions: the kept pixels, ascending; changed in place, since kernels remember arrays they have met.
    """

    def __init__(self, step: Step, op: Op, state: State) -> None:
        _, self._height, self._width, _ = step.model.tensors[op.inputs[0]].shape
        self._pattern, self._state = step.formats.pattern, state
        self._gather = Gather(op.name)
        self.positions = np.zeros(step.saved_pixels[op.name], np.int32)

    def take(self, x: Array, channels: NDArray[np.int32], saved: Array) -> None:
        """Copy the kept pixels of some channels of ``x`` into ``saved``, which may begin where ``x`` does."""
        phase = self._pattern.phase(self._height, self._width, self._state.iteration)
        self.positions[...] = self._pattern.positions(self._height, self._width, phase)
        self._gather(x, self.positions, channels, saved)
