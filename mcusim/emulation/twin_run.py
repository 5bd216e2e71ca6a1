"""What a twin has shown: a verdict, the first difference, and what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcusim import __version__
from mcusim.core import Figure
from mcusim.emulation.instructions import CLASSES
from mcusim.mcu.core import core, core_names
from mcusim.mcu.instructions import EXACT, instruction_cycles
from mcusim.sections.kinds import Facts, Headline, Section
from mcusim.sections.shown import Shown


@dataclass(frozen=True, slots=True)
class FirstDifference:
    """The first byte that differs."""

    step: int
    op: str
    tensor: str
    index: int
    engine: float
    firmware: float
    address: int
    last_writer: str
    bytes: int
    """Bytes that differ after this op."""

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"step {self.step}, after op {self.op}: {self.tensor}[{self.index}] is {self.engine!r} in the "
            f"engine and {self.firmware!r} in the firmware, at {self.address:#x}, last written by "
            f"{self.last_writer}; {self.bytes:,} bytes differ"
        )


@dataclass(frozen=True)
class TwinRun(Shown):
    """What a twin has shown.

    ``step`` is the digest of what was run, by which a plan knows it again.
    ``op_instructions`` pairs each op of the last step with its executed instructions, one number for each of
    ``CLASSES`` of ``mcusim.emulation.instructions``; empty where the emulator counts none.
    """

    network: str
    board: str
    update: str
    step: str
    core: str
    steps: int
    ops: int
    bytes_compared: int
    bytes_differing: int
    first_difference: FirstDifference | None
    op_instructions: tuple[tuple[str, tuple[int, ...]], ...]
    forward: frozenset[str]
    """Names of the ops that belong to the forward pass."""
    stack_bytes: int
    statics_bytes: int
    code_bytes: int
    arena_bytes: int
    outside_arena_writes: int
    toolchain: str = ""
    emulator: str = ""
    compile_seconds: float = 0.0
    """Of this run, as is the next: they depend on the machine, on what else it does and on what is kept."""
    instructions_per_second: float = 0.0
    """Of the emulated core while it ran: comparisons are left out."""
    write_backs: int = 0
    """Copies of what was learned that the device has written to flash, where weights learn there."""
    flash_operations: int = 0
    """Sectors erased and units programmed for them."""
    selftest: str | None = None
    """What the folder's self test has said on that core, if it ran."""

    @property
    def equal(self) -> bool:
        """True if no byte differs, nothing outside the arena was touched, and no self test has failed."""
        passed = self.selftest is None or ": PASS" in self.selftest
        return self.first_difference is None and not self.outside_arena_writes and passed

    @property
    def instructions_per_step(self) -> int | None:
        """Executed instructions of the last step; None if they were not counted."""
        return sum(self.instructions_by_class.values()) if self.op_instructions else None

    @property
    def instructions_by_class(self) -> dict[str, int]:
        """Executed instructions of the last step by class."""
        rows = [counts for _, counts in self.op_instructions]
        if not rows:
            return {}
        return dict(zip(CLASSES, map(sum, zip(*rows, strict=True)), strict=True))

    @property
    def cycles(self) -> dict[str, Figure]:
        """Cycles of the forward pass and of the rest of the last step; empty if the core's file has none."""
        name = {"cortex-m0+": "cortex-m0plus"}.get(self.core, self.core)
        found: dict[str, Figure] = {}
        if not self.op_instructions:
            return found
        for part, forward in (("forward", True), ("backward", False)):
            rows = [c for op, c in self.op_instructions if (op in self.forward or op == "load") is forward]
            counts = dict(zip(CLASSES, map(sum, zip(*rows, strict=True)), strict=True)) if rows else {}
            figure = instruction_cycles(counts, core(name)) if name in core_names() else None
            if figure is not None:
                found[part] = figure
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        first = self.first_difference
        return {
            "mcusim": __version__, "network": self.network, "board": self.board, "update": self.update,
            "step": self.step, "equal": self.equal, "core": self.core, "steps": self.steps, "ops": self.ops,
            "bytes_compared": self.bytes_compared, "bytes_differing": self.bytes_differing,
            "first_difference": None if first is None else {
                "step": first.step, "op": first.op, "tensor": first.tensor, "index": first.index,
                "engine": first.engine, "firmware": first.firmware, "address": first.address,
                "last_writer": first.last_writer,
            },
            "instructions_per_step": self.instructions_per_step,
            "instructions_by_class": self.instructions_by_class,
            "cycles": {part: figure.as_dict() for part, figure in self.cycles.items()},
            "op_instructions": [
                {"op": name, **dict(zip(CLASSES, counts, strict=True))}
                for name, counts in self.op_instructions
            ],
            "stack_bytes": self.stack_bytes,
            "statics_bytes": self.statics_bytes, "code_bytes": self.code_bytes,
            "arena_bytes": self.arena_bytes, "outside_arena_writes": self.outside_arena_writes,
            "write_backs": self.write_backs, "flash_operations": self.flash_operations,
            "toolchain": self.toolchain, "emulator": self.emulator,
            "compile_seconds": round(self.compile_seconds, 3),
            "instructions_per_second": round(self.instructions_per_second), "selftest": self.selftest,
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return the verdict and the figures."""
        kinds = [(name, count) for name, count in self.instructions_by_class.items() if count]
        verdict = "equal in every bit" if self.equal else "different"
        count = self.instructions_per_step
        rows = [
            ("compared", f"{self.bytes_compared:,} B after {self.ops:,} ops of {self.steps:,} steps"),
            ("differing", f"{self.bytes_differing:,} B"),
            *([] if self.first_difference is None else [("first", str(self.first_difference))]),
            *([] if self.selftest is None else [("self test", self.selftest)]),
            ("instructions a step", "not counted by this emulator" if count is None else f"{count:,}"),
            *([("of these", ", ".join(f"{n.replace('_', ' ')} {c:,}" for n, c in kinds))] if kinds else []),
            *((f"cycles {part}", f"{round(f.value):,}{f.band} ({EXACT})") for part, f in self.cycles.items()),
            *(
                [
                    (
                        "write-backs",
                        f"{self.write_backs:,}: {self.flash_operations:,} sectors and units of flash",
                    )
                ]
                if self.write_backs
                else []
            ),
            ("stack", f"{self.stack_bytes:,} B"),
            ("statics", f"{self.statics_bytes:,} B"),
            ("code", f"{self.code_bytes:,} B"),
            ("arena", f"{self.arena_bytes:,} B; {self.outside_arena_writes:,} bytes beside it touched"),
            ("made with", f"{self.toolchain}, {self.emulator}"),
        ]
        return [Headline(f"engine and firmware on {self.core}: {verdict}"), Facts(tuple(rows), "twin")]
