"""Whole blocks of 16 elements of error tensors as float32, with nothing decided within the loops.

ga = (g * unit, 0 where the clamp acted) * factor, each operation rounded to float32. Bits of a mask begin at
whole bytes here: whoever calls has rows of a multiple of 8 elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types

from mcusim.kernels.vector.tiles import loop
from mcusim.kernels.vector.vectors import (
    BIT,
    F32,
    I8,
    I16,
    I32,
    LONG,
    SHORT,
    constant,
    emitted,
    f32,
    load,
    store,
)

BYTES = {4: F32, 2: I16, 1: I8}
"""Formats, by their bytes an element."""
MANY = 4
"""Blocks that are summed at once."""


def _value(b: Any, address: Any, kind: Any, unit: Any, mask: Any | None, factor: Any) -> Any:
    """Emit ga of 16 elements; without a mask the clamp never acted."""
    value = load(b, address, kind)
    if kind is not F32:
        value = b.sitofp(b.sext(value, I32), F32)
    value = b.fmul(value, unit)
    if mask is not None:
        value = b.select(b.bitcast(load(b, mask, SHORT), BIT), value, constant(F32, 0.0))
    return b.fmul(value, factor)


def _for_each(b: Any, format: Any, mask: Any, emit: Callable[[int, Any | None], None]) -> None:
    """Emit ``emit(bytes, mask)`` for every format, with a mask and without."""
    masked = b.icmp_signed("!=", mask, LONG(0))
    for size in BYTES:
        with b.if_then(b.icmp_signed("==", format, LONG(size))), b.if_else(masked) as (some, none):
            with some:
                emit(size, mask)
            with none:
                emit(size, None)


@emitted(types.none, types.int64, types.int64, f32, *(types.int64,) * 7)
def load_blocks(
    b: Any, g: Any, format: Any, unit: Any, mask: Any, factor: Any, row: Any, step: Any, channels: Any,
    pixels: Any, blocks: Any,
) -> None:  # fmt: skip
    """Write ga of so many blocks of so many pixels, ``step`` bytes from pixel to pixel.

    ``mask`` is the address of the first bits, or 0.
    """

    def emit(size: int, mask: Any | None) -> None:
        def block(n: Any, _: list[Any]) -> list[Any]:
            at = b.mul(n, LONG(64))
            own, target = load(b, b.add(factor, at), F32), b.add(row, at)
            bits = None if mask is None else b.add(mask, b.mul(n, LONG(2)))
            here = b.add(g, b.mul(n, LONG(16 * size)))

            def pixel(k: Any, _: list[Any]) -> list[Any]:
                first = b.mul(k, channels)
                place = b.add(here, b.mul(first, LONG(size)))
                each = None if bits is None else b.add(bits, b.lshr(first, LONG(3)))
                store(b, _value(b, place, BYTES[size], unit, each, own), b.add(target, b.mul(k, step)))
                return []

            loop(b, pixels, [], pixel)
            return []

        loop(b, blocks, [], block)

    _for_each(b, format, mask, emit)


def _sum_blocks(blocks: int) -> Any:
    """Return what writes the sums of ga over pixels ascending, of so many blocks."""

    @emitted(types.none, types.int64, types.int64, f32, *(types.int64,) * 5)
    def kernel(
        b: Any, g: Any, format: Any, unit: Any, mask: Any, factor: Any, out: Any, channels: Any, pixels: Any
    ) -> None:
        factors = [load(b, b.add(factor, LONG(64 * n)), F32) for n in range(blocks)]

        def emit(size: int, mask: Any | None) -> None:
            def body(k: Any, sums: list[Any]) -> list[Any]:
                first = b.mul(k, channels)
                here = b.add(g, b.mul(first, LONG(size)))
                bits = None if mask is None else b.add(mask, b.lshr(first, LONG(3)))
                new = []
                for n, total in enumerate(sums):
                    each = None if bits is None else b.add(bits, LONG(2 * n))
                    place = b.add(here, LONG(16 * size * n))
                    new.append(b.fadd(total, _value(b, place, BYTES[size], unit, each, factors[n])))
                return new

            for n, total in enumerate(loop(b, pixels, [constant(F32, 0.0)] * blocks, body)):
                store(b, total, b.add(out, LONG(64 * n)))

        _for_each(b, format, mask, emit)

    return kernel


sum_one, sum_many = _sum_blocks(1), _sum_blocks(MANY)
