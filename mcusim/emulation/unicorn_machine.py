"""A program in the memory of a core that unicorn emulates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mcusim.core import BadRun, MissingPackage
from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.counting import FLASH_BYTES, InstructionCount
from mcusim.emulation.target_machine import TargetMachine
from mcusim.emulation.toolchain import PAGE


def emulator() -> str:
    """Return name and version of the emulator.

    Raises:
        MissingPackage: if it is not installed.
    """
    if find_spec("unicorn") is None or find_spec("elftools") is None:
        raise MissingPackage("unicorn and pyelftools", "emulating a core", "firmware")
    return f"unicorn {version('unicorn')}"


class UnicornMachine(TargetMachine):
    """Memory and core of unicorn, which counts every instruction.

    Flash can be read only, and of SRAM only the stack, the statics and the arena are there: everything else
    faults. The arena ends with a page of memory; the bytes before it are watched.

    Raises:
        MissingPackage: if there is no emulator.
    """

    def __init__(self, elf: Path, core: EmulatedCore, arena_bytes: int, ops: Sequence[str] = ()) -> None:
        emulator()
        import unicorn

        super().__init__(elf, core, arena_bytes, ops)
        self._unicorn: Any = unicorn
        self._uc = self._make(unicorn, core)
        self._registers = self._names(core)
        image = np.zeros(FLASH_BYTES, np.uint8)
        self._uc.mem_map(0, FLASH_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        for start, data in self.program.segments:
            if start + len(data) <= FLASH_BYTES:
                image[start : start + len(data)] = np.frombuffer(data, np.uint8)
        self._uc.mem_write(0, image.tobytes())
        self._map("stack_low", "stack_top")
        self._map("data_start", "bss_end")
        self._map("twin_start", "twin_end")
        self._uc.mem_map(self._front, self._back - self._front)
        if not core.riscv:
            self._uc.mem_map(0xE000_E000, PAGE)
        self._paint()
        self._uc.reg_write(self._registers["sp"], self.symbols["stack_top"])
        self.count = InstructionCount(self._uc, image, self.symbols["code_end"], riscv=core.riscv)
        self._at = self.symbols["Reset_Handler"]
        self._failure: BaseException | None = None

    def after_op(self, call: Callable[[int], None]) -> None:
        """Have ``call(op)`` called after every op of a step; what it raises ends the run."""
        place = self.symbols["mcusim_after_op"]

        def hook(uc: Any, address: int, size: int, user: object) -> None:
            done = int(uc.reg_read(self._registers["second"]))
            self._op = done + 1
            try:
                call(done)
            except BaseException as error:
                self._failure = error
                uc.emu_stop()

        self._uc.hook_add(self._unicorn.UC_HOOK_CODE, hook, None, place, place)

    def run(self) -> None:
        """Run until the device waits for the next command.

        Raises:
            BadRun: if it faults.
        """
        until = self.symbols["twin_wait"]
        try:
            self._uc.emu_start(self._at | (not self.core.riscv), until, 0, 0)
        except self._unicorn.UcError as error:
            if self._failure is None:
                raise self._failed(error) from error
        if self._failure is not None:
            raise self._failure
        # It stopped at the first instruction of an empty function: go on behind the call.
        self._at = self._uc.reg_read(self._registers["back"]) & ~1

    def read(self, address: int, count: int) -> bytes:
        """Return memory."""
        return bytes(self._uc.mem_read(address, count))

    def write(self, address: int, data: bytes) -> None:
        """Write memory."""
        self._uc.mem_write(address, data)

    def _map(self, first: str, last: str) -> None:
        start = self.symbols[first] // PAGE * PAGE
        end = -(-max(self.symbols[last], start + 1) // PAGE) * PAGE
        self._uc.mem_map(start, end - start)

    def _failed(self, error: Exception) -> BadRun:
        letter, back = ("a", "ra") if self.core.riscv else ("r", "lr")
        names = {f"{letter}{i}": name for i, name in enumerate(("first", "second", "third", "fourth"))}
        names |= {back: "back", "sp": "sp"}
        values = {name: int(self._uc.reg_read(self._registers[r])) for name, r in names.items()}
        return self._fault(error, int(self._uc.reg_read(self._registers["pc"])), values)

    @staticmethod
    def _make(unicorn: Any, core: EmulatedCore) -> Any:
        if core.riscv:
            return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        from unicorn import arm_const

        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        uc.ctl_set_cpu_model(getattr(arm_const, core.emulated))
        return uc

    @staticmethod
    def _names(core: EmulatedCore) -> dict[str, int]:
        if core.riscv:
            from unicorn import riscv_const as r

            return {
                "sp": r.UC_RISCV_REG_SP, "pc": r.UC_RISCV_REG_PC, "back": r.UC_RISCV_REG_RA,
                "first": r.UC_RISCV_REG_A0, "second": r.UC_RISCV_REG_A1, "third": r.UC_RISCV_REG_A2,
                "fourth": r.UC_RISCV_REG_A3,
            }  # fmt: skip
        from unicorn import arm_const as a

        return {
            "sp": a.UC_ARM_REG_SP, "pc": a.UC_ARM_REG_PC, "back": a.UC_ARM_REG_LR, "first": a.UC_ARM_REG_R0,
            "second": a.UC_ARM_REG_R1, "third": a.UC_ARM_REG_R2, "fourth": a.UC_ARM_REG_R3,
        }  # fmt: skip
