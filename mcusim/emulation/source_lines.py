"""Where in the source an address of a program is: DWARF's table of lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def source_line(elf: Path, address: int) -> str:
    """Return file and line of an instruction, as ``dense.c:31``; nothing where the program does not say it.

    Args:
        elf: the program, compiled with ``-g``.
        address: of an instruction.
    """
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        parsed: Any = ELFFile(file)
        if not parsed.has_dwarf_info():
            return ""
        dwarf = parsed.get_dwarf_info()
        for unit in dwarf.iter_CUs():
            found = _in_program(dwarf.line_program_for_CU(unit), address)
            if found:
                return found
    return ""


def _in_program(program: Any, address: int) -> str:
    """Return file and line of an address by one program of lines, if it has it."""
    before: Any = None
    start = 0  # a function that the linker left out begins at 0, where the vectors are
    for entry in [] if program is None else program.get_entries():
        state = entry.state
        if state is None:
            continue
        if before is None or before.end_sequence:
            start = state.address
        elif start and before.address <= address < state.address:
            files = program["file_entry"]
            named = files[before.file - (program["version"] < 5)].name
            return f"{Path(named.decode()).name}:{before.line}"
        before = state
    return ""
