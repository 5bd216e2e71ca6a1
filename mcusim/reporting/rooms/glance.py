"""What a comparison, a search, a tour, a timeline and an allocation problem look like, above their tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcusim.core.vocabulary import Role
from mcusim.explore.compare import Comparison
from mcusim.explore.found import Found
from mcusim.mcu.timeline.timeline import Timeline
from mcusim.memory.problem import Problem, Solution
from mcusim.reporting.rooms.charts import Mark, mark_chart
from mcusim.reporting.rooms.device import tracks
from mcusim.sections.colors import OTHER, ROLE_COLORS, color
from mcusim.sections.html import escape
from mcusim.sections.kinds import digits
from mcusim.traces.tour import Tour

Glanced = Comparison | Found | Timeline | Tour | tuple[Problem, Solution]
KIB = 1024
MOST_BLOCKS = 3000
"""Of more the page would be larger than one that is sent."""
LIVE, HEADERS, HOLES = ROLE_COLORS[Role.INPUT], ROLE_COLORS[Role.FEATURE], OTHER


@dataclass(frozen=True, slots=True)
class StackedBar:
    """A row of bars behind each other: ``parts`` are name, amount and colour; ``limit`` is marked."""

    name: str
    text: str
    parts: Sequence[tuple[str, int, str]]
    limit: int | None = None


def glance(result: Glanced) -> str:
    """Return a result as a picture of HTML; empty where there is nothing to see."""
    match result:
        case Comparison():
            return _comparison(result)
        case Found():
            return _search(result)
        case Timeline():
            return tracks(result)
        case Tour():
            return _tour(result)
        case (Problem() as problem, Solution() as solution):
            return _placement(problem, solution)


def stack_chart(title: str, stacks: Sequence[StackedBar]) -> str:
    """Return a table whose rows have bars of several parts, with their legend; empty without rows."""
    if not stacks:
        return ""
    most = max(sum(size for _, size, _ in stack.parts) for stack in stacks) or 1
    near = [stack.limit for stack in stacks if stack.limit is not None and stack.limit <= 1.3 * most]
    whole = max([most, *near])
    shades = {name: shade for stack in stacks for name, size, shade in stack.parts if size}
    legend = "".join(f'<span><i style="background:{s}"></i>{escape(n)}</span>' for n, s in shades.items())
    legend += '<span><b class="mark-limit"></b>what there is</span>' if near else ""
    return (
        f'<p class="keys">{legend}</p><div class="wide"><table class="bars"><caption>{escape(title)}'
        f"</caption><tbody>{''.join(_row(stack, whole) for stack in stacks)}</tbody></table></div>"
    )


def _row(stack: StackedBar, whole: int) -> str:
    bars = "".join(
        f'<i style="width:{100 * size / whole:.2f}%;background:{shade}" '
        f'data-tip="{escape(f"{name}: {size:,} B")}"></i>'
        for name, size, shade in stack.parts
        if size
    )
    limit = stack.limit
    if limit is not None and limit <= whole:
        said = f"what there is: {limit:,} B"
        bars += f'<b style="left:{100 * limit / whole:.2f}%" data-tip="{said}"></b>'
    return (
        f'<tr><th scope="row">{escape(stack.name)}</th><td class="n">{escape(stack.text)}</td>'
        f'<td class="long"><span>{bars}</span></td></tr>'
    )


def _roles(sizes: Iterable[tuple[str, int]], peak: int) -> list[tuple[str, int, str]]:
    """Return the bytes of roles in stacking order, and what no role has."""
    known = dict(sizes)
    parts = [(str(role), known.get(role, 0), shade) for role, shade in ROLE_COLORS.items()]
    return [*parts, ("holes", peak - sum(size for _, size, _ in parts), HOLES)]


def _comparison(found: Comparison) -> str:
    stacks = []
    for row in found.rows:
        plan, fits = row.plan, "" if row.plan.fits else ", does not fit"
        name = f"{plan.board.name}, {plan.settings.update}"
        parts = _roles(((str(role), size) for role, size in plan.by_role.items()), plan.peak_bytes)
        stacks.append(StackedBar(name, f"{plan.peak_bytes:,} B{fits}", parts, plan.settings.sram_bytes))
    return stack_chart("SRAM at the peak, by role", stacks)


def _tour(found: Tour) -> str:
    stacks = []
    for stop in found.stops:
        if stop.peak_bytes is None:
            continue
        live = min(stop.live_bytes or 0, stop.peak_bytes)
        headers = min(stop.overhead_bytes or 0, stop.peak_bytes - live)
        rest = stop.peak_bytes - live - headers
        parts = [("live", live, LIVE), ("headers, rounding", headers, HEADERS), ("holes", rest, HOLES)]
        fits = "" if stop.fits else ", does not fit"
        stacks.append(StackedBar(stop.name, f"{stop.peak_bytes:,} B{fits}", parts, found.sram_bytes))
    return stack_chart("SRAM at the peak", stacks)


def _search(found: Found) -> str:
    marks, highest = [], -1.0
    for option in sorted(found.options, key=lambda o: (o.plan.peak_bytes, -o.gain)):
        best = option.gain > highest
        highest = max(highest, option.gain)
        tip = f"{option.plan.settings.update}: gain {option.gain:.3f} at {option.plan.peak_bytes:,} B"
        marks.append(Mark(option.plan.peak_bytes / KIB, option.gain, tip, best=best))
    chart = mark_chart("expected gain over peak SRAM", marks, "peak SRAM, KiB", (digits, digits))
    return f'<div class="charts">{chart}</div>' if chart else ""


def _placement(problem: Problem, solution: Solution) -> str:
    blocks = [block for block in problem.blocks if block.bytes]
    if not blocks or len(blocks) > MOST_BLOCKS:
        return ""
    first, last = min(b.lifetime.start for b in blocks), max(b.lifetime.end for b in blocks)
    top = solution.height
    drawn = []
    for block in blocks:
        at = solution.offsets[block.name]
        said = escape(
            f"{block.name}: {block.bytes:,} B at {at:,}, {block.lifetime.start} to {block.lifetime.end}"
        )
        drawn += [
            f'<rect class="box" x="{life.start}" y="{top - at - size}" width="{life.end - life.start}" '
            f'height="{size}" fill="{color(str(block.role))}" data-tip="{said}"/>'
            for life, size in block.rectangles
        ]
    label = f"{len(blocks)} blocks, {top:,} B high, from {first} to {last}"
    return (
        f'<svg class="placed" viewBox="{first} 0 {last - first} {top}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{"".join(drawn)}</svg><p class="quiet">up: addresses, 0 to {top:,} B; '
        f"to the right: time, {first:,} to {last:,}; lower bound {solution.lower_bound:,} B</p>"
    )
