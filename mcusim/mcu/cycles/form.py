"""The form of a cycle model: which counts a few free constants weigh, and what is fixed beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mcusim.core import Work

Weighs = Mapping[str, Mapping[str, float]]
"""kind -> count -> factor."""

DSP_FIXED: Weighs = {
    "conv": {"requants": 30.0, "im2col_bytes": 1.0},
    "pointwise": {"requants": 30.0},
    "depthwise": {"requants": 30.0},
    "fully_connected": {"requants": 30.0},
    "add": {"outputs": 15.0},
    "elementwise": {"outputs": 15.0},
    "pool": {"int_ops": 2.0, "outputs": 15.0},
    "softmax": {"outputs": 100.0},
    "copy": {"outputs": 1.0},
    "reshape": {},
    "load": {},
}
"""Cycles of the small parts of an op on the reference core, in the order of instructions: bias, 64-bit
product, shift with rounding, clamp and store (30 an output), one load-extend-store a column byte, two
rescaled operands of a residual addition (15 an output). Together below a fifth of any measured network;
whole-network rows cannot tell them apart, so they are stated, not fitted."""


@dataclass(frozen=True, slots=True)
class Constant:
    """One free number of the model, and the counts it weighs."""

    name: str
    weighs: Weighs


@dataclass(frozen=True, slots=True)
class CycleForm:
    """cycles = speed(core) x (sum of constants x counts + fixed terms) + stalls of the board.

    The stalls are flash_stall x the cycles constants wait for flash, and the cycles spent waiting for
    SRAM (``mcu/sram.py``): figures of the board that no fit changes.

    ``speed`` is 1 for the first core of a fit and free, one number a core, for the others.
    """

    name: str
    constants: tuple[Constant, ...]
    fixed: Weighs
    flash_stall: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds that a free constant weighs: what measurements speak about."""
        return tuple(sorted({kind for c in self.constants for kind in c.weighs}))


def network_form(fully_connected: float) -> CycleForm:
    """Return the form for whole networks on cores with 16-bit SIMD multiply-accumulate.

    All matrix products share one constant a MAC. In a fully connected layer nothing is reused: a
    weight serves one MAC, not two or four, so its MAC costs ``fully_connected`` times as much. Each
    distinct byte of constants waits for the flash once (re-reads are caught by caches and prefetch).
    """
    gemm = Constant(
        "gemm",
        {
            "conv": {"macs": 1.0},
            "pointwise": {"macs": 1.0},
            "fully_connected": {"macs": fully_connected},
        },
    )
    depthwise = Constant("depthwise", {"depthwise": {"macs": 1.0}})
    return CycleForm("network", (gemm, depthwise), DSP_FIXED, flash_stall=1.0)


def op_form(kind: str, counts: tuple[str, ...] = ("macs", "outputs", "weight_bytes")) -> CycleForm:
    """Return the form for measurements of single ops of one kind: one constant a count."""
    return CycleForm(f"op.{kind}", tuple(Constant(count, {kind: {count: 1.0}}) for count in counts), {})


def weigh(works: tuple[Work, ...], weighs: Weighs) -> float:
    """Return the weighted sum of the counts of ``works``."""
    return sum(
        factor * (1 if count == "ops" else getattr(work, count))
        for work in works
        for count, factor in weighs.get(work.kind, {}).items()
    )
