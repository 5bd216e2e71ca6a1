"""In which order the dimensions of a PyTorch tensor lie in memory here.

PyTorch counts planes before pixels; here channels come last. What only changes how dimensions are counted, a
``permute`` or most reshapes, moves no element: the tensor stays where it is and another order is kept for it.
Elements are moved only where an operation needs another order than the tensor has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Shape = tuple[int, ...]
Order = tuple[int, ...]
"""Dimension ``i`` of the stored tensor is dimension ``order[i]`` of PyTorch's."""


class Held(NamedTuple):
    """A stored tensor that stands for one of PyTorch's."""

    name: str
    order: Order


def plain(rank: int) -> Order:
    """Return the order in which a tensor is stored if nothing says otherwise: four dimensions as NHWC."""
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


def channels_last(rank: int) -> Order:
    """Return the order with PyTorch's channels, its second dimension, at the end."""
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


def stored(shape: Sequence[int], order: Order) -> Shape:
    """Return the stored shape of a PyTorch shape."""
    return tuple(int(shape[i]) for i in order)


def settled(shape: Shape, order: Order) -> Order:
    """Return the usual order where that differs only in dimensions of one element, which move nothing."""
    for usual in (plain(len(shape)), channels_last(len(shape))):
        if thick(shape, usual) == thick(shape, order):
            return usual
    return order


def thick(shape: Shape, order: Order) -> Order:
    """Return the order of the dimensions that have several elements."""
    return tuple(i for i in order if shape[i] > 1)


def permuted(shape: Shape, order: Order, axes: Sequence[int]) -> Order:
    """Return the order after ``permute(axes)`` of a tensor of this shape: nothing moves."""
    new = tuple(shape[a] for a in axes)
    return settled(new, tuple(list(axes).index(i) for i in order))


def reshaped(old: Shape, new: Shape, order: Order) -> Order | None:
    """Return the order after a reshape that moves nothing; None if elements have to be moved first.

    A reshape merges and splits runs of neighbouring dimensions. It moves nothing where each run lies
    together, and in PyTorch's order, in memory too.
    """
    runs = _runs(old, new)
    run_of = {i: number for number, (before, _) in enumerate(runs) for i in before}
    memory = thick(old, order)
    met: list[int] = []
    for i in memory:
        if not met or met[-1] != run_of[i]:
            met.append(run_of[i])
    if len(met) != len(set(met)):
        return None  # a run lies in pieces
    if any([i for i in memory if run_of[i] == number] != sorted(i for i in runs[number][0] if old[i] > 1)
           for number in met):  # fmt: skip
        return None  # a run lies in another order
    thin = [number for number in range(len(runs)) if number not in met]
    first = [number for number in thin if not number]  # a batch of one comes first
    found = tuple(i for number in (*first, *met, *thin[len(first) :]) for i in runs[number][1])
    return settled(new, found)


def gathered(old: Shape, new: Shape, order: Order) -> Order:
    """Return an order from which a reshape moves nothing, with its runs as they come in memory now."""
    runs = _runs(old, new)
    run_of = {i: number for number, (before, _) in enumerate(runs) for i in before}
    met = dict.fromkeys(run_of[i] for i in order)
    return tuple(i for number in met for i in sorted(runs[number][0]))


def _runs(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Return which dimensions of ``old`` become which of ``new``, in the smallest pieces."""
    runs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        before, after, left, right = [], [], 1, 1
        if i < len(old):
            before, left, i = [i], old[i], i + 1
        if j < len(new):
            after, right, j = [j], new[j], j + 1
        while left != right:
            if left < right:
                before.append(i)
                left, i = left * old[i], i + 1
            else:
                after.append(j)
                right, j = right * new[j], j + 1
        runs.append((before, after))
    return runs
