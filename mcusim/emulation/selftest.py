"""The self test of a written folder, on an emulated core instead of a board."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from mcusim.emulation.compilers import Compiler
from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.emulators import Emulator
from mcusim.emulation.toolchain import build


def self_test(
    folder: Path, network: str, core: EmulatedCore, arena_bytes: int, compiler: Compiler, emulator: Emulator
) -> str:
    """Return what ``mcusim_selftest`` prints: PASS or the first op that differs, behind the network's name.

    Args:
        folder, network, core, arena_bytes, compiler: as for ``build``.
        emulator: what runs it.

    Raises:
        BadRun: if the C does not compile, or the core faults.
        MissingPackage: if there is no compiler or emulator.
    """
    memory = emulator.memory(core)
    elf = build(folder, network, core, arena_bytes, "selftest", compiler=compiler, memory=memory)
    with closing(emulator.device(elf, core, arena_bytes)) as device:
        device.run()
        said = device.read(device.symbols["twin_said"], 256)
    return said.split(b"\0")[0].decode().strip()
