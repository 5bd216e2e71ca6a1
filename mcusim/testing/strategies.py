"""Hypothesis strategies for blocks of memory and problems of placing them."""

from __future__ import annotations

from itertools import permutations

from hypothesis import strategies as st

from mcusim.core import Interval, Role
from mcusim.memory import Block, Overlap, Problem


@st.composite
def blocks(
    draw: st.DrawFn,
    name: str,
    *,
    max_bytes: int = 60,
    max_time: int = 12,
    roles: tuple[Role, ...] = (Role.ACTIVATION,),
) -> Block:
    """Draw a block of 0 to ``max_bytes`` bytes that lives somewhere within ops 0 to ``max_time``.

    Some shrink while they live; alignments are 1, 2, 4 or 8 bytes.
    """
    start = draw(st.integers(0, max_time - 1))
    end = draw(st.integers(start + 1, max_time))
    size = draw(st.integers(0, max_bytes))
    shrinks: list[tuple[int, int]] = []
    if end - start > 1 and size > 1 and draw(st.booleans()):
        times = sorted(draw(st.sets(st.integers(start + 1, end - 1), max_size=3)))
        smaller = sorted(draw(st.sets(st.integers(1, size - 1), max_size=3)), reverse=True)
        shrinks = list(zip(times, smaller, strict=False))
    align = draw(st.sampled_from([1, 1, 2, 4, 8]))
    role = draw(st.sampled_from(roles))
    return Block(name, size, Interval(start, end), role, align, tuple(shrinks))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    max_blocks: int = 14,
    max_bytes: int = 60,
    max_time: int = 12,
    overlaps: bool = True,
    roles: tuple[Role, ...] = (Role.ACTIVATION,),
) -> Problem:
    """Draw a problem of at most ``max_blocks`` blocks, named ``b0``, ``b1`` …, without a capacity.

    With ``overlaps`` some pairs that meet at one op may share bytes, as the output and the dying input of
    a convolution may. Such small problems find almost every mistake, and are easy to read when they do.
    """
    count = draw(st.integers(0, max_blocks))
    made = tuple(
        draw(blocks(f"b{i}", max_bytes=max_bytes, max_time=max_time, roles=roles)) for i in range(count)
    )
    allowed = tuple(
        Overlap(old.name, new.name, draw(st.integers(0, new.bytes - 1)))
        for old, new in permutations(made, 2)
        if old.lifetime.end == new.lifetime.start + 1 and old.lifetime.start < new.lifetime.start
        if overlaps and new.bytes and draw(st.booleans())
    )
    return Problem(made, align=draw(st.sampled_from([1, 1, 4, 16])), overlaps=allowed)
