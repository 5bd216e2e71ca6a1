"""The room of the device: what its time goes to, energy, its flash by sector and wear, a day of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mcusim.core import Interval, McusimError, Phase, Role
from mcusim.explore.compare import candidate
from mcusim.mcu.flash.flash import sectors
from mcusim.mcu.timeline.scenario import NS
from mcusim.mcu.timeline.timeline import TRACKS, Timeline
from mcusim.planning.plan import Plan
from mcusim.planning.timeline import timeline
from mcusim.reporting.rooms.charts import Bar, bar_chart
from mcusim.sections.colors import ALERT, color
from mcusim.sections.html import body, element, escape
from mcusim.sections.kinds import Column, Notes, Table, digits

CAUSES = {
    "compute": "computing", "flash_stalls": "waiting for flash", "sram_stalls": "waiting for SRAM",
    "cache_misses": "missed cache lines",
}  # fmt: skip
PHASES = {Phase.FORWARD: "var(--c0)", Phase.BACKWARD: "var(--c1)", Phase.UPDATE: "var(--c2)"}
TOP_OPS = 12
SECTORS = (
    Column("sectors", kind="name"), Column("each", "B", "number"), Column("hold", kind="text"),
    Column("taken", "", "share"), Column("erased", kind="name"),
    Column("write-backs they last", "", "number"),
)  # fmt: skip
HOURS = 24.0
WINDOW_S = 10.0
SPAN = 900
"""Units of the pictures of a step and of the first seconds."""


def device_room(plan: Plan) -> str:
    """Return time by cause and by op, energy, flash, and a day."""
    return "".join((_time(plan), _flash(plan), _day(plan)))


def _time(plan: Plan) -> str:
    estimate = plan.estimate
    if estimate is None:
        return element(Notes((f"{plan.board.name} has no cycle profile: its times are not known.",)))
    to_ms = 1000 / plan.board.clock_hz
    total = max(1, estimate.total_cycles)

    def said(cycles: int) -> str:
        return f"{digits(cycles * to_ms)} ms, {cycles / total:.1%}"

    causes = [
        Bar(CAUSES[name], cycles, "not known" if name in estimate.unknown else said(cycles))
        for name, cycles in estimate.breakdown.items()
    ]
    by_op = sorted(zip(plan.step.ops, estimate.cycles, strict=True), key=lambda item: -item[1])
    longest = [
        Bar(op.name, cycles, said(cycles), PHASES.get(op.phase, "var(--c3)"))
        for op, cycles in by_op[:TOP_OPS]
    ]
    cost = candidate(plan)
    notes = [f"time of a step: {estimate.time_ms}"]
    if cost.step_mj is not None:
        notes.append(f"energy of a step: {cost.step_mj}")
    notes += [*estimate.notes, *cost.missing]
    return (
        f'<h3>Where the time of a step goes</h3>{_strip(plan)}<div class="charts">'
        f"{bar_chart('by cause', causes)}{bar_chart(f'the {len(longest)} longest ops', longest)}</div>"
        f"{body([Notes(notes, quiet=True)])}"
    )


def _strip(plan: Plan) -> str:
    """Return the ops of a step in order, as wide as they take; colour is the phase."""
    estimate = plan.estimate
    assert estimate is not None
    total, at, drawn = max(1, estimate.total_cycles), 0, []
    for op, cycles, stalls in zip(plan.step.ops, estimate.cycles, estimate.stalls, strict=True):
        width = SPAN * cycles / total
        if width >= 0.25:
            waits = f", {stalls / cycles:.1%} of it waiting" if stalls else ""
            said = f"{op.name} ({op.phase}): {digits(1000 * cycles / plan.board.clock_hz)} ms{waits}"
            drawn.append(
                f'<rect x="{SPAN * at / total:.2f}" width="{width:.2f}" height="34" '
                f'fill="{PHASES.get(op.phase, "var(--c3)")}" data-tip="{escape(said)}"/>'
            )
        at += cycles
    keys = "".join(
        f'<span><i style="background:{shade}"></i>{phase}</span>' for phase, shade in PHASES.items()
    )
    label = f"a step of {digits(1000 * total / plan.board.clock_hz)} ms, op by op"
    return (
        f'<p class="keys">{keys}</p><svg class="strip" viewBox="0 0 {SPAN} 34" preserveAspectRatio="none" '
        f'role="img" aria-label="{label}">{"".join(drawn)}</svg>'
    )


@dataclass(frozen=True, slots=True)
class SectorRun:
    """Sectors side by side that are as large as each other and hold the same."""

    first: int
    last: int
    bytes: int
    holds: tuple[str, ...]
    taken: int


def _flash(plan: Plan) -> str:
    layout = plan.flash
    whole = max(layout.capacity_bytes, layout.total_bytes, 1)
    drawn = []
    for item in layout.items:
        said = escape(f"{item.name}, {item.role}, {item.bytes:,} B at {item.offset:,}")
        shade = color(str(item.role)) if item.role is not Role.CHECKPOINT else "var(--c1)"
        shade = "var(--c0)" if item.role is Role.CODE else shade
        drawn.append(
            f'<rect x="{SPAN * item.offset / whole:.2f}" width="{max(SPAN * item.bytes / whole, 0.3):.2f}" '
            f'y="8" height="30" fill="{shade}" data-tip="{said}"/>'
        )
    edges = {unit.start for unit, _ in sectors(plan.board.flash)}
    ticks = "".join(f"M{SPAN * at / whole:.2f} 40v6" for at in sorted(edges))
    slots = [item for item in layout.items if item.role is Role.CHECKPOINT]
    label = f"flash: {layout.total_bytes:,} of {layout.capacity_bytes:,} bytes taken"
    endurance = plan.board.flash.endurance_cycles
    rows = []
    for run in sector_runs(plan):
        wears = [name for name in run.holds if name.startswith("checkpoint")]
        erased = f"once in {len(slots)} write-backs" if wears else "never"
        size = run.bytes * (run.last - run.first + 1)
        lasts = endurance * len(slots) if wears and endurance is not None else None
        number = f"{run.first}" if run.first == run.last else f"{run.first} to {run.last}"
        holds = _listed(run.holds)
        rows.append((number, run.bytes, holds, run.taken / size, erased, lasts))
    return (
        f'<h3>Flash, sector by sector</h3><svg class="strip flash" viewBox="0 0 {SPAN} 48" '
        f'preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<rect class="free" y="8" width="{SPAN}" height="30"/>{"".join(drawn)}<path d="{ticks}"/></svg>'
        f"{element(Table(SECTORS, rows))}"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") or "nothing"


def sector_runs(plan: Plan) -> Iterator[SectorRun]:
    """Yield the erase units of the board, those alike together: their size, and what lies in them."""
    run: SectorRun | None = None
    for number, (unit, kind) in enumerate(sectors(plan.board.flash)):
        inside = [(i, Interval(i.offset, i.offset + i.bytes)) for i in plan.flash.items]
        there = [(i, span) for i, span in inside if span.overlaps(unit)]
        taken = sum(min(span.end, unit.end) - max(span.start, unit.start) for _, span in there)
        holds = tuple(dict.fromkeys(_kind(i.name, i.role) for i, _ in there))
        if run is not None and (run.bytes, run.holds) == (kind.bytes, holds):
            run = SectorRun(run.first, number, run.bytes, holds, run.taken + taken)
            continue
        if run is not None:
            yield run
        run = SectorRun(number, number, kind.bytes, holds, taken)
    if run is not None:
        yield run


def _kind(name: str, role: Role) -> str:
    return name if role in (Role.CHECKPOINT, Role.CODE, Role.REPLAY) else str(role)


def _day(plan: Plan) -> str:
    head = f"<h3>A day of it: a frame a second for {HOURS:.0f} hours</h3>"
    try:
        found = timeline(plan, hours=HOURS, window_s=WINDOW_S)
    except McusimError as error:
        return head + element(Notes((f"There is none: {error}",)))
    return f"{head}{tracks(found)}{body(found.sections())}"


def tracks(found: Timeline) -> str:
    """Return the first seconds of a timeline: a row a track; what the core waits for is red."""
    end = min(found.seconds, WINDOW_S) * NS
    shades = {"DMA": "var(--c2)", "core": "var(--c0)", "flash": "var(--c1)"}
    drawn = []
    for row, track in enumerate(TRACKS):
        y = 6 + 26 * row
        drawn.append(
            f'<text x="0" y="{y + 14}">{track}</text>'
            f'<rect class="free" x="48" y="{y}" width="852" height="20"/>'
        )
        for piece in found.slices:
            if piece.track != track or piece.start_ns >= end:
                continue
            start, stop = piece.start_ns / end, min(piece.end_ns, end) / end
            waits = track == "core" and not piece.name.startswith("step")
            said = escape(f"{piece.name}: {piece.start_ns / NS:.2f} s to {piece.end_ns / NS:.2f} s")
            drawn.append(
                f'<rect x="{48 + 852 * start:.2f}" width="{max(852 * (stop - start), 0.5):.2f}" y="{y}" '
                f'height="20" fill="{ALERT if waits else shades[track]}" data-tip="{said}"/>'
            )
    axis = "".join(
        f'<text x="{48 + 85.2 * s:.0f}" y="98" text-anchor="middle">{s} s</text>' for s in range(0, 11, 2)
    )
    return (
        f'<div class="wide"><svg class="tracks" viewBox="0 0 {SPAN + 12} 104" role="img" '
        'aria-label="the first ten seconds of '
        f'DMA, core and flash">{"".join(drawn)}{axis}</svg></div>'
    )
