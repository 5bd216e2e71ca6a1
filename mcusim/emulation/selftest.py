"""The self test of a written folder, on an emulated core instead of a board."""

from __future__ import annotations

from pathlib import Path

from mcusim.emulation.cores import EmulatedCore
from mcusim.emulation.emulator import EmulatedDevice
from mcusim.emulation.toolchain import build


def self_test(folder: Path, network: str, core: EmulatedCore, arena_bytes: int) -> str:
    """Return what ``mcusim_selftest`` prints: PASS or the first op that differs, behind the network's name.

    Args:
        folder, network, core, arena_bytes: as for ``build``.

    Raises:
        BadRun: if the C does not compile, or the core faults.
        MissingPackage: if there is no compiler or emulator.
    """
    device = EmulatedDevice(build(folder, network, core, arena_bytes, "selftest"), core, arena_bytes)
    device.run()
    return device.read(device.symbols["twin_said"], 256).split(b"\0")[0].decode().strip()
