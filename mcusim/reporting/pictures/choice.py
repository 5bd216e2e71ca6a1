"""A search: the selections that fit, by what they need and what they may gain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.explore.search import SHAPES
from mcusim.reporting.pictures.canvas import FONT, KIB, SERIES, canvas, headed, keys, sparse
from mcusim.sections.colors import ALERT, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.explore.found import Found

MARKS = dict(zip(SHAPES, SERIES, strict=False))


def plot_choice(found: Found) -> Figure:
    """Draw expected gain over peak, a mark a selection; the line joins those that nothing beats."""
    figure, (ax,) = canvas(2.6)
    for shape, (shade, mark) in MARKS.items():
        own = [option for option in found.options if option.shape == shape]
        peaks = [option.plan.peak_bytes / KIB for option in own]
        ax.scatter(peaks, [o.gain for o in own], marker=mark, s=16, color=shade, label=shape, linewidths=0)
    best: list[tuple[float, float]] = []
    for option in sorted(found.options, key=lambda o: (o.plan.peak_bytes, -o.gain)):
        if not best or option.gain > best[-1][1]:
            best.append((option.plan.peak_bytes / KIB, option.gain))
    ax.step(*zip(*best, strict=True), where="post", color=INK, linewidth=0.8, zorder=0)
    ax.axvline(found.sram_bytes / KIB, color=ALERT, linewidth=1.2, linestyle=(0, (5, 3)))
    sparse(ax.xaxis, ax.yaxis)
    ax.set_xlabel("peak (KiB of SRAM); red: what there is", fontsize=FONT, color=INK)
    ax.set_ylabel("expected gain", fontsize=FONT, color=INK)
    headed(figure, f"{found.model.name} on {found.board.name}: {len(found.options)} selections fit")
    keys(figure, ax.get_legend_handles_labels()[0], title="channels")
    return figure
