"""Best fit."""

from __future__ import annotations

from mcusim.memory.allocators.geometry import Geometry
from mcusim.memory.allocators.heap import Heap
from mcusim.memory.allocators.hole_list import HoleList
from mcusim.memory.allocators.registry import ALLOCATORS

GEOMETRY = Geometry(header_bytes=8, align=8, min_block=16)
"""FreeRTOS heap_4 on a 32-bit core: a header of pointer and size, blocks of two headers or more."""


@ALLOCATORS.register("best_fit")
def best_fit(capacity: int, /, *, geometry: Geometry = GEOMETRY) -> Heap:
    """Return a heap that serves from the smallest hole that fits, the lowest among equals.

    Raises:
        BadProblem: if the capacity is no sensible number of bytes.
    """
    return Heap("best_fit", capacity, HoleList(capacity, geometry, best=True))
