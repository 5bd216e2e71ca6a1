"""What a linker has made of a firmware: arena, statics and flash of an ELF file, beside the plan's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcusim.core import BadRun
from mcusim.core.wording import choice
from mcusim.deployment.project import PLAN
from mcusim.emulation.unicorn_machine import emulator
from mcusim.sections.kinds import Facts, Headline, Section
from mcusim.sections.shown import Shown

WRITABLE, ALLOCATED = 1, 2
"""Flags of a section, SHF_WRITE and SHF_ALLOC (System V ABI)."""


@dataclass(frozen=True)
class Linked(Shown):
    """A linked program beside the plan of the firmware in it.

    Attributes:
        program: the ELF file.
        arena_bytes, planned_arena_bytes: of the network's arena.
        data_bytes, bss_bytes: writable sections with and without first values, the arena in them.
        flash_bytes: code, constants and first values.
        sram_capacity_bytes, flash_capacity_bytes: of the board, as planned for.
        checkpoint_bytes: of the flash that is kept for what is learned.
        planned_stack_bytes: stack and statics that the plan allows.
    """

    program: Path
    arena_bytes: int
    planned_arena_bytes: int
    data_bytes: int
    bss_bytes: int
    flash_bytes: int
    sram_capacity_bytes: int
    flash_capacity_bytes: int
    checkpoint_bytes: int
    planned_stack_bytes: int

    @property
    def stack_bytes(self) -> int:
        """SRAM that is left for the stack."""
        return self.sram_capacity_bytes - self.data_bytes - self.bss_bytes

    @property
    def problems(self) -> list[str]:
        """What does not suit the plan, a line each."""
        found = []
        if self.arena_bytes != self.planned_arena_bytes:
            found.append(f"arena is of {self.arena_bytes:,} B: the program is of another plan")
        runtime = self.planned_stack_bytes
        others = self.data_bytes + self.bss_bytes - self.arena_bytes
        if self.stack_bytes + others < runtime:
            found.append(
                f"beside the arena are {self.stack_bytes + others:,} B, and the plan needs {runtime:,}"
            )
        if self.stack_bytes <= 0:
            found.append(f"SRAM is too small by {-self.stack_bytes:,} B, and there is no stack")
        room = self.flash_capacity_bytes - self.checkpoint_bytes
        if self.flash_bytes > room:
            found.append(f"flash is too small by {self.flash_bytes - room:,} B, checkpoints counted")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "program": str(self.program), "arena_bytes": self.arena_bytes,
            "planned_arena_bytes": self.planned_arena_bytes, "data_bytes": self.data_bytes,
            "bss_bytes": self.bss_bytes, "flash_bytes": self.flash_bytes,
            "sram_capacity_bytes": self.sram_capacity_bytes,
            "flash_capacity_bytes": self.flash_capacity_bytes, "checkpoint_bytes": self.checkpoint_bytes,
            "stack_bytes": self.stack_bytes, "planned_stack_bytes": self.planned_stack_bytes,
            "problems": self.problems,
        }  # fmt: skip

    def sections(self) -> list[Section]:
        """Return the verdict and the figures."""
        verdict = "suits its plan" if not self.problems else "does not suit its plan"
        rows = [
            ("arena", f"{self.arena_bytes:,} B, planned {self.planned_arena_bytes:,}"),
            (".data", f"{self.data_bytes:,} B"),
            (".bss", f"{self.bss_bytes:,} B, the arena in it or in .data"),
            ("left for the stack", f"{self.stack_bytes:,} of {self.sram_capacity_bytes:,} B; "
                f"{self.planned_stack_bytes:,} planned for stack and statics"),
            ("flash", f"{self.flash_bytes:,} of {self.flash_capacity_bytes:,} B, "
                f"{self.checkpoint_bytes:,} more for checkpoints"),
            *(("but", problem) for problem in self.problems),
        ]  # fmt: skip
        return [Headline(f"{self.program.name} {verdict}"), Facts(tuple(rows), "linked")]


def linked(folder: Path, program: Path) -> Linked:
    """Compare a linked program with the plan of the firmware in it.

    Args:
        folder: what ``mcusim firmware`` wrote.
        program: an ELF file of it and the application around it, with symbols.

    Raises:
        BadRun: if there is no such folder or program, or the network is not in it.
        MissingPackage: if ``pyelftools`` is not installed.
    """
    emulator()
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    headers = sorted((folder / "model").glob("*_data.h"))
    if not (folder / PLAN).is_file() or not headers:
        raise BadRun(str(folder), "is no folder that mcusim firmware wrote", f"name it with {choice('out')}")
    plan = json.loads((folder / PLAN).read_text("utf-8"))
    arena = headers[0].name.removesuffix("_data.h") + "_arena"
    line = next(n for n in headers[0].read_text("utf-8").splitlines() if f" {arena}[" in n)
    planned = int(line.partition("[")[2].partition("]")[0])
    try:
        with program.open("rb") as file:
            elf = ELFFile(file)
            table: Any = elf.get_section_by_name(".symtab")
            found = [] if table is None else table.get_symbol_by_name(arena)
            kept = [s.header for s in elf.iter_sections() if s["sh_flags"] & ALLOCATED]
    except (OSError, ELFError) as error:
        raise BadRun(
            str(program), f"is no ELF file that can be read: {error}", "name what the linker wrote"
        ) from error
    if not found:
        reason = f"has no symbol {arena}: the network is not in it, or its symbols were stripped"
        raise BadRun(str(program), reason, "link the folder, and check before you strip")
    data, bss, constant = (
        sum(
            h["sh_size"]
            for h in kept
            if (bool(h["sh_flags"] & WRITABLE), h["sh_type"] == "SHT_NOBITS") == kind
        )
        for kind in ((True, False), (True, True), (False, False))
    )
    flash, sram = plan["flash"], plan["sram"]
    return Linked(
        program, found[0]["st_size"], planned, data, bss, constant + data, sram["budget_bytes"],
        flash["capacity_bytes"], flash["by_role"]["checkpoint"], sram["by_role"]["runtime"],
    )  # fmt: skip
