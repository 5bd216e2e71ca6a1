"""A linked program for an emulated machine: where things are in it, and how large."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mcusim.emulation.source_lines import source_line


@dataclass(frozen=True)
class Elf:
    """An ELF file.

    Attributes:
        path: of it.
        symbols: addresses by name; of functions without the bit that says Thumb.
        functions, objects: sizes of those symbols.
        segments: what lies in memory from the start: address and bytes.
    """

    path: Path
    symbols: dict[str, int]
    functions: dict[str, int]
    objects: dict[str, int]
    segments: tuple[tuple[int, bytes], ...] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the program in a file that ``build`` made."""
        from elftools.elf.elffile import ELFFile

        with path.open("rb") as file:
            parsed = ELFFile(file)
            table: Any = parsed.get_section_by_name(".symtab")
            symbols = {
                s.name: s["st_value"] & ~(s["st_info"]["type"] == "STT_FUNC") for s in table.iter_symbols()
            }
            functions, objects = (
                {s.name: s["st_size"] for s in table.iter_symbols() if s["st_info"]["type"] == kind}
                for kind in ("STT_FUNC", "STT_OBJECT")
            )
            segments = tuple((s["p_paddr"], s.data()) for s in parsed.iter_segments() if s["p_filesz"])
        return cls(path, symbols, functions, objects, segments)

    @property
    def statics_bytes(self) -> int:
        """Bytes of ``.data`` and ``.bss`` beside the arena."""
        return self.symbols["bss_end"] - self.symbols["data_start"]

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code, the twin's own left out."""
        own = ("twin_", "start", "main", "Reset_Handler", "vectors")
        apart = sum(size for name, size in self.functions.items() if name.startswith(own))
        return self.symbols["code_end"] - self.symbols["code_start"] - apart

    def place(self, address: int) -> str:
        """Return which function and line of the source an address is in."""
        inside = [(self.symbols[n], n) for n, size in self.functions.items()
                  if self.symbols[n] <= address < self.symbols[n] + size]  # fmt: skip
        function = max(inside)[1] if inside else "no function"
        line = source_line(self.path, address)
        return f"{function} ({line})" if line else function
