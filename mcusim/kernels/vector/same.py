"""Whether bytes are what they were, many at a time."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from mcusim.kernels.vector.tiles import loop
from mcusim.kernels.vector.vectors import (
    BYTE,
    I8,
    LANES,
    LONG,
    WORD,
    call,
    constant,
    emitted,
    load,
    pointer,
    splat,
)

_WIDE = ir.VectorType(BYTE, 64)


@emitted(types.int64, types.int64, types.int64, types.int64)
def differ(b: Any, p: Any, q: Any, count: Any) -> Any:
    """Return 0 if ``count`` bytes at both addresses are the same; nothing beyond them is read."""

    def scan(kind: Any, size: int, first: Any, end: Any) -> Any:
        """Return, of whole vectors from byte ``first`` on, the bits in which any two differ, and the next."""
        steps = b.ashr(b.sub(end, first), LONG(size.bit_length() - 1))

        def body(k: Any, found: list[Any]) -> list[Any]:
            at = b.add(first, b.mul(k, LONG(size)))
            other = b.xor(load(b, b.add(p, at), kind), load(b, b.add(q, at), kind))
            return [b.or_(found[0], other)]

        (found,) = loop(b, steps, [constant(kind, 0)], body)
        whole = b.icmp_signed("!=", b.bitcast(found, ir.IntType(8 * size)), ir.IntType(8 * size)(0))
        return b.zext(whole, LONG), b.add(first, b.mul(steps, LONG(size)))

    wide, at = scan(_WIDE, 64, LONG(0), count)
    narrow, at = scan(I8, 16, at, count)
    left = b.trunc(b.sub(count, at), BYTE)
    few = b.icmp_signed("<", ir.Constant(I8, list(range(LANES))), splat(b, left))
    rest = [
        call(
            b, "llvm.masked.load.v16i8.p0", I8, pointer(b, b.add(address, at), I8), WORD(1), few,
            constant(I8, 0),
        )
        for address in (p, q)
    ]  # fmt: skip
    last = b.icmp_signed("!=", b.bitcast(b.xor(*rest), ir.IntType(128)), ir.IntType(128)(0))
    return b.or_(b.or_(wide, narrow), b.zext(last, LONG))
