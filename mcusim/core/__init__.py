"""Floor 0: the vocabulary every other floor speaks."""

from mcusim.core.errors import (
    BadArgument,
    BadBoard,
    BadData,
    BadModel,
    BadProblem,
    BadRun,
    BadTrace,
    LiveBlock,
    McusimError,
    MissingPackage,
    OutOfFlash,
    OutOfSram,
    SaveFailed,
    UnknownName,
)
from mcusim.core.interval import Interval
from mcusim.core.provenance import Figure, Provenance
from mcusim.core.registry import Registry
from mcusim.core.units import format_bytes, parse_bytes
from mcusim.core.vocabulary import FLASH_ROLES, SRAM_ROLES, Phase, Region, Role
from mcusim.core.work import Work

__all__ = [
    "FLASH_ROLES",
    "SRAM_ROLES",
    "BadArgument",
    "BadBoard",
    "BadData",
    "BadModel",
    "BadProblem",
    "BadRun",
    "BadTrace",
    "Figure",
    "Interval",
    "LiveBlock",
    "McusimError",
    "MissingPackage",
    "OutOfFlash",
    "OutOfSram",
    "Phase",
    "Provenance",
    "Region",
    "Registry",
    "Role",
    "SaveFailed",
    "UnknownName",
    "Work",
    "format_bytes",
    "parse_bytes",
]
