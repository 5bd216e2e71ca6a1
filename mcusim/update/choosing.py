"""Work of the C kernels that choose channels at the beginning of a stage.

They take no memory for what they draw: words are made again for each channel that is looked for, and weights
are added anew, in double precision written in integers. What that takes is given in instructions of Armv7-M,
as ``mcusim twin`` counts them: ``tests/emulation/test_emulation_schemes.py`` holds every scheme against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SEED, WORD = 620, 109
"""Instructions of a stream of random words that begins (SeedSequence), and of a word (PCG64) in order."""
COMPARED = 27
"""Of one score that is compared with another."""
SUM, QUOTIENT = 187, 983
"""Of a sum or a product, and of a quotient, in double precision."""
PASSES = 4
"""How often each weight is added to choose one channel: all of them, those up to a point, and before each the
known ones for their mean."""

Layers = Iterable[tuple[int, int]]
"""Of each layer, how many channels are chosen of how many."""


def subsets(layers: Layers) -> int:
    """Return the instructions of a subset of each layer's channels, every one equally likely."""
    return sum(SEED + WORD * count * of for count, of in layers)


def orders(channels: Iterable[int]) -> int:
    """Return those of an order of each layer's channels."""
    return sum(SEED + WORD * of * of for of in channels)


def largest(layers: Layers) -> int:
    """Return those of the channels of each layer with the largest scores."""
    return sum(COMPARED * count * of for count, of in layers)


def weighted(chosen: int, of: int, *, by_size: bool = False) -> int:
    """Return those of so many channels, drawn with probability by weight, ``by_size`` of what each takes."""
    return chosen * of * PASSES * (SUM + (QUOTIENT if by_size else 0))


def damped(layers: int) -> int:
    """Return those of shares of channels by the error, damped once more for each layer behind."""
    return layers * (QUOTIENT + 4 * SUM) + SUM * layers * (layers - 1) // 2


def ranked(channels: Sequence[int]) -> int:
    """Return those of layers in the order of their sums of scores, added anew for each place."""
    return len(channels) * (SUM * sum(channels) + QUOTIENT * len(channels))
