"""The C kernel that keeps examples and learns them again, and its record."""

from __future__ import annotations

from typing import Any

from mcusim.deployment.context import StepContext, refusal
from mcusim.deployment.records import Call
from mcusim.deployment.text import CText
from mcusim.lowering.replay import BUFFER, COUNTS, INDEX, example, label_bytes
from mcusim.lowering.step import StepOp
from mcusim.mcu.board import Board
from mcusim.mcu.flash.ring import Ring

POLICIES = {"reservoir": "MCUSIM_RESERVOIR", "balanced": "MCUSIM_BALANCED", "fifo": "MCUSIM_FIFO"}
PLACES = 2**15
"""Places of a ring that 16 bits with a sign can tell."""


def replay(context: StepContext, op: StepOp, board: Board, seed: int) -> Call:
    """Return the call that keeps an example, or puts one back.

    Raises:
        BadModel: if the places of a buffer in flash are more than its index can tell.
    """
    step, model = context.step, context.model
    rehearsal = step.replay
    assert rehearsal is not None
    names = example(model, step.boundary, rehearsal)
    parts = [{"data": context.at(name), "bytes": step.tensors[name].bytes} for name in names]
    size = sum(step.tensors[name].bytes for name in names) + label_bytes(model)
    fields: dict[str, Any] = {
        "parts": context.constants.records("replay_parts", "mcusim_part", parts), "parts_count": len(parts),
        "policy": CText(POLICIES[rehearsal.policy]), "label_bytes": label_bytes(model),
        "capacity": rehearsal.capacity, "record_bytes": size, "seed": seed,
        "counters": _as(context, "uint32_t", COUNTS),
    }  # fmt: skip
    if op.scratch is not None:
        fields |= {"classes": _as(context, "uint32_t", op.scratch), "classes_count": model.classes}
    if step.kept is None:
        return Call("mcusim_replay_example", "mcusim_replay", {**fields, "records": context.at(BUFFER)})
    ring = Ring(board, *step.kept)
    if ring.blocks * ring.per_block > PLACES:
        reason = f"has {ring.blocks * ring.per_block:,} places, and C kernels count {PLACES:,}"
        raise refusal(f"replay {rehearsal.kind}:{rehearsal.capacity} in flash", reason)
    return Call("mcusim_replay_example", "mcusim_replay", {
        **fields, "record_bytes": ring.record_bytes, "places": context.at(INDEX),
        "flash": CText(f"&{flash_name(context.constants.prefix)}"), "block_bytes": ring.bytes // ring.blocks,
        "erase_bytes": ring.unit, "program_bytes": board.flash.program_bytes, "blocks": ring.blocks,
        "per_block": ring.per_block,
    })  # fmt: skip


def flash_name(prefix: str) -> str:
    """Return the name of what says in which flash a network keeps its examples."""
    return f"{prefix}_replay_flash"


def _as(context: StepContext, kind: str, name: str) -> CText:
    return CText(f"({kind} *)({context.constants.prefix}_arena + {context.offset(name)})")
