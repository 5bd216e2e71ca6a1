"""An allocation problem and its solution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from mcusim.core import BadProblem
from mcusim.memory.block import MAX_BYTES, Block
from mcusim.memory.overlap import Overlap, OverlapPair, paired


class Status(StrEnum):
    """What is proven about a solution."""

    OPTIMAL = "optimal"
    """No placement is lower, and it fits the capacity."""
    FEASIBLE = "feasible"
    """It fits the capacity (or there is none); a lower one may exist."""
    INFEASIBLE = "infeasible"
    """Proven: no placement fits the capacity."""
    UNKNOWN = "unknown"
    """This placement does not fit; another one may."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Blocks that want offsets.

    Attributes:
        blocks: with unique names; their order is the last tie-break of every planner.
        capacity: bytes there are, or ``None`` for as many as it takes.
        align: every offset is a multiple of this power of two, and of the block's own alignment.
        gaps: offsets at which memory ends and goes on elsewhere, ascending: no block lies across one.
        overlaps: blocks that may share bytes at one op; all others that are live together share none.

    Raises:
        BadProblem: on a repeated name, a bad capacity or alignment, sizes that add up to 2**62 bytes, or an
            overlap of blocks that do not meet at exactly one op.
    """

    blocks: tuple[Block, ...]
    capacity: int | None = None
    align: int = 1
    gaps: tuple[int, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        if self.capacity is not None and not 0 < self.capacity < MAX_BYTES:
            raise BadProblem("problem", f"has a capacity of {self.capacity} bytes", "give a positive size")
        if self.align < 1 or self.align & (self.align - 1):
            raise BadProblem("problem", f"wants alignment {self.align}", "use a power of two")
        names = {block.name for block in self.blocks}
        if len(names) < len(self.blocks):
            name, times = Counter(block.name for block in self.blocks).most_common(1)[0]
            raise BadProblem(f"block {name!r}", f"appears {times} times", "names are unique in a problem")
        if sum(block.bytes + self.align_of(block) for block in self.blocks) >= MAX_BYTES:
            raise BadProblem(
                "problem", f"has sizes that add up to {MAX_BYTES} bytes or more", "check the sizes"
            )
        paired(self.blocks, self.overlaps)

    @property
    def pairs(self) -> tuple[OverlapPair, ...]:
        """The overlaps with their blocks."""
        return paired(self.blocks, self.overlaps)

    def align_of(self, block: Block) -> int:
        """Return the alignment that holds for ``block``."""
        return max(self.align, block.align)

    def crossed(self, offset: int, size: int) -> int | None:
        """Return the first gap that ``size`` bytes at ``offset`` would lie across, if there is one."""
        return next((gap for gap in self.gaps if offset < gap < offset + size), None)

    @property
    def barred(self) -> bool:
        """True if some block may not lie everywhere."""
        return any(block.barred for block in self.blocks)

    def above(self, base: int, blocks: Iterable[Block]) -> Problem:
        """Return these blocks as a problem of what lies from ``base`` on, which is its offset 0."""

        def seen(block: Block) -> Block:
            bars = ((max(low - base, 0), high - base) for low, high in block.barred if high > base)
            return replace(block, barred=tuple(bars)) if block.barred else block

        kept = tuple(seen(block) for block in blocks)
        names = {block.name for block in kept}
        return replace(
            self, blocks=kept, capacity=None, gaps=tuple(gap - base for gap in self.gaps if gap > base),
            overlaps=tuple(o for o in self.overlaps if o.old in names and o.new in names),
        )  # fmt: skip

    def with_capacity(self, capacity: int | None) -> Problem:
        """Return the same blocks with another capacity."""
        return replace(self, capacity=capacity)


@dataclass(frozen=True, slots=True)
class Solution:
    """A place for every block.

    Attributes:
        offsets: block name → first byte. Complete, and free of overlaps even when it does not fit.
        height: bytes from 0 to the end of the highest block: the peak of this placement.
        planner: the planner that was asked.
        status: what is proven.
        lower_bound: no placement at all is lower than this many bytes.
        winner: the planner whose placement this is; differs from ``planner`` for ``best``.
        work: how often a placed block was looked at (0 where that is no measure).
    """

    offsets: Mapping[str, int]
    height: int
    planner: str
    status: Status
    lower_bound: int
    winner: str = ""
    work: int = 0

    @property
    def fits(self) -> bool:
        """True if the placement fits the capacity of its problem."""
        return self.status in (Status.OPTIMAL, Status.FEASIBLE)


def judge(problem: Problem, height: int, lower_bound: int) -> Status:
    """Return what a placement of ``height`` bytes and a proven ``lower_bound`` say about ``problem``."""
    if problem.capacity is not None and height > problem.capacity:
        return Status.INFEASIBLE if lower_bound > problem.capacity else Status.UNKNOWN
    return Status.OPTIMAL if height <= lower_bound else Status.FEASIBLE
