"""The emulators that a twin can run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mcusim.core import BadArgument, UnknownName
from mcusim.core.wording import choice
from mcusim.emulation.cores import UNICORN, EmulatedCore, MemoryMap
from mcusim.emulation.qemu_machine import QEMU, QemuMachine, qemu
from mcusim.emulation.target_machine import TargetMachine
from mcusim.emulation.unicorn_machine import UnicornMachine, emulator


@dataclass(frozen=True, slots=True)
class Emulator:
    """An emulator.

    Attributes:
        name: how it is asked for.
        described: returns name and version; raises if it is not installed.
        device: makes a device, of an ELF file, a core, the size of the arena, and names of ops.
    """

    name: str
    described: Callable[[], str]
    device: Callable[..., TargetMachine]

    def memory(self, core: EmulatedCore) -> MemoryMap:
        """Return where a program for a core is put."""
        return UNICORN if self.name == "unicorn" or core.memory is None else core.memory


EMULATORS = {
    "unicorn": Emulator("unicorn", emulator, UnicornMachine),
    QEMU: Emulator(QEMU, qemu, QemuMachine),
}
"""Emulators by name."""


def emulator_for(core: EmulatedCore, name: str | None) -> Emulator:
    """Return an emulator by name; unicorn, which counts instructions, wherever it executes the core.

    Raises:
        UnknownName: if it is not known.
        BadArgument: if it has no such core.
    """
    executed = bool(core.emulated) or core.riscv
    found = name or ("unicorn" if executed else QEMU)
    if found not in EMULATORS:
        raise UnknownName("emulator", found, EMULATORS)
    if not (core.machine if found == QEMU else executed):
        other = "unicorn" if executed else QEMU
        raise BadArgument(f"core {core.name}", f"is none of {found}", f"use {choice('emulator', other)}")
    return EMULATORS[found]
