"""What kind of instruction a word of machine code is: what a model of a core's cycles asks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CLASSES = ("load", "store", "multiply", "divide", "branch", "float", "float_divide", "other")
"""Loads and stores (float ones too), integer products, divisions, jumps and calls, arithmetic and moves of
the floating-point unit, its divisions and roots, and the rest: additions, shifts, comparisons, moves."""
_NUMBER = {name: number for number, name in enumerate(CLASSES)}


def classified(image: NDArray[np.uint8], start: int, size: int, *, riscv: bool) -> NDArray[np.int64]:
    """Return how many instructions of each class a block of code has.

    Args:
        image: the bytes of flash.
        start, size: of the block, in bytes.
        riscv: True for RISC-V, False for Thumb.
    """
    counts = np.zeros(len(CLASSES), np.int64)
    name_of = _riscv if riscv else _thumb
    for first, second in _words(image, start, size, riscv=riscv):
        counts[_NUMBER[name_of(first, second)]] += 1
    return counts


def _words(image: NDArray[np.uint8], start: int, size: int, *, riscv: bool) -> Iterator[tuple[int, int]]:
    """Yield instructions as pairs of halfwords; the second is 0 where there is one alone."""
    at = start
    while at < start + size:
        first = int(image[at]) | int(image[at + 1]) << 8
        wide = first & 3 == 3 if riscv else first >> 11 in (0b11101, 0b11110, 0b11111)
        second = int(image[at + 2]) | int(image[at + 3]) << 8 if wide else 0
        yield first, second
        at += 4 if wide else 2


def _thumb(first: int, second: int) -> str:
    """Return the class of a Thumb instruction (Armv7-M Architecture Reference Manual, A5)."""
    top = first >> 11
    if top in (0b11101, 0b11110, 0b11111):
        return _thumb_wide(first, second)
    if top == 0b01001 or 0b01010 <= top <= 0b10011:  # of a literal, by register, immediate, of the stack
        if top in (0b01010, 0b01011):
            return "store" if first >> 9 & 7 < 3 else "load"
        return "load" if top & 1 else "store"
    if top in (0b11000, 0b11001):
        return "load" if top & 1 else "store"
    if first >> 6 == 0b0100001101:
        return "multiply"
    if first >> 12 == 0b1011:
        if first >> 9 & 3 == 0b10:  # push, pop
            return "load" if first & 0x0800 else "store"
        return "branch" if first & 0x0500 == 0x0100 else "other"
    jump = first >> 8 == 0b01000111 or first >> 12 == 0b1101 or top == 0b11100
    return "branch" if jump else "other"


def _thumb_wide(first: int, second: int) -> str:
    """Return the class of a Thumb instruction of 32 bits (A5.3)."""
    group, rest = first >> 11 & 3, first >> 4 & 0x7F
    loads = bool(first & 0x10)
    if group == 2:
        return "branch" if second & 0x8000 and (second & 0x5000 or first >> 7 & 7 != 7) else "other"
    if rest & 0x40:
        return _coprocessor(first, second)
    if group == 1:
        if rest & 0x20:
            return "other"
        if first & 0xFFF0 == 0xE8D0 and second & 0x00E0 == 0:  # jump through a table
            return "branch"
        return "load" if loads else "store"
    if rest & 0x71 == 0:
        return "store"
    if rest & 0x67 in (1, 3, 5):
        return "load"
    if rest & 0x70 == 0x30:
        return "divide" if first & 0xFFD0 == 0xFB90 else "multiply"
    return "other"


def _coprocessor(first: int, second: int) -> str:
    """Return the class of an instruction of the floating-point unit (A6)."""
    if first & 0x0E00 == 0x0C00 and first & 0x0FE0 != 0x0C40:  # which moves a pair of registers
        return "load" if first & 0x10 else "store"
    divides = first & 0xFFB0 == 0xEE80 and not second & 0x0050
    roots = first & 0xFFBF == 0xEEB1 and second & 0x00D0 == 0x00C0
    return "float_divide" if divides or roots else "float"


_RISCV = {
    0x03: "load", 0x07: "load", 0x23: "store", 0x27: "store", 0x63: "branch", 0x67: "branch", 0x6F: "branch",
    0x43: "float", 0x47: "float", 0x4B: "float", 0x4F: "float",
}  # fmt: skip


def _riscv(first: int, second: int) -> str:
    """Return the class of a RISC-V instruction (unprivileged specification, chapters RV32, M, F, C)."""
    if first & 3 != 3:
        return _compressed(first)
    code = first & 0x7F
    if code == 0x33 and second >> 9 == 1:  # funct7: the extension M
        return "divide" if first >> 14 & 1 else "multiply"
    if code == 0x53:
        return "float_divide" if second >> 9 in (0x0C, 0x2C) else "float"
    return _RISCV.get(code, "other")


def _compressed(word: int) -> str:
    """Return the class of a RISC-V instruction of 16 bits."""
    quadrant, function = word & 3, word >> 13
    if quadrant in (0, 2) and function & 3:
        return "store" if function & 4 else "load"
    if quadrant == 1 and function in (1, 5, 6, 7):
        return "branch"
    if quadrant == 2 and function == 4 and word & 0x7C == 0:
        return "branch"
    return "other"
