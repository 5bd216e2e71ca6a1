"""An allocation problem, solved: every block at its address over its life."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.core.errors import BadArgument
from mcusim.reporting.pictures.canvas import FONT, canvas, grouped, headed, keys, sparse
from mcusim.sections.colors import ALERT, INK, color

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.memory.problem import Problem, Solution

MOST_BLOCKS = 100_000
HUES = 8
FAR = 2.0
"""Of the height: a capacity further away would squeeze the blocks into a strip, and is left out."""


def plot_placement(problem: Problem, solution: Solution) -> Figure:
    """Draw the blocks of a problem where a solution puts them, its bound and its capacity.

    Roles have their colours; where all blocks have one role, neighbours differ in lightness.

    Raises:
        BadArgument: if there are more blocks than a picture can show.
    """
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Rectangle

    blocks = [block for block in problem.blocks if block.bytes]
    if len(blocks) > MOST_BLOCKS:
        raise BadArgument("picture", f"would show {len(blocks):,} blocks", f"draw at most {MOST_BLOCKS:,}")
    figure, (ax,) = canvas(2.7)
    one = len({block.role for block in blocks}) == 1
    patches, faces = [], []
    for number, block in enumerate(blocks):
        at = solution.offsets[block.name]
        times = [block.lifetime.start, *(time for time, _ in block.shrinks), block.lifetime.end]
        sizes = [block.bytes, *(size for _, size in block.shrinks)]
        fade = 0.5 * (number * 5 % HUES) / HUES if one else 0.0
        red, green, blue = (part + (1 - part) * fade for part in to_rgb(color(str(block.role))))
        for start, end, size in zip(times, times[1:], sizes, strict=False):
            patches.append(Rectangle((start, at), end - start, size))
            faces.append((red, green, blue))
    width = 0.3 if len(blocks) < 2000 else 0.0
    ax.add_collection(PatchCollection(patches, facecolor=faces, edgecolor="white", linewidth=width))
    first = min((b.lifetime.start for b in blocks), default=0)
    last = max((b.lifetime.end for b in blocks), default=1)
    marks = [(solution.lower_bound, INK, f"lower bound {solution.lower_bound:,} B")]
    if problem.capacity is not None and problem.capacity <= FAR * solution.height:
        marks.append((problem.capacity, ALERT, f"capacity {problem.capacity:,} B"))
    if len(marks) == 2 and marks[0][0] == marks[1][0]:
        marks = [(marks[1][0], ALERT, f"capacity and lower bound {marks[1][0]:,} B")]
    top = max(solution.height, *(at for at, _, _ in marks), 1)
    lines = [
        ax.axhline(at, color=shade, linewidth=1.2, linestyle=(0, (5, 3)), label=said)
        for at, shade, said in marks
    ]
    ax.set_xlim(first, last)
    ax.set_ylim(0, 1.04 * top)
    ax.set_xlabel("time", fontsize=FONT, color=INK)
    ax.set_ylabel("address (B)", fontsize=FONT, color=INK)
    sparse(ax.xaxis, ax.yaxis)
    grouped(ax.xaxis, ax.yaxis)
    won = solution.winner or solution.planner
    headed(figure, f"{len(problem.blocks):,} blocks in {solution.height:,} B ({won}, {solution.status})")
    keys(figure, lines)
    return figure
