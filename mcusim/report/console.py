"""Plans, runs and comparisons as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from mcusim.core import Figure
from mcusim.explore.compare import Comparison
from mcusim.planning import facts as summary
from mcusim.planning.cost import SessionCost
from mcusim.planning.plan import Plan
from mcusim.session.run import Run

BAR = 24
"""Characters of a full bar of the memory table."""


def plan_view(plan: Plan, cost: SessionCost | None = None) -> RenderableType:
    """Return a plan: what it is, does it fit, the facts, the memory table, and what would lower the peak.

    ``cost`` is that of a whole session, if it was asked for.
    """
    style = "bold green" if plan.fits else "bold red"
    parts: list[RenderableType] = [
        Text.assemble((summary.title(plan), "bold"), ": ", (summary.verdict(plan), style)),
        facts_table(summary.facts(plan)),
        memory_table(plan),
        flash_table(plan),
    ]
    if cost is not None:
        parts.append(facts_table(summary.cost_facts(cost)))
    if plan.suggestions:
        parts.append(lines("what would lower the peak", plan.suggestions))
    return Group(*parts)


def run_view(run: Run) -> RenderableType:
    """Return a run: accuracy first, then the memory table and the time a step takes on the device."""
    gain = run.accuracy_after - run.accuracy_before
    head = Text.assemble(
        ("accuracy ", "bold"), f"{run.accuracy_before:.2%} before, ",
        (f"{run.accuracy_after:.2%} after", "bold green" if gain > 0 else "bold red"),
        f" {run.steps:,} steps ({run.images_per_s:,.0f} images/s on this computer)",
    )  # fmt: skip
    plan = run.plan
    parts: list[RenderableType] = [
        head,
        Text(summary.title(plan)),
        memory_table(plan),
        facts_table(device_facts(run)),
    ]
    return Group(*parts)


def device_facts(run: Run) -> summary.Facts:
    """Return what the run would mean on the device."""
    rows = [("SRAM", summary.verdict(run.plan)), ("time a step", summary.time(run.plan))]
    rows += summary.cost_facts(run.cost)
    estimate = run.plan.estimate
    if estimate is not None and run.images_per_s:
        faster = run.images_per_s * estimate.seconds
        rows.append(("simulated", f"{faster:,.0f} times faster than the device"))
    return rows


def comparison_view(found: Comparison) -> RenderableType:
    """Return one line a candidate, and below them where times come from and what could not be said."""
    rows, notes = [], {}
    for row in found.rows:
        plan = row.plan
        rows.append(
            (
                plan.board.name, plan.settings.update, "yes" if plan.fits else "no",
                f"{plan.peak_bytes:,}", f"{plan.settings.sram_bytes:,}",
                _figure(row.step_ms), _figure(row.step_mj),
                "–" if row.write_backs is None else f"{row.write_backs:,}",
            )
        )  # fmt: skip
        notes.update(dict.fromkeys(row.missing))
        if row.step_ms is not None and plan.estimate is not None:
            notes[f"{plan.board.name}: time {row.step_ms.provenance}, {plan.estimate.profile.name}"] = None
    header = ("board", "update", "fits", "peak B", "of B", "ms a step", "mJ a step", "write-backs")
    table = grid(header, rows, numbers=range(3, 8), title=found.model.name)
    return Group(table, *(Text(note, "dim") for note in notes))


def _figure(figure: Figure | None) -> str:
    if figure is None:
        return "–"
    error = figure.mean_error if figure.mean_error is not None else figure.worst_error
    number = f"{figure.value:,.0f}" if figure.value >= 100 else f"{figure.value:.3g}"
    return number + ("" if error is None else f" ±{error:.0%}")


def facts_table(facts: summary.Facts) -> Table:
    """Return pairs of a label and a text, without lines."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for label, value in facts:
        table.add_row(label, Text(value))
    return table


def memory_table(plan: Plan) -> Table:
    """Return bytes of each role of SRAM at the peak, with bars that show the shares."""
    return _shares("SRAM at the peak", summary.memory(plan), "peak", plan.peak_bytes)


def flash_table(plan: Plan) -> Table:
    """Return bytes of each role of flash, with bars that show the shares."""
    return _shares("flash", summary.flash(plan), "capacity", plan.flash.capacity_bytes)


def _shares(head: str, rows: Iterable[tuple[str, int, float]], last: str, total: int) -> Table:
    cells = [(name, f"{count:,}", f"{share:.1%}", "█" * round(share * BAR)) for name, count, share in rows]
    table = grid((head, "bytes", "share", ""), cells, numbers=(1, 2))
    table.show_footer = True
    for column, footer in zip(table.columns, (last, f"{total:,}", "", ""), strict=True):
        column.footer = Text(footer, "bold")
    return table


def grid(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = (), title: str = ""
) -> Table:
    """Return a plain table; the columns in ``numbers`` are aligned to the right."""
    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for index, name in enumerate(header):
        justify: JustifyMethod = "right" if index in numbers else "left"
        table.add_column(name, justify=justify, no_wrap=index in numbers, overflow="fold")
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table


def lines(title: str, texts: Iterable[str]) -> RenderableType:
    """Return a titled list."""
    return Group(Text(f"{title}:", "bold"), *(Text(f"  {line}") for line in texts))
