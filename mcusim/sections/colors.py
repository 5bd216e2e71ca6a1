"""One color a role, the same in every plot; chosen so that neighbours differ in hue and in lightness."""

from __future__ import annotations

from typing import Final

from mcusim.core.vocabulary import Role

ROLE_COLORS: Final[dict[Role, str]] = {
    Role.RUNTIME: "#9aa0a6",
    Role.HEAD: "#4a3f7a",
    Role.BIAS: "#b39ddb",
    Role.WEIGHT: "#6f5fb0",
    Role.OPTIMIZER: "#c2608f",
    Role.REPLAY: "#2f8f83",
    Role.STATE: "#7a5c46",
    Role.MASK: "#e3c567",
    Role.FEATURE: "#d98e32",
    Role.INPUT: "#1f5f8b",
    Role.ACTIVATION: "#5aa7d6",
    Role.ERROR: "#c8503c",
    Role.GRADIENT: "#e99a8b",
    Role.SCRATCH: "#7fb48a",
}
"""In stacking order: what stays lies at the bottom, what comes and goes on top."""

INK: Final = "#263238"
"""Text and lines."""

ALERT: Final = "#b3261e"
"""The capacity, and what goes beyond it."""

OTHER: Final = "#b8bec2"
"""What is no role of SRAM: holes, gaps, what lies in flash alone."""


def color(name: str) -> str:
    """Return the color of a role by its name; that of ``OTHER`` for anything else."""
    return next((shade for role, shade in ROLE_COLORS.items() if role == name), OTHER)
