"""What there is to say about the parts of a plan: flash, work and time. Each fact is one line here."""

from __future__ import annotations

from collections.abc import Sequence

from mcusim.core import FLASH_ROLES, Phase, Role
from mcusim.lowering.digest import digest
from mcusim.lowering.features import dense_feature_bytes, saved_feature_bytes
from mcusim.lowering.flash import FlashLayout
from mcusim.lowering.step import Step
from mcusim.mcu.board import Board
from mcusim.mcu.cycles.cycles import Estimate
from mcusim.planning.allowance import allowances
from mcusim.planning.regions import Filled
from mcusim.sections.kinds import Shares

Rows = list[tuple[str, str]]


def flash_shares(layout: FlashLayout) -> Shares:
    """Return what lies in flash, gaps and free bytes included.

    Gaps are what alignment leaves, most of all before an erase unit: a checkpoint begins at one.
    """
    rows = [(str(role), layout.by_role.get(role, 0)) for role in FLASH_ROLES]
    rows.append(("gaps", layout.total_bytes - sum(layout.by_role.values())))
    rows.append(("free", max(layout.capacity_bytes - layout.total_bytes, 0)))
    return Shares.of("flash", rows, "capacity" if layout.fits else "needed")


def flash_fact(layout: FlashLayout) -> str:
    """Return how much of the flash is taken, and where the copies of what learns lie."""
    at = [f"{item.offset:,}" for item in layout.items if item.role is Role.CHECKPOINT]
    copies = f"; learned parameters twice, at {' and '.join(at)}" if at else ""
    return f"{layout.total_bytes:,} of {layout.capacity_bytes:,} B{copies}"


def work_facts(step: Step, pattern: str) -> Rows:
    """Return what learns, what is saved for it, and the arithmetic of a step; of inference alone, just that.

    Args:
        step: the lowered step.
        pattern: which pixels of saved features are kept, by its name; ``whole`` keeps all.
    """
    model = step.model
    learns, total = step.scope.weights_updated(model), model.conv_weights
    share = f" ({learns / total:.1%})" if total else ""
    saved, dense = saved_feature_bytes(step), dense_feature_bytes(model)
    layers = f"{len(step.saved_pixels)} layer{'' if len(step.saved_pixels) == 1 else 's'}"
    pruned = "" if pattern == "whole" else f"; {pattern} pixels of {layers}"
    forward, backward = step.macs(Phase.FORWARD), step.macs(Phase.BACKWARD, Phase.UPDATE)
    again = f", {step.patch_macs:,} of them recomputed" if step.patch_macs else ""
    if not step.scope.learns:
        return [("learning", "nothing: inference alone"), ("MACs a step", f"{forward:,} forward{again}")]
    return [
        (
            "learning",
            f"{learns:,} of {total:,} convolution weights{share}" if total else f"{learns:,} weights",
        ),
        ("saved features", f"{saved:,} B; {dense:,} B if everything learned{pruned}"),
        ("MACs a step", f"{forward:,} forward{again}; {backward:,} backward"),
    ]


def measured_facts(board: Board, step: Step) -> Rows:
    """Return what of runtime and code was measured, or fitted; nothing where both are allowances."""
    runtime = board.runtime
    if (found := runtime.step) is None:
        known = allowances(board) if runtime.fitted else {}
        names = {"statics": "runtime", "code": "code"}
        return [
            (names[name], f"{known[name].value:,.0f} B{more}, {known[name].source}")
            for name, more in (("statics", f" and a stack of {runtime.stack_bytes:,} B"), ("code", ""))
            if known
        ]
    sram, other = (
        found.stack_bytes + found.statics_bytes,
        "" if found.step == digest(step) else ", another step",
    )
    rows = [
        ("measured", f"{found}{other}"),
        ("runtime", f"{sram:,} B measured step, {runtime.application_bytes:,} B allowed for the rest"),
        (
            "code",
            f"{found.code_bytes:,} B measured, {runtime.application_code_bytes:,} B allowed for the rest",
        ),
    ]
    if not other:
        rows.append(
            ("instructions", f"{found.instructions_per_step:,} a step, exact; its cycles are modelled")
        )
    return rows


def region_facts(rows: Sequence[Filled], least: int) -> Rows:
    """Return what lies in which region, where tensors lie in several places; and what is moved outside.

    Args:
        rows: the regions of the board.
        least: bytes that no placement moves fewer of outside in a step.
    """
    used = [row for row in rows if row.tensors]
    if len(used) < 2:
        return []
    named = (f"{row.region.name} {row.used_bytes:,} of {row.region.bytes:,} B" for row in used)
    found = [("regions", "; ".join(named))]
    outside = [row for row in used if row.region.external]
    if outside:
        count = sum(row.tensors for row in outside)
        moved = sum(row.read_bytes + row.written_bytes for row in outside)
        what = f"{count} tensor{'' if count == 1 else 's'}, {moved:,} B moved there a step"
        found.append(("outside", f"{what}; no placement moves fewer than {least:,}"))
    return found


def step_time(estimate: Estimate | None, board: Board) -> str:
    """Return the modelled time of one step, with its provenance and error band."""
    return f"unknown: {board.name} has no cycle profile" if estimate is None else str(estimate.time_ms)


def time_facts(estimate: Estimate | None, board: Board) -> Rows:
    """Return the time of one step, what it is spent on, and what could not be counted."""
    rows = [("time a step", step_time(estimate, board))]
    if estimate is not None:
        rows.append(("spent on", spent(estimate)))
        rows += [("not counted", note) for note in estimate.notes]
    return rows


def spent(estimate: Estimate) -> str:
    """Return the shares of the time of a step: computing, waiting for flash, for SRAM, for missed lines."""
    total = max(1, estimate.total_cycles)
    names = {"flash_stalls": "flash stalls", "sram_stalls": "SRAM stalls", "cache_misses": "cache misses"}
    return ", ".join(
        f"{names.get(name, name)} " + ("unknown" if name in estimate.unknown else f"{cycles / total:.2%}")
        for name, cycles in estimate.breakdown.items()
    )
