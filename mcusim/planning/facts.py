"""What a plan or a run says about itself: facts and the memory table, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from mcusim.core import FLASH_ROLES, Phase, Role
from mcusim.lowering.features import dense_feature_bytes, saved_feature_bytes
from mcusim.planning.cost import NOT_COUNTED, SessionCost

if TYPE_CHECKING:
    from mcusim.mcu.cycles.cycles import Estimate
    from mcusim.planning.plan import Plan

Facts = list[tuple[str, str]]


def title(plan: Plan) -> str:
    """Return the line that names what was planned."""
    return f"{plan.step.model.name} on {plan.board.name}, update {plan.settings.update}"


def verdict(plan: Plan) -> str:
    """Return one line: does it fit, and by how much."""
    room = plan.settings.sram_bytes - plan.peak_bytes
    if not plan.flash.fits:
        missing = plan.flash.total_bytes - plan.flash.capacity_bytes
        return f"does not fit: {missing:,} B of flash are missing"
    if room < 0:
        return f"does not fit: {-room:,} B of SRAM are missing at {plan.peak_op}"
    return f"fits, {room:,} B of SRAM to spare"


def memory(plan: Plan) -> list[tuple[str, int, float]]:
    """Return role, bytes and share of the peak for every role that is there, holes included."""
    rows = [(str(role), count) for role, count in plan.by_role.items() if count]
    rows.append(("holes", plan.peak_bytes - plan.live_bytes))
    return [(name, count, count / plan.peak_bytes) for name, count in rows if count]


def flash(plan: Plan) -> list[tuple[str, int, float]]:
    """Return role, bytes and share of the capacity for all that lies in flash, gaps and free bytes included.

    Gaps are what alignment leaves, most of all before an erase unit: a checkpoint begins at one.
    """
    layout = plan.flash
    rows = [(str(role), layout.by_role.get(role, 0)) for role in FLASH_ROLES]
    rows.append(("gaps", layout.total_bytes - sum(layout.by_role.values())))
    rows.append(("free", max(layout.capacity_bytes - layout.total_bytes, 0)))
    return [(name, count, count / layout.capacity_bytes) for name, count in rows if count]


def facts(plan: Plan) -> Facts:
    """Return what else there is to know, as pairs of a label and a text."""
    step, model = plan.step, plan.step.model
    saved, dense = saved_feature_bytes(step), dense_feature_bytes(model)
    learns = step.scope.weights_updated(model)
    forward, backward = step.macs(Phase.FORWARD), step.macs(Phase.BACKWARD, Phase.UPDATE)
    again = f", {step.patch_macs:,} of them recomputed" if step.patch_macs else ""
    proof = "" if plan.solution.status != "optimal" else ", no placement is lower"
    formats = plan.settings.formats
    rows = [
        ("SRAM", f"{plan.peak_bytes:,} of {plan.settings.sram_bytes:,} B"),
        ("peak at", f"{plan.peak_op} ({plan.solution.winner or plan.solution.planner}{proof})"),
        ("flash", f"{plan.flash.total_bytes:,} of {plan.flash.capacity_bytes:,} B{_copies(plan)}"),
        ("learning", _learning(learns, model.conv_weights)),
        ("saved features", f"{saved:,} B; {dense:,} B if everything learned{_pruned(plan)}"),
        ("MACs a step", f"{forward:,} forward{again}; {backward:,} backward"),
        (
            "formats",
            ", ".join(f"{part} {chosen}" for part, chosen in formats.as_dict().items()),
        ),
        ("residency", str(step.residency)),
    ]
    if plan.settings.allocator is not None:
        more = plan.peak_bytes - plan.static_peak_bytes
        rows.append(("allocator", f"{plan.settings.allocator}, {more:+,} B against a static plan"))
    if plan.settings.patches is not None:
        rows.append(("patches", str(plan.settings.patches)))
    rows.append(("time a step", time(plan)))
    if plan.estimate is not None:
        rows.append(("spent on", spent(plan.estimate)))
        rows += [("not counted", note) for note in plan.estimate.notes]
    return rows


def spent(estimate: Estimate) -> str:
    """Return the shares of the time of a step: computing, waiting for flash, for SRAM, for missed lines."""
    total = max(1, estimate.total_cycles)
    names = {"flash_stalls": "flash stalls", "sram_stalls": "SRAM stalls", "cache_misses": "cache misses"}
    return ", ".join(
        f"{names.get(name, name)} " + ("unknown" if name in estimate.unknown else f"{cycles / total:.2%}")
        for name, cycles in estimate.breakdown.items()
    )


def _pruned(plan: Plan) -> str:
    """Return which pixels of which saved features are kept, unless all are."""
    pattern, count = plan.settings.formats.feature, len(plan.step.kept)
    if pattern == "whole":
        return ""
    return f"; {pattern} pixels of {count} layer{'' if count == 1 else 's'}"


def time(plan: Plan) -> str:
    """Return the modelled time of one step, with its provenance and error band."""
    if plan.estimate is None:
        return f"unknown: {plan.board.name} has no cycle profile"
    return str(plan.estimate.time_ms)


def text(plan: Plan) -> str:
    """Return a plan as plain text."""
    lines = [f"{title(plan)}: {verdict(plan)}", "", *_aligned(facts(plan), "<<"), ""]
    lines += _table("SRAM at the peak", memory(plan), "peak", plan.peak_bytes)
    lines += ["", flash_text(plan)]
    lines += ["", "what would lower the peak:", *plan.suggestions] if plan.suggestions else []
    return "\n".join(line.rstrip() for line in lines)


def flash_text(plan: Plan) -> str:
    """Return what flash is made of, as plain text."""
    return "\n".join(_table("flash", flash(plan), "capacity", plan.flash.capacity_bytes))


def html(plan: Plan) -> str:
    """Return a plan as an HTML fragment, for notebooks."""
    left = "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in facts(plan))
    tables = "".join(
        f"<table><tr><th>{head}</th><th>bytes</th><th>share</th></tr>{_html_rows(rows)}</table>"
        for head, rows in (("SRAM at the peak", memory(plan)), ("flash", flash(plan)))
    )
    more = "".join(f"<li>{escape(line)}</li>" for line in plan.suggestions)
    return f"<b>{escape(title(plan))}: {escape(verdict(plan))}</b><table>{left}</table>{tables}" + (
        f"<p>What would lower the peak:</p><ul>{more}</ul>" if more else ""
    )


def cost_facts(cost: SessionCost) -> Facts:
    """Return what a whole session costs its device, as pairs of a label and a text."""
    rows = [("session", f"{cost.steps:,} steps; {NOT_COUNTED}")]
    if cost.compute_s is not None:
        band = "" if cost.compute_s.mean_error is None else f" ±{cost.compute_s.mean_error:.0%}"
        rows.append(("time", f"{duration(cost.compute_s.value)}{band} ({cost.compute_s.provenance})"))
    if cost.energy_mj is not None:
        found = cost.energy_mj
        spread = (
            "" if found.worst_error is None else f"; laboratories differ by up to {found.worst_error:.0%}"
        )
        rows.append(("energy", f"{found.value / 1000:,.4g} J ({found.provenance}: {found.source}{spread})"))
    if cost.writing_s is not None and cost.write_backs:
        rows.append(("write-backs", f"{cost.write_backs:,}, {duration(cost.writing_s.value)} in all"))
    if cost.sessions is not None:
        rows.append(("life of the flash", f"{cost.sessions:,} such sessions"))
    return rows + [("missing", line) for line in cost.missing]


def cost_text(cost: SessionCost) -> str:
    """Return the same as plain text."""
    return "\n".join(line.rstrip() for line in _aligned(cost_facts(cost), "<<"))


def cost_html(cost: SessionCost) -> str:
    """Return the same as an HTML fragment."""
    rows = (f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in cost_facts(cost))
    return f"<table>{''.join(rows)}</table>"


def duration(seconds: float) -> str:
    """Return a time in the largest unit of which it has one."""
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _copies(plan: Plan) -> str:
    at = [f"{item.offset:,}" for item in plan.flash.items if item.role is Role.CHECKPOINT]
    return f"; learned parameters twice, at {' and '.join(at)}" if at else ""


def _html_rows(rows: Iterable[tuple[str, int, float]]) -> str:
    return "".join(
        f"<tr><th>{escape(name)}</th><td>{count:,} B</td><td>{share:.1%}</td></tr>"
        for name, count, share in rows
    )


def _table(head: str, rows: Iterable[tuple[str, int, float]], last: str, total: int) -> list[str]:
    cells = [(name, f"{count:,}", f"{share:.1%}") for name, count, share in rows]
    lines = _aligned([(head, "bytes", "share"), *cells, (last, f"{total:,}", "")], "<>>")
    return [line.rstrip() for line in lines]


def _learning(weights: int, total: int) -> str:
    share = f" ({weights / total:.1%})" if total else ""
    return f"{weights:,} of {total:,} convolution weights{share}"


def _aligned(rows: Iterable[Sequence[str]], sides: str) -> list[str]:
    rows = list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(sides))]
    return ["  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True))
            for row in rows]  # fmt: skip
