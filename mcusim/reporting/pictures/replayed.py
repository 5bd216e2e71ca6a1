"""A replay: what was live at the fullest moment, what was lost to headers and holes, and what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcusim.reporting.pictures.canvas import FONT, KIB, below, canvas, headed, legend
from mcusim.sections.colors import ALERT, INK, OTHER, ROLE_COLORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mcusim.traces.outcome import Replay


def plot_replay(found: Replay) -> Figure:
    """Draw one bar: bytes by role, what lies between them up to the peak, and the SRAM there is."""
    figure, (ax,) = canvas(1.15 + below(1 + sum(map(bool, found.moment.by_role.values()))))
    left, drawn = 0.0, []
    for role, shade in ROLE_COLORS.items():
        size = found.moment.by_role.get(role, 0) / KIB
        if size:
            ax.barh([0], [size], left=left, color=shade, height=0.6)
            left += size
            drawn.append(str(role))
    rest = found.peak_bytes / KIB - left
    if rest > 0:
        ax.barh([0], [rest], left=left, color=OTHER, height=0.6)
        drawn.append("holes, headers")
    most = found.peak_bytes
    near = bool(found.sram_bytes) and found.sram_bytes <= 2 * found.peak_bytes
    if near:
        ax.axvline(found.sram_bytes / KIB, color=ALERT, linewidth=1.2, linestyle=(0, (5, 3)))
        most = max(most, found.sram_bytes)
    ax.set_xlim(0, 1.02 * most / KIB)
    ax.set_ylim(-0.4, 0.4)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"KiB of SRAM{'; red: what there is' if near else ''}", fontsize=FONT, color=INK)
    how = f"{found.method} {found.name}".strip()
    headed(figure, f"replayed ({how}): {found.live_bytes:,} B live, {found.peak_bytes:,} B at the peak")
    legend(figure, drawn)
    return figure
