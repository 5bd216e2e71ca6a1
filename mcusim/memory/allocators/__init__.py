"""Dynamic allocators: a heap at run time, to the byte. One allocator a file."""

from mcusim.memory.allocators.best_fit import best_fit
from mcusim.memory.allocators.buddy import buddy
from mcusim.memory.allocators.bump import bump
from mcusim.memory.allocators.first_fit import first_fit
from mcusim.memory.allocators.heap import Allocation, FreeSpace, Heap, Piece
from mcusim.memory.allocators.registry import ALLOCATORS, AllocatorFactory
from mcusim.memory.allocators.stack import stack
from mcusim.memory.allocators.tlsf import tlsf

__all__ = [
    "ALLOCATORS",
    "Allocation",
    "AllocatorFactory",
    "FreeSpace",
    "Heap",
    "Piece",
    "best_fit",
    "buddy",
    "bump",
    "first_fit",
    "stack",
    "tlsf",
]
