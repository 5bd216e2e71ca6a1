"""The names under which dynamic allocators are found."""

from __future__ import annotations

from typing import Protocol

from mcusim.core import Registry
from mcusim.memory.allocators.heap import Heap


class AllocatorFactory(Protocol):
    """Makes an empty heap of some kind."""

    def __call__(self, capacity: int, /) -> Heap:
        """Return an empty heap of ``capacity`` bytes, control structures included.

        Raises:
            BadProblem: if the capacity is no sensible number of bytes.
        """
        ...  # pragma: no cover


ALLOCATORS: Registry[AllocatorFactory] = Registry("allocator", "mcusim.allocators")
