"""Where learning weights live between steps."""

from __future__ import annotations

from enum import StrEnum


class Residency(StrEnum):
    """Where learning weights live between steps."""

    SRAM = "sram"
    """Every layer that can be selected lies whole in SRAM."""
    FLASH = "flash"
    """Only the selected channels are in SRAM; they are written back at the end of a stage."""
