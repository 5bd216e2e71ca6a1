"""MCUNet-5fps under the 49 KB static scheme beside the code that TinyEngine generates for it.

    MCUSIM_DATA=… python benchmarks/tinyengine.py

Prints the table of ``docs/memory.md``. Both sides: ten classes, int8 head, whole image, learning weights
kept as int8 without residuals, only the channels that learn in SRAM.
"""

from __future__ import annotations

from collections.abc import Mapping

import mcusim
from mcusim.core import Kind, Role, Slot, SlotPart
from mcusim.lowering.lower import lower
from mcusim.lowering.step import ALIGNMENT, Step
from mcusim.memory.bound import lower_bound
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem

MODEL, SCHEME, BOARD = "mcunet-5fps", "static:mcunet-49kb", "stm32f746"

TINYENGINE: Mapping[str, int] = {
    "bound": 163_840,
    "longest first": 180_224,
    "largest first": 163_840,
    "weights": 13_696,
    "biases": 18_408,
    "im2col": 8_712,
    "kernels": 864,
    "stack": 21_816,
}
"""Bytes, counted in the generated code; the stack was measured on the chip."""


def ours() -> dict[str, int]:
    """Return our counts of the same step, in bytes."""
    model = mcusim.load(MODEL, classes=10, head="int8")
    formats = mcusim.Formats(weight="int8", head="int8")
    board = mcusim.board(BOARD)
    scope = mcusim.scheme(SCHEME).scope(model)
    step = lower(model, scope, formats, residency="flash", runtime_bytes=board.runtime_bytes, overlap=False)
    moving = Problem(tuple(b for b in step.blocks() if b.name not in step.resident), align=ALIGNMENT)
    return {
        "bound": lower_bound(moving).bytes,
        "longest first": PLANNERS["greedy_by_lifetime"](moving).height,
        "largest first": PLANNERS["greedy_by_size"](moving).height,
        "best": PLANNERS["best"](moving).height,
        "weights": resident(step, Kind.VALUE, SlotPart.WEIGHT),
        "biases": resident(step, Kind.VALUE, SlotPart.BIAS),
        "channels": resident(step, Kind.CHANNELS),
        "largest scratch": max(b.bytes for b in moving.blocks if b.role is Role.SCRATCH),
        "runtime": step.tensors["runtime"].bytes,
        "everything": PLANNERS["best"](step.problem()).height,
    }


def resident(step: Step, kind: Kind, part: SlotPart | None = None) -> int:
    """Return the bytes of the slots of a kind that stay in SRAM."""
    slots = [name for name in step.resident if isinstance(name, Slot)]
    return sum(step.tensors[s].bytes for s in slots if (s.kind, s.part) == (kind, part))


def table() -> str:
    """Return both accounts in Markdown."""
    n, t = ours(), TINYENGINE
    rows = (
        ("activations and errors: most bytes live at once", t["bound"], n["bound"]),
        ("… placed, longest-lived first", t["longest first"], n["longest first"]),
        ("… placed, largest first", t["largest first"], n["largest first"]),
        ("… placed by the default planner", None, n["best"]),
        ("weights that learn, head included", t["weights"], n["weights"]),
        ("biases that learn, head included", t["biases"], n["biases"]),
        ("numbers of the channels that learn", None, n["channels"]),
        ("buffer for im2col and in-place depthwise", t["im2col"], n["largest scratch"]),
        ("buffer for reordered kernels", t["kernels"], None),
        ("stack and statics of the firmware", t["stack"], n["runtime"]),
        ("everything, placed by the default planner", None, n["everything"]),
    )
    lines = ["| bytes | TinyEngine | mcusim |", "|---|---:|---:|"]
    return "\n".join([*lines, *(f"| {name} | {_cell(a)} | {_cell(b)} |" for name, a, b in rows)])


def _cell(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


if __name__ == "__main__":
    print(table())
