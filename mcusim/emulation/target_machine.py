"""A machine that runs a twin's program: what all of them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mcusim.core import BadRun
from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.counting import InstructionCount
from mcusim.emulation.elf import Elf
from mcusim.emulation.toolchain import PAGE

PATTERN = 0xA5
"""Fills the stack and the bytes around the arena: what has changed was touched."""


class TargetMachine(ABC):
    """Memory and core, with a program that has not started.

    Args:
        elf: what to run.
        core: what to run it on.
        arena_bytes: size of the arena.
        ops: names of the ops of a step, which say where it faults.

    Attributes:
        arena: its address. The bytes around it are watched.
        count: of instructions; None where the machine does not count.
    """

    count: InstructionCount | None = None

    def __init__(self, elf: Path, core: EmulatedCore, arena_bytes: int, ops: Sequence[str] = ()) -> None:
        self.core, self.program, self.arena_bytes = core, Elf.read(elf), arena_bytes
        self.symbols, self.objects = self.program.symbols, self.program.objects
        self.arena = self.symbols["arena_start"]
        self._ops, self._op = ops, 0
        self._front = self.arena // PAGE * PAGE - PAGE
        self._back = -(-(self.arena + arena_bytes) // PAGE) * PAGE

    @abstractmethod
    def after_op(self, call: Callable[[int], None]) -> None:
        """Have ``call(op)`` called after every op of a step; what it raises ends the run."""

    @abstractmethod
    def run(self) -> None:
        """Run until the device waits for the next command.

        Raises:
            BadRun: if it faults.
        """

    @abstractmethod
    def read(self, address: int, count: int) -> bytes:
        """Return memory."""

    @abstractmethod
    def write(self, address: int, data: bytes) -> None:
        """Write memory."""

    def close(self) -> None:  # noqa: B027 (most hold nothing)
        """Let go of what it holds."""

    @property
    def stack_bytes(self) -> int:
        """Bytes of stack used so far, interrupts aside."""
        low, top = self.symbols["stack_low"], self.symbols["stack_top"]
        used = np.flatnonzero(np.frombuffer(self.read(low, top - low), np.uint8) != PATTERN)
        return int(top - low - used[0]) if used.size else 0

    @property
    def statics_bytes(self) -> int:
        """Bytes of ``.data`` and ``.bss`` beside the arena."""
        return self.program.statics_bytes

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code, the twin's own left out."""
        return self.program.code_bytes

    @property
    def outside_writes(self) -> int:
        """Bytes beside the arena that have changed."""
        end = self.arena + self.arena_bytes
        around = self.read(self._front, self.arena - self._front) + self.read(end, self._back - end)
        return int((np.frombuffer(around, np.uint8) != PATTERN).sum())

    def _paint(self) -> None:
        """Fill the stack and what lies around the arena, and the arena."""
        low, top = self.symbols["stack_low"], self.symbols["stack_top"]
        self.write(self._front, bytes([PATTERN]) * (self._back - self._front))
        self.write(low, bytes([PATTERN]) * (top - low))

    def _fault(self, reason: object, address: int, registers: dict[str, int]) -> BadRun:
        op = f", op {self._ops[self._op % len(self._ops)]}" if self._ops else ""
        values = ", ".join(f"{name} {value:#x}" for name, value in registers.items())
        where = f"faults at {address:#x} in {self.program.place(address)}{op}"
        return BadRun(f"firmware on {self.core.name}", f"{where}: {reason}; {values}")
