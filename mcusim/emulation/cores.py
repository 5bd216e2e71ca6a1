"""The cores that a twin can run on: how compilers call them, how emulators do."""

from __future__ import annotations

from dataclasses import dataclass

from mcusim.core import BadArgument, UnknownName
from mcusim.core.wording import choice


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """Where an emulated machine has memory, as far as a twin needs it: addresses.

    Attributes:
        code, constants: flash; next to each other if ``constants`` is None.
        stack, statics, box: SRAM for the stack, for the statics, and for what the twin itself needs.
        arena: where the arena begins at the earliest.
    """

    code: int
    constants: int | None
    stack: int
    statics: int
    box: int
    arena: int


@dataclass(frozen=True, slots=True)
class EmulatedCore:
    """One core.

    Attributes:
        name: how it is asked for.
        target, cpu: how clang calls architecture and core, floating-point unit included.
        emulated: name of unicorn's constant for it; empty for RISC-V, and for what it does not execute.
        soft: True if it has no floating-point unit: a run-time library is linked.
        fpu: how GCC calls the floating-point unit.
        machine: QEMU's machine with this core; empty if it has none.
        memory: of that machine.
    """

    name: str
    target: str
    cpu: str
    emulated: str = ""
    soft: bool = False
    fpu: str = ""
    machine: str = ""
    memory: MemoryMap | None = None

    @property
    def riscv(self) -> bool:
        """True for RISC-V."""
        return self.target.startswith("riscv")


_HARD, _SOFT = "thumb-freestanding-eabihf", "thumb-freestanding-eabi"
_MPS2 = MemoryMap(0, None, 0x2000_0000, 0x2000_8000, 0x2001_0000, 0x2020_0000)
"""Arm MPS2 with AN385, AN386, AN500: ZBT SRAM of 4 MiB at 0 and at 2000_0000."""
_AN505 = MemoryMap(0x1000_0000, None, 0x3800_0000, 0x3800_8000, 0x3801_0000, 0x3820_0000)
"""The same memories, where a core sees them that has left reset in its secure state."""
_AN547 = MemoryMap(0x1000_0000, 0x1100_0000, 0x3100_0000, 0x3100_8000, 0x3101_0000, 0x3120_0000)
"""Arm MPS3 with AN547: code in the tightly coupled 512 KiB, the rest in SRAM of 2 and of 4 MiB."""
UNICORN = MemoryMap(0, None, 0x2000_0000, 0x2010_0000, 0x2800_0000, 0x2020_0000)
"""Of our own making: far apart, so that nothing reaches from one into another."""
CORES = {
    core.name: core
    for core in (
        EmulatedCore("cortex-m0+", _SOFT, "cortex_m0plus", "UC_CPU_ARM_CORTEX_M0", soft=True),
        EmulatedCore(
            "cortex-m3", _SOFT, "cortex_m3", "UC_CPU_ARM_CORTEX_M3", soft=True, machine="mps2-an385",
            memory=_MPS2,
        ),
        EmulatedCore(
            "cortex-m4", _HARD, "cortex_m4+vfp4d16sp", "UC_CPU_ARM_CORTEX_M4", fpu="fpv4-sp-d16",
            machine="mps2-an386", memory=_MPS2,
        ),
        EmulatedCore(
            "cortex-m4-soft", _SOFT, "cortex_m4", "UC_CPU_ARM_CORTEX_M4", soft=True, machine="mps2-an386",
            memory=_MPS2,
        ),
        EmulatedCore(
            "cortex-m7", _HARD, "cortex_m7+fp_armv8d16sp", "UC_CPU_ARM_CORTEX_M7", fpu="fpv5-sp-d16",
            machine="mps2-an500", memory=_MPS2,
        ),
        EmulatedCore(
            "cortex-m33", _HARD, "cortex_m33+fp_armv8d16sp", "UC_CPU_ARM_CORTEX_M33", fpu="fpv5-sp-d16",
            machine="mps2-an505", memory=_AN505,
        ),
        EmulatedCore(
            "cortex-m55", _HARD, "cortex_m55+fp_armv8d16sp", fpu="auto", machine="mps3-an547", memory=_AN547
        ),
        EmulatedCore("rv32imc", "riscv32-freestanding", "generic_rv32+m+c", soft=True),
        EmulatedCore("rv32imfc", "riscv32-freestanding", "generic_rv32+m+f+c"),
    )
}  # fmt: skip
"""Cores by name."""


NOT_EMULATED = {
    **dict.fromkeys(
        ("cortex-m52", "cortex-m85"), "is of Armv8.1-M, of which QEMU has cortex-m55 alone, and unicorn none"
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
