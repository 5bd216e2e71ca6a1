"""Delayed power-of-two scales of integer error tensors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Kind, is_kind
from mcusim.engine.state import State
from mcusim.kernels.compiled.prepared import address_of
from mcusim.kernels.number_formats import ERRORS
from mcusim.lowering.step import Step

Floats = NDArray[np.float64]
DECAY = 0.999
"""How fast a largest magnitude is forgotten, a step."""


class ErrorScales:
    """The scale of each error tensor, from the largest magnitude of earlier steps.

    An integer error tensor must have its scale before its values are known. It is the smallest power
    of two with which the largest magnitude seen so far (slowly forgotten) fits; larger values
    saturate, and saturations are counted. float32 error tensors have scale 1.
    """

    def __init__(self, step: Step, state: State) -> None:
        self._state = state
        self._names = [n for n in step.tensors if is_kind(n, Kind.ERROR)]
        self._top = [ERRORS[step.tensors[n].dtype].limit or 0.0 for n in self._names]
        self._index = {n: i for i, n in enumerate(self._names)}
        self._integers = np.flatnonzero(self._top)
        self._limited = [self._names[i] for i in self._integers]
        self._limits = np.array(self._top)[self._integers]
        self.count = len(self._limited)
        # Compiled kernels read and write these where they lie.
        self.scale = np.ones(len(self._names))
        self.peaks = np.zeros(len(self._names))
        self.saturated = np.zeros(1, np.int64)
        self._set()

    @property
    def known(self) -> bool:
        """True if scales were found before, e.g. by a checkpoint."""
        return bool(self._state.peaks)

    def index(self, name: str) -> int:
        """Return the position of an error tensor in ``scale``."""
        return self._index[name]

    def integers(self) -> Iterator[tuple[str, float, float]]:
        """Yield name, scale and largest magnitude so far of each integer error tensor."""
        for name, scale, top in zip(self._names, self.scale, self._top, strict=True):
            if top:
                yield name, scale, self._state.peaks.get(name, 0.0)

    def record(self, index: int, stored: Any) -> None:
        """Take note of what a kernel stored: saturated elements and the largest magnitude."""
        if self._top[index]:
            saturated, peak = stored
            self.saturated[0] += saturated
            self.peaks[index] = max(self.peaks[index], peak)

    def address(self, index: int) -> int:
        """Return where the scale of an error tensor lies."""
        return address_of(self.scale) + index * self.scale.itemsize

    def observed(self, index: int) -> tuple[int, int]:
        """Return the addresses of the saturated elements and of the peak; 0 for a tensor without a limit."""
        if not self._top[index]:
            return 0, 0
        return address_of(self.saturated), address_of(self.peaks) + index * self.peaks.itemsize

    def advance(self) -> bool:
        """Derive the scales of the next step; return True if any of them changed."""
        if not self.count:
            return False
        faded, seen = self._peaks() * DECAY, self.peaks[self._integers]
        self._state.peaks.update(
            zip(self._limited, np.where(faded > seen, faded, seen).tolist(), strict=True)
        )
        self.peaks[self._integers] = 0.0
        self._state.saturations += int(self.saturated[0])
        self.saturated[0] = 0
        before = self.scale.copy()
        self._set()
        return bool((before != self.scale).any())

    def forget_saturations(self) -> None:
        """Do not count what saturated while the scales were being found."""
        self._state.saturations = 0

    def _peaks(self) -> Floats:
        """Return the largest magnitude so far of each tensor that has a limit."""
        known = self._state.peaks
        return np.array([known.get(name, 0.0) for name in self._limited])

    def _set(self) -> None:
        peaks = self._peaks()
        there = peaks > 0.0
        # frexp: peak / limit = m * 2**e with 0.5 <= m < 1, so 2**e is the power of two above.
        _, exponents = np.frexp(peaks[there] / self._limits[there])
        self.scale[self._integers[there]] = np.ldexp(1.0, exponents)
