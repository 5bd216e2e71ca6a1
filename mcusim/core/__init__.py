"""Floor 0: the vocabulary every other floor speaks."""

from mcusim.core.errors import (
    BadArgument,
    BadBoard,
    BadData,
    BadModel,
    BadProblem,
    BadRun,
    BadTrace,
    Diverged,
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
from mcusim.core.slots import PARAMETER_KINDS, Kind, Slot, SlotPart, is_kind
from mcusim.core.units import format_bytes, parse_bytes
from mcusim.core.vocabulary import FLASH_ROLES, SRAM_ROLES, Phase, Region, Role
from mcusim.core.work import Work

__all__ = [
    "FLASH_ROLES",
    "PARAMETER_KINDS",
    "SRAM_ROLES",
    "BadArgument",
    "BadBoard",
    "BadData",
    "BadModel",
    "BadProblem",
    "BadRun",
    "BadTrace",
    "Diverged",
    "Figure",
    "Interval",
    "Kind",
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
    "Slot",
    "SlotPart",
    "UnknownName",
    "Work",
    "format_bytes",
    "is_kind",
    "parse_bytes",
]
