"""The cores that a twin can run on: how zig calls them, how unicorn does."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument, UnknownName
from mcusim.core.wording import choice


@dataclass(frozen=True, slots=True)
class EmulatedCore:
    """One core.

    Attributes:
        name: how it is asked for.
        target, cpu: how clang calls architecture and core, floating-point unit included.
        emulated: name of unicorn's constant for it; empty for RISC-V.
        soft: True if it has no floating-point unit: a run-time library is linked.
    """

    name: str
    target: str
    cpu: str
    emulated: str = ""
    soft: bool = False

    @property
    def riscv(self) -> bool:
        """True for RISC-V."""
        return self.target.startswith("riscv")


_HARD, _SOFT = "thumb-freestanding-eabihf", "thumb-freestanding-eabi"
CORES = {
    core.name: core
    for core in (
        EmulatedCore("cortex-m0+", _SOFT, "cortex_m0plus", "UC_CPU_ARM_CORTEX_M0", soft=True),
        EmulatedCore("cortex-m3", _SOFT, "cortex_m3", "UC_CPU_ARM_CORTEX_M3", soft=True),
        EmulatedCore("cortex-m4", _HARD, "cortex_m4+vfp4d16sp", "UC_CPU_ARM_CORTEX_M4"),
        EmulatedCore("cortex-m4-soft", _SOFT, "cortex_m4", "UC_CPU_ARM_CORTEX_M4", soft=True),
        EmulatedCore("cortex-m7", _HARD, "cortex_m7+fp_armv8d16sp", "UC_CPU_ARM_CORTEX_M7"),
        EmulatedCore("cortex-m33", _HARD, "cortex_m33+fp_armv8d16sp", "UC_CPU_ARM_CORTEX_M33"),
        EmulatedCore("rv32imc", "riscv32-freestanding", "generic_rv32+m+c", soft=True),
        EmulatedCore("rv32imfc", "riscv32-freestanding", "generic_rv32+m+f+c"),
    )
}
"""Cores by name."""


NOT_EMULATED = {
    **dict.fromkeys(
        ("cortex-m52", "cortex-m55", "cortex-m85"), "is of Armv8.1-M, which unicorn does not execute"
    ),
    **dict.fromkeys(("xtensa-lx6", "xtensa-lx7"), "is of Xtensa, for which zig has no compiler"),
}
"""Cores that boards have and no twin runs on, and why."""
SAME = {"cortex-m0": "cortex-m0+", "cortex-m0plus": "cortex-m0+", "hazard3": "rv32imc"}
"""Cores with the same instructions, as far as compiled kernels use them."""


def core_named(name: str) -> EmulatedCore:
    """Return a core, or another one with the same instructions: ``cortex-m0`` runs as ``cortex-m0+``.

    Raises:
        BadArgument: if it cannot be emulated; says why.
        UnknownName: if there is none of that name; suggests the nearest.
    """
    known = SAME.get(name, name)
    if known in NOT_EMULATED:
        way_out = f"prove the same C on another, e.g. {choice('core', 'cortex-m33')}"
        raise BadArgument(f"core {known}", NOT_EMULATED[known], way_out)
    if known not in CORES:
        raise UnknownName("emulated core", name, CORES)
    return CORES[known]
