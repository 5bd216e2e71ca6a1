"""Two blocks that may share bytes while one op reads the one for the last time and writes the other.

An op that goes over its input in the order of the addresses leaves behind bytes that it never reads again.
Its output may grow into them, if it begins far enough below: the distance follows exactly from window,
stride, padding and channels (``mcusim.kernels.reach``). The literature calls it diagonal memory
optimisation (Q. Blacker, C. Bailey, S. Hosseini-Nohlen, "Diagonal memory optimisation for machine learning
on micro-controllers", arXiv 2010.01668).
"""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadProblem
from mcusim.memory.block import Block


@dataclass(frozen=True, slots=True)
class Overlap:
    """A licence for two blocks that are live together at one op.

    Attributes:
        old: name of the block that dies at that op.
        new: name of the block that is born at it, later than ``old``.
        distance: ``new`` begins at least so many bytes below ``old``, or it shares no byte with it. Less than
            what ``new`` has at its birth, since from there on nothing is shared.
    """

    old: str
    new: str
    distance: int


@dataclass(frozen=True, slots=True)
class OverlapPair:
    """An overlap with its blocks."""

    old: Block
    new: Block
    distance: int

    @property
    def time(self) -> int:
        """The only op at which both are live."""
        return self.new.lifetime.start

    @property
    def left(self) -> int:
        """Bytes that the old block still has then."""
        return self.old.bytes_at(self.time)

    def most(self, align: int = 1) -> int:
        """Return the most bytes they can share if offsets are multiples of ``align``."""
        low = -(-self.distance // align) * align
        return max(min(self.left, self.new.bytes - low), 0)

    def allows(self, old: int, new: int) -> bool:
        """True if the two may share what they share at these offsets."""
        return new + self.distance <= old or self.shared(old, new) == 0

    def shared(self, old: int, new: int) -> int:
        """Return how many bytes are common to both at these offsets."""
        return max(min(old + self.left, new + self.new.bytes) - max(old, new), 0)


def paired(blocks: tuple[Block, ...], overlaps: tuple[Overlap, ...]) -> tuple[OverlapPair, ...]:
    """Return overlaps with their blocks.

    Raises:
        BadProblem: if a name is unknown, two blocks do not meet at exactly one op, or a distance makes no
            sense.
    """
    if not overlaps:
        return ()
    known = {block.name: block for block in blocks}
    found = []
    for overlap in overlaps:
        thing = f"overlap of {overlap.old!r} and {overlap.new!r}"
        for name in (overlap.old, overlap.new):
            if name not in known:
                raise BadProblem(thing, f"names block {name!r}, and there is none")
        old, new = known[overlap.old], known[overlap.new]
        if old.lifetime.end != new.lifetime.start + 1 or old.lifetime.start >= new.lifetime.start:
            raise BadProblem(
                thing, f"is of blocks that live {old.lifetime} and {new.lifetime}",
                "the old one dies at the op at which the new one is born",
            )  # fmt: skip
        if not 0 <= overlap.distance < max(new.bytes, 1):
            raise BadProblem(
                thing, f"has the distance {overlap.distance}", f"it is at least 0 and below {new.bytes}"
            )
        found.append(OverlapPair(old, new, overlap.distance))
    if len({(pair.old.name, pair.new.name) for pair in found}) < len(found):
        raise BadProblem("problem", "has the same overlap twice")
    return tuple(found)
