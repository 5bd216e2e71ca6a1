"""The form of a cycle model: which counts the constants weigh, and what is supposed of each beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcusim.core import Work

Weighs = Mapping[str, tuple[str, ...]]
"""kind -> counts; ``ops`` counts calls."""
FLASH = "flash"
"""The constant that weighs what the board's flash keeps the core waiting for constants."""
DIRECT = ("add", "elementwise", "pool", "softmax", "copy")
"""Kinds without weights that move every element."""
MATRIX = ("conv", "stem", "pointwise", "fully_connected")


@dataclass(frozen=True, slots=True)
class Constant:
    """One number of the model, the counts it weighs, and what it is supposed to be.

    ``cycles`` is what is supposed before any row is seen, on a Cortex-M4; it is uncertain by a factor
    of e to the power of ``spread`` (one standard deviation).
    """

    name: str
    weighs: Weighs
    cycles: float
    spread: float = 0.4


def _macs(kind: str, cycles: float) -> Constant:
    return Constant(kind, {kind: ("macs",)}, cycles)


KERNELS: tuple[Constant, ...] = (
    _macs("conv", 2.0),
    _macs("stem", 2.5),
    _macs("pointwise", 2.0),
    _macs("depthwise", 4.0),
    _macs("fully_connected", 2.5),
    Constant("requants", dict.fromkeys(MATRIX, ("requants",)), 25.0),
    Constant("depthwise_requants", {"depthwise": ("requants",)}, 25.0),
    Constant("weights", dict.fromkeys(("conv", "pointwise"), ("weight_bytes",)), 1.0, 1.0),
    Constant("elements", dict.fromkeys(DIRECT, ("outputs", "int_ops")), 8.0),
    Constant("calls", dict.fromkeys((*MATRIX, "depthwise", *DIRECT), ("ops",)), 1500.0),
    Constant(FLASH, {}, 0.6, 0.5),
)
"""What whole networks can tell apart. Supposed beforehand, in the order of instructions: two products a
16-bit dual multiply-accumulate with their loads (2 cycles a MAC), a channel at a time in depthwise (4);
weights used once (2.5); a 64-bit product, shift with rounding, clamp and store (25 an output); a load of
each weight where pixels are few, beside the loads that products share (1 a byte); two loads, a sum and a
store (8 an element); a call with its set-up (1500)."""


def op_form(kind: str, counts: Sequence[str], cycles: Mapping[str, float]) -> tuple[Constant, ...]:
    """Return the form for measurements of single ops of one kind: one constant a count.

    Args:
        kind: of the ops.
        counts: of ``Work``.
        cycles: what is supposed of a count.
    """
    return tuple(Constant(f"{kind}.{count}", {kind: (count,)}, cycles[count], 1.0) for count in counts)


def weigh(works: Iterable[Work], constants: Sequence[Constant], stall_per_byte: float) -> NDArray[np.float64]:
    """Return how much of each constant some work takes.

    Args:
        works: the work of each op.
        constants: of the model.
        stall_per_byte: cycles that a byte of constants waits for the flash.
    """
    found = np.zeros(len(constants))
    for work in works:
        for i, constant in enumerate(constants):
            for count in constant.weighs.get(work.kind, ()):
                found[i] += 1 if count == "ops" else getattr(work, count)
            if constant.name == FLASH:
                found[i] += stall_per_byte * work.flash_read
    return found
