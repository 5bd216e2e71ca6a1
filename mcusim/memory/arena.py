"""The SRAM of the simulated device: one byte array."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mcusim.core import BadProblem
from mcusim.memory.problem import Problem

BASE_ALIGN = 64
POISON = 0xA5
"""What freed bytes are filled with."""
CANARY = 0xC9
"""What the bytes between fenced blocks are filled with."""


class Arena:
    """Memory of exactly ``capacity`` bytes, in which tensors are views.

    Attributes:
        capacity: bytes.
        bytes: the memory itself, uint8 array of shape ``(capacity,)``; its first byte lies at an
            address of this process that is a multiple of 64, so that offsets keep their alignment.
    """

    __slots__ = ("bytes", "capacity")

    def __init__(self, capacity: int) -> None:
        if not 0 < capacity < 2**40:
            raise BadProblem("arena", f"cannot have {capacity} bytes", "give the SRAM of the board")
        room = np.zeros(capacity + BASE_ALIGN, np.uint8)
        skip = -room.ctypes.data % BASE_ALIGN
        self.capacity = capacity
        self.bytes: npt.NDArray[np.uint8] = room[skip : skip + capacity]

    def view(self, offset: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return the array of ``shape`` and ``dtype`` that begins at byte ``offset``, C order, no copy.

        Raises:
            BadProblem: if it would leave the arena or ``offset`` is no multiple of the item size.
        """
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if offset % kind.alignment:
            raise BadProblem(
                f"view at {offset}", f"is not aligned for {kind}", f"use a multiple of {kind.alignment}"
            )
        return self._span(offset, size).view(kind).reshape(shape)

    def poison(self, offset: int, size: int) -> None:
        """Fill ``size`` freed bytes with a pattern, so that reading them is noticed."""
        self._span(offset, size).fill(POISON)

    def fence(self, offset: int, size: int) -> None:
        """Fill ``size`` bytes with canaries."""
        self._span(offset, size).fill(CANARY)

    def poisoned(self, offset: int, size: int) -> bool:
        """Return whether ``size`` bytes still are as ``poison`` left them."""
        return bool((self._span(offset, size) == POISON).all())

    def intact(self, offset: int, size: int) -> bool:
        """Return whether all of ``size`` canaries are still there."""
        return bool((self._span(offset, size) == CANARY).all())

    def _span(self, offset: int, size: int) -> npt.NDArray[np.uint8]:
        if offset < 0 or size < 0 or offset + size > self.capacity:
            raise BadProblem(
                f"bytes {offset}..{offset + size}", f"are outside the arena of {self.capacity:,} bytes"
            )
        return self.bytes[offset : offset + size]


def fenced(problem: Problem, size: int) -> Problem:
    """Return ``problem`` with ``size`` more bytes at the end of every block, for canaries.

    A block that shrinks takes its fence along: the ``size`` bytes after what it still occupies. No two
    fenced blocks overlap: an output would grow over the canaries of its input.
    """
    blocks = tuple(
        replace(b, bytes=b.bytes + size, shrinks=tuple((t, s + size) for t, s in b.shrinks))
        for b in problem.blocks
    )
    return replace(problem, blocks=blocks, overlaps=())
