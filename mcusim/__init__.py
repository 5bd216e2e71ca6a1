"""mcusim: a memory-accurate simulator of training on microcontrollers.

>>> import mcusim
>>> model = mcusim.load("mbv2-w0.35", classes=10)
>>> session = mcusim.Session(model, mcusim.board("stm32f746"), update="dynamic", sram="256KiB")
>>> session.plan()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Augmentation": "mcusim.data.augment",
    "Board": "mcusim.mcu.board",
    "Formats": "mcusim.update.formats",
    "McusimError": "mcusim.core.errors",
    "Model": "mcusim.graph",
    "OutOfFlash": "mcusim.core.errors",
    "OutOfSram": "mcusim.core.errors",
    "Patches": "mcusim.lowering.patches",
    "Plan": "mcusim.planning.plan",
    "Run": "mcusim.session.run",
    "Session": "mcusim.session.session",
    "Sgd": "mcusim.update.optimizer",
    "activations": "mcusim.engine.inference",
    "board": "mcusim.mcu.board_files",
    "boards": "mcusim.mcu.board_files",
    "fetch": "mcusim.files.fetch",
    "load": "mcusim.files.load",
    "scheme": "mcusim.update.scheme",
}
"""Public names and the rooms they live in; a room is entered when its name is first used."""

if TYPE_CHECKING:
    from mcusim.core.errors import McusimError, OutOfFlash, OutOfSram
    from mcusim.data.augment import Augmentation
    from mcusim.engine.inference import activations
    from mcusim.files.fetch import fetch
    from mcusim.files.load import load
    from mcusim.graph import Model
    from mcusim.lowering.patches import Patches
    from mcusim.mcu.board import Board
    from mcusim.mcu.board_files import board, boards
    from mcusim.planning.plan import Plan
    from mcusim.session.run import Run
    from mcusim.session.session import Session
    from mcusim.update.formats import Formats
    from mcusim.update.optimizer import Sgd
    from mcusim.update.scheme import scheme

__all__ = [
    "Augmentation",
    "Board",
    "Formats",
    "McusimError",
    "Model",
    "OutOfFlash",
    "OutOfSram",
    "Patches",
    "Plan",
    "Run",
    "Session",
    "Sgd",
    "__version__",
    "activations",
    "board",
    "boards",
    "data",
    "fetch",
    "load",
    "scheme",
]


def __getattr__(name: str) -> Any:
    if name == "data":
        return import_module("mcusim.data")
    if name not in _WHERE:
        raise AttributeError(f"module 'mcusim' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
