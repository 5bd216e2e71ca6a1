"""Two pictures of a step: its live bytes by role, and its map of the arena."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.errors import BadArgument
from mcusim.events import EventTable, Header
from mcusim.reporting.axis import clock as clock_of
from mcusim.reporting.axis import phases
from mcusim.reporting.pictures.canvas import FONT, KIB, SMALL, canvas, inches, legend, plain, titled
from mcusim.reporting.subject import Subject, trace_of
from mcusim.sections.colors import ALERT, INK, ROLE_COLORS
from mcusim.traces import Trace
from mcusim.traces.explanation import title_of
from mcusim.traces.live import live_by_role, live_bytes
from mcusim.traces.rectangles import Rectangle, rectangles
from mcusim.traces.sharing import shared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAR = 2.0
"""Of the peak: a capacity further away is named and not drawn."""


def plot_memory(subject: Subject) -> Figure:
    """Draw the live bytes of the step with the peak, and below them its map of the arena, over one axis."""
    events, header = _step(subject, None)
    if len(events):
        events = events[events.step == events.step[int(np.argmax(live_bytes(events)))]]
    figure, (upper, lower) = canvas(5.6, rows=2)
    trace = Trace(header, events)
    plot_live(trace, ax=upper)
    plot_arena(trace, ax=lower)
    upper.set_xlabel("")
    named = lower.get_legend()
    if named is not None:
        named.remove()
    return figure


def plot_live(subject: Subject, *, step: int | None = None, ax: Axes | None = None) -> Figure:
    """Draw live bytes over the ops of a step, stacked by role, with the capacity and the peak.

    Args:
        subject: a plan, run or trace.
        step: the step to draw; all there are if not given.
        ax: where to draw; a new figure if not given.

    Returns:
        The figure, to be shown or saved.

    Raises:
        MissingPackage: matplotlib is not installed.
        BadArgument: there is no such step.
    """
    events, header = _step(subject, step)
    figure, ax = _axes(ax)
    clock = clock_of(events)
    by_role = live_by_role(events)
    layers = [(role, by_role[role] / KIB) for role in ROLE_COLORS if role in by_role]
    if layers:
        ax.stackplot(
            clock,
            [values for _, values in layers],
            labels=[str(role) for role, _ in layers],
            colors=[ROLE_COLORS[role] for role, _ in layers],
            step="post",
            linewidth=0,
        )
    total = live_bytes(events)
    _mark_peak(ax, clock, total, events)
    top = int(total.max(initial=0))
    _finish(ax, events, header, clock, top, f"Live SRAM over a step: {title_of(header)}")
    ax.set_ylabel("live bytes (KiB)", fontsize=FONT)
    legend(ax, [str(role) for role, _ in layers])
    return figure


def plot_arena(subject: Subject, *, step: int | None = None, ax: Axes | None = None) -> Figure:
    """Draw the arena: every block as a rectangle of its addresses and its life, colored by role.

    White is memory that nothing uses; hatched is what an output takes from the input that dies with it.

    Args:
        subject: a plan, run or trace.
        step: the step to draw; all there are if not given.
        ax: where to draw; a new figure if not given.

    Returns:
        The figure, to be shown or saved.

    Raises:
        MissingPackage: matplotlib is not installed.
        BadArgument: there is no such step.
    """
    events, header = _step(subject, step)
    figure, ax = _axes(ax)
    clock = clock_of(events)
    drawn = rectangles(events)
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle as Patch

    top = max((r.offset + r.bytes for r in drawn), default=0)
    # A thin block would vanish under its own outline.
    outlined = [r.bytes > 0.008 * top for r in drawn]
    for role in ROLE_COLORS:
        for width in (0.0, 0.35):
            patches = [
                _patch(Patch, r, clock)
                for r, outline in zip(drawn, outlined, strict=True)
                if r.role == role and outline == bool(width)
            ]
            ax.add_collection(
                PatchCollection(patches, facecolor=ROLE_COLORS[role], edgecolor="white", linewidth=width)
            )
    over = [Patch((float(clock[s.row]), s.offset / KIB), 1.0, s.bytes / KIB) for s in shared(events)]
    ax.add_collection(
        PatchCollection(over, facecolor="none", edgecolor=(0, 0, 0, 0.45), linewidth=0.3, hatch="/////")
    )
    _names(ax, drawn, clock, _height(top, header.sram_bytes))
    _finish(ax, events, header, clock, top, f"Map of the arena: {title_of(header)}")
    ax.set_ylabel("address (KiB)", fontsize=FONT)
    legend(ax, [str(role) for role in ROLE_COLORS if any(r.role == role for r in drawn)])
    return figure


def _step(subject: Subject, step: int | None) -> tuple[EventTable, Header]:
    trace = trace_of(subject)
    if step is None:
        return trace.events, trace.header
    before = trace.events.step < step
    chosen = trace.events[~before & (trace.events.step <= step)]
    if not len(chosen):
        raise BadArgument(f"step {step}", "is not in the trace")
    return chosen, trace.header


def _axes(ax: Axes | None) -> tuple[Figure, Axes]:
    if ax is not None:
        return ax.figure, ax  # type: ignore[return-value]
    figure, (ax,) = canvas(3.0)
    return figure, ax


def _mark_peak(ax: Axes, clock: NDArray[np.float64], total: NDArray[np.int64], events: EventTable) -> None:
    """Point at the first moment with the most live bytes, from the emptier side."""
    if not total.any():
        return
    row = int(np.argmax(total))
    x, y = clock[row] + 0.5, float(total[row]) / KIB
    right = x < 0.6 * clock[-1]
    ax.plot([x], [y], marker="o", markersize=5, color=INK, zorder=5)
    ax.annotate(
        f"peak {int(total[row]):,} B\n{events.row(row).op or 'between ops'}",
        (x, y),
        xytext=(26 if right else -26, 20),
        textcoords="offset points",
        ha="left" if right else "right",
        va="bottom",
        fontsize=SMALL,
        color=INK,
        arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.8, "shrinkB": 3},
        # The capacity line may run behind the words.
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        zorder=6,
    )


def _finish(
    ax: Axes, events: EventTable, header: Header, clock: NDArray[np.float64], top: int, title: str
) -> None:
    """Draw what both pictures share: capacity, phases, limits, labels."""
    from matplotlib.ticker import MultipleLocator

    end = max(float(clock[-1]), 1.0) if len(clock) else 1.0
    capacity = header.sram_bytes
    height = _height(top, capacity)
    if capacity and capacity / KIB < height:
        ax.axhline(capacity / KIB, color=ALERT, linewidth=1.2, linestyle=(0, (5, 3)), zorder=4)
        ax.annotate(
            f"SRAM {capacity:,} B", (end, capacity / KIB), xytext=(-4, 4), textcoords="offset points",
            ha="right", color=ALERT, fontsize=SMALL,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    elif capacity:
        title += f"; SRAM {capacity:,} B"
    for start, stop, phase in phases(events, clock):
        if start:
            ax.axvline(start, color=INK, linewidth=0.6, alpha=0.35, zorder=1)
        if stop - start > 0.06 * end:
            ax.text(
                (start + stop) / 2, 0.975 * height, phase, ha="center", va="top", color=INK, fontsize=SMALL
            )
    ax.set_xlim(0, end)
    ax.set_ylim(0, height)
    ax.yaxis.set_major_locator(MultipleLocator(2 ** max(int(height).bit_length() - 3, 0)))
    ax.set_xlabel("op", fontsize=FONT)
    titled(ax, title)
    plain(ax)


def _height(top: int, capacity: int) -> float:
    """Return the KiB that an axis shows: the capacity too, unless the rest would be a strip."""
    near = capacity <= FAR * max(top, KIB)
    room = 1.2 if near else 1.5  # for the words above the peak
    return max(room * max(top, capacity if near else 0), 1.5 * top, KIB) / KIB


def _patch(kind: Any, block: Rectangle, clock: NDArray[np.float64]) -> Any:
    start, end = _span(block, clock)
    return kind((start, block.offset / KIB), end - start, block.bytes / KIB)


def _span(block: Rectangle, clock: NDArray[np.float64]) -> tuple[float, float]:
    last = min(block.end, len(clock) - 1)
    return float(clock[block.start]), float(clock[last])


def _names(ax: Axes, blocks: list[Rectangle], clock: NDArray[np.float64], height: float) -> None:
    """Write the tensor's name into rectangles that have room for it."""
    width = max(float(clock[-1]), 1.0) if len(clock) else 1.0
    letters = 20 * inches(ax)
    for block in blocks:
        start, end = _span(block, clock)
        room = letters * (end - start) / width
        if block.bytes / KIB < 0.045 * height or room < 6:
            continue
        name = block.tensor if len(block.tensor) <= room else block.tensor[: int(room) - 1] + "…"
        ax.text(
            (start + end) / 2, (block.offset + block.bytes / 2) / KIB, name,
            ha="center", va="center", fontsize=5.5, color="white", clip_on=True,
        )  # fmt: skip
