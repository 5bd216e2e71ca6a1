"""What a firmware was measured to take: the result of ``mcusim twin --json``, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge

from mcusim.core import BadBoard, UnknownName
from mcusim.core.boundary import reads
from mcusim.mcu import toml_files

LARGEST_FILE = 1 << 22
SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Measured:
    """A step's firmware on one core.

    Attributes:
        file: where it was read from.
        mcusim, toolchain, emulator: versions of what made it.
        network, update: what was run.
        step: digest of the step that was run; see ``mcusim.lowering.digest``.
        core: the core that was emulated.
        equal: True if every byte agreed with the engine: figures of another firmware are refused.
        instructions_per_step: executed instructions of one step, exactly.
        instructions_by_class: the same by class, see ``mcusim.emulation.instructions``.
        stack_bytes, statics_bytes, code_bytes: what the step takes beside the arena.
    """

    mcusim: str
    toolchain: str
    emulator: str
    network: str
    update: str
    step: str
    core: str
    equal: bool
    instructions_per_step: Annotated[int, Ge(1)]
    instructions_by_class: Mapping[str, int] = field(hash=False)
    stack_bytes: Annotated[int, Ge(1)]
    statics_bytes: Annotated[int, Ge(0)]
    code_bytes: Annotated[int, Ge(1)]
    file: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def __str__(self) -> str:
        return f"{self.network} {self.update} on {self.core}, {self.toolchain}"


def shipped() -> list[str]:
    """Return the cores whose measured firmware comes with the package."""
    return sorted(p.name.removesuffix(SUFFIX) for p in _folder().iterdir() if p.name.endswith(SUFFIX))


@reads(BadBoard, "make it with mcusim twin --json")
def measured(name_or_path: str | Path) -> Measured:
    """Read what a firmware was measured to take.

    Args:
        name_or_path: what ``mcusim twin --json`` has printed, in a file that ends with ``.json``; or a core,
            for what the shipped kernels take on it.

    Raises:
        UnknownName: if no core is called so; suggests the nearest names.
        BadBoard: if it is no such file, or its firmware differed from the engine.
    """
    text = str(name_or_path)
    own = text.endswith(SUFFIX) or "/" in text
    if not own and text not in shipped():
        raise UnknownName("measured core", text, shipped())
    place = Path(text) if own else Path(str(_folder() / (text + SUFFIX)))
    try:
        if place.stat().st_size > LARGEST_FILE:
            raise BadBoard(text, "is too large for a result", "give what mcusim twin --json prints")
        data = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = "is no JSON" if isinstance(error, ValueError) else f"cannot be read: {error.strerror}"
        raise BadBoard(text, reason, "give what mcusim twin --json prints") from error
    names = {f.name for f in fields(Measured)} - {"file"}
    if not isinstance(data, dict) or not names <= data.keys():
        missing = sorted(names - data.keys())[0] if isinstance(data, dict) else "everything"
        raise BadBoard(
            text, f"is no result of mcusim twin: {missing} is missing", "make it anew with mcusim twin --json"
        )
    found = toml_files.build(Measured, {**{n: data[n] for n in names}, "file": text}, text)
    if not found.equal:
        raise BadBoard(text, "is of a firmware that differs from the engine", "find out why first")
    return found


def _folder() -> Any:
    return files("mcusim.mcu") / "measured"
