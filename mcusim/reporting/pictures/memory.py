"""Two pictures of a step: its live bytes by role, and its map of the arena."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mcusim.core.errors import BadArgument
from mcusim.events import EventTable, Header
from mcusim.reporting.axis import clock as clock_of
from mcusim.reporting.axis import phases
from mcusim.reporting.pictures.canvas import (
    FONT,
    KIB,
    SMALL,
    below,
    beside,
    canvas,
    fitted,
    headed,
    inches,
    legend,
    plain,
    sparse,
    tall,
    titled,
    wide,
)
from mcusim.reporting.subject import Subject, trace_of
from mcusim.sections.colors import ALERT, INK, ROLE_COLORS, color, ink_on
from mcusim.traces.explanation import title_of
from mcusim.traces.live import live_by_role, live_bytes
from mcusim.traces.rectangles import Rectangle, rectangles
from mcusim.traces.sharing import shared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 0.45
"""Inches: in less no name can be read."""
FAR = 2.0
"""Of the peak: a capacity further away is named and not drawn."""


def plot_memory(subject: Subject) -> Figure:
    """Draw the live bytes of the step with the peak, and below them its map of the arena, over one axis."""
    events, header = _step(subject, None)
    if len(events):
        events = events[events.step == events.step[int(np.argmax(live_bytes(events)))]]
    names = [str(role) for role in ROLE_COLORS if role in live_by_role(events)]
    figure, (upper, lower) = canvas(3.8 + below(len(names)), rows=2)
    _live(upper, events, header)
    _arena(lower, events, header)
    upper.set_xlabel("")
    upper.tick_params(labelbottom=False)
    headed(figure, _title(events, header))
    legend(figure, names)
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
    names = [str(role) for role in ROLE_COLORS if role in live_by_role(events)]
    return _alone(_live, ax, events, header, names, "Live SRAM over a step")


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
    there = {block.role for block in rectangles(events)}
    names = [str(role) for role in ROLE_COLORS if role in there]
    return _alone(_arena, ax, events, header, names, "Map of the arena")


def _alone(
    draw: Callable[[Axes, EventTable, Header], None], ax: Axes | None, events: EventTable, header: Header,
    names: list[str], what: str,
) -> Figure:  # fmt: skip
    """Draw one of both on a figure of its own, or where a person wants it, with a title and a legend."""
    title = f"{what}: {_title(events, header)}"
    if ax is None:
        figure, (own,) = canvas(2.2 + below(len(names)))
        draw(own, events, header)
        headed(figure, title)
        legend(figure, names)
        return figure
    draw(ax, events, header)
    titled(ax, title)
    beside(ax, names)
    return ax.figure  # type: ignore[return-value]


def _title(events: EventTable, header: Header) -> str:
    """Return where it comes from, and the capacity: red, unless it is too far away to be drawn."""
    top, capacity = int(live_bytes(events).max(initial=0)), header.sram_bytes
    if not capacity:
        return title_of(header)
    drawn = "red: " if capacity / KIB < _height(top, capacity) else ""
    return f"{title_of(header)}; {drawn}SRAM {capacity:,} B"


def _live(ax: Axes, events: EventTable, header: Header) -> None:
    clock, by_role, total = clock_of(events), live_by_role(events), live_bytes(events)
    layers = [(role, by_role[role] / KIB) for role in ROLE_COLORS if role in by_role]
    if layers:
        values, shades = [v for _, v in layers], [ROLE_COLORS[role] for role, _ in layers]
        ax.stackplot(clock, values, colors=shades, step="post", linewidth=0)
    top = int(total.max(initial=0))
    _finish(ax, events, header, clock, top)
    _mark_peak(ax, clock, total, events)
    ax.set_ylabel("live (KiB)", fontsize=FONT)


def _arena(ax: Axes, events: EventTable, header: Header) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle as Patch

    clock, drawn = clock_of(events), rectangles(events)
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
    _finish(ax, events, header, clock, top)
    ax.set_ylabel("address (KiB)", fontsize=FONT)


def _step(subject: Subject, step: int | None) -> tuple[EventTable, Header]:
    trace = trace_of(subject)
    if step is None:
        return trace.events, trace.header
    before = trace.events.step < step
    chosen = trace.events[~before & (trace.events.step <= step)]
    if not len(chosen):
        raise BadArgument(f"step {step}", "is not in the trace")
    return chosen, trace.header


def _mark_peak(ax: Axes, clock: NDArray[np.float64], total: NDArray[np.int64], events: EventTable) -> None:
    """Point at the first moment with the most live bytes, from the emptier side."""
    if not total.any():
        return
    row = int(np.argmax(total))
    x, y = clock[row] + 0.5, float(total[row]) / KIB
    right = x < 0.5 * clock[-1]
    ax.plot([x], [y], marker="o", markersize=4, color=INK, zorder=5)
    ax.annotate(
        f"peak {int(total[row]):,} B\n{fitted(events.row(row).op or 'between ops', 0.5 * wide(ax))}",
        (x, y),
        xytext=(14 if right else -14, 8),
        textcoords="offset points",
        ha="left" if right else "right",
        va="bottom",
        fontsize=SMALL,
        color=INK,
        arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.7, "shrinkB": 2, "shrinkA": 0},
        # The capacity line may run behind the words.
        bbox={"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"},
        zorder=6,
    )


def _finish(ax: Axes, events: EventTable, header: Header, clock: NDArray[np.float64], top: int) -> None:
    """Draw what both pictures share: capacity, phases, limits, labels."""
    from matplotlib.ticker import MultipleLocator

    end = max(float(clock[-1]), 1.0) if len(clock) else 1.0
    capacity = header.sram_bytes
    height = _height(top, capacity)
    if capacity and capacity / KIB < height:
        ax.axhline(capacity / KIB, color=ALERT, linewidth=1.2, linestyle=(0, (5, 3)), zorder=4)
    for start, stop, phase in phases(events, clock):
        if start:
            ax.axvline(start, color=INK, linewidth=0.6, alpha=0.35, zorder=1)
        if inches(phase, SMALL) < wide(ax) * (stop - start) / end:
            ax.text(
                (start + stop) / 2, 1.01, phase, ha="center", va="bottom", color=INK, fontsize=SMALL,
                transform=ax.get_xaxis_transform(),
            )  # fmt: skip
    ax.set_xlim(0, end)
    ax.set_ylim(0, height)
    ax.yaxis.set_major_locator(MultipleLocator(2 ** max(int(height).bit_length() - 3, 0)))
    sparse(ax.xaxis, most=6)
    ax.set_xlabel("op", fontsize=FONT)
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
    line = height * 1.4 * SMALL / 72 / tall(ax)
    for block in blocks:
        start, end = _span(block, clock)
        room = 0.95 * wide(ax) * (end - start) / width
        if block.bytes / KIB < line or room < LEAST:
            continue
        ax.text(
            (start + end) / 2, (block.offset + block.bytes / 2) / KIB, fitted(block.tensor, room),
            ha="center", va="center", fontsize=SMALL, color=ink_on(color(block.role)), clip_on=True,
        )  # fmt: skip
