"""Weights of learning layers packed for the tiles, sixteen rows at a time."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.vector.tiles import dot4, loop
from mcusim.kernels.vector.vectors import (
    I8,
    I32,
    LONG,
    WORD,
    call,
    constant,
    emitted,
    i32,
    load,
    pointer,
    splat,
    store,
)


@emitted(types.none, *(types.int64,) * 5)
def pack_rows(b: Any, weight: Any, packed: Any, base: Any, size: Any, sizes: Any) -> None:
    """Pack the rows of one block of 16 outputs as [quad][16 outputs][4], and set their offsets.

    Args:
        b: builder.
        weight: address of the first row, int8.
        packed: where the block goes.
        base: where -(z + 128) times the sums of the rows go, 16 int32.
        size: bytes of a row, a multiple of 4.
        sizes: rows there are (fewer than 16 in a last block), times 2**32, plus z + 128.
    """
    rows, factor = b.lshr(sizes, LONG(32)), b.and_(sizes, LONG(0xFFFFFFFF))
    last = b.sub(rows, LONG(1))
    starts = []
    for i in range(16):
        # Lanes without a row repeat the last: nothing is computed from them.
        row = b.select(b.icmp_signed("<", LONG(i), rows), LONG(i), last)
        starts.append(b.add(weight, b.mul(row, size)))
    ones = constant(I32, 0x01010101)

    def quad(q: Any, sums: list[Any]) -> list[Any]:
        at = b.mul(q, LONG(4))
        block = ir.Constant(I32, ir.Undefined)
        for i, start in enumerate(starts):
            block = b.insert_element(block, load(b, b.add(start, at), WORD), WORD(i))
        store(b, block, b.add(packed, b.mul(at, LONG(16))))
        return [dot4(b, sums[0], ones, block)]

    (total,) = loop(b, b.lshr(size, LONG(2)), [constant(I32, 0)], quad)
    store(b, b.mul(total, splat(b, b.trunc(b.sub(LONG(0), factor), WORD))), base)


@emitted(i32, *(types.int64,) * 6)
def pack_column(b: Any, first: Any, step: Any, rows: Any, channels: Any, target: Any, lower: Any) -> Any:
    """Pack up to 4 rows of a column of 16 channels as [16 channels][4 rows]; return the channels' sums.

    Args:
        b: builder.
        first: address of the first row, int8.
        step: bytes from row to row.
        rows: how many there are.
        channels: of 16; nothing is read of others.
        target: where the column goes.
        lower: where it goes once more, every row one lower (the fourth is lost), or 0.
    """
    there = b.icmp_signed("<", ir.Constant(I32, list(range(16))), splat(b, b.trunc(channels, WORD)))
    word = total = constant(I32, 0)
    for i in range(4):
        mask = b.and_(there, splat(b, b.icmp_signed("<", LONG(i), rows)))
        place = pointer(b, b.add(first, b.mul(step, LONG(i))), I8)
        row = call(b, "llvm.masked.load.v16i8.p0", I8, place, WORD(1), mask, constant(I8, 0))
        word = b.or_(word, b.shl(b.zext(row, I32), constant(I32, 8 * i)))
        total = b.add(total, b.sext(row, I32))
    store(b, word, target)
    with b.if_then(b.icmp_signed("!=", lower, LONG(0))):
        store(b, b.shl(word, constant(I32, 8)), lower)
    return total
