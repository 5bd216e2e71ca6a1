"""One color a role, the same in every plot, page and table, told apart also by those who are colour-blind.

Chosen so that any two differ by 12 in CIE L*a*b*, and neighbours in a stack by 19, for normal eyes and
those without red, green or blue cones, simulated as by Machado, Oliveira and Fernandes, "A
physiologically-based model for simulation of color vision deficiency", IEEE TVCG 15 (2009).
"""

from __future__ import annotations

from typing import Final

from mcusim.core.vocabulary import Role

ROLE_COLORS: Final[dict[Role, str]] = {
    Role.RUNTIME: "#98a8bc",
    Role.HEAD: "#3a3876",
    Role.BIAS: "#a58bc5",
    Role.WEIGHT: "#6e5eb1",
    Role.OPTIMIZER: "#dd719f",
    Role.REPLAY: "#147b6d",
    Role.STATE: "#715137",
    Role.MASK: "#e2c46a",
    Role.FEATURE: "#d08725",
    Role.INPUT: "#2f5c84",
    Role.ACTIVATION: "#64b7ea",
    Role.ERROR: "#ca533c",
    Role.GRADIENT: "#f0aaa5",
    Role.SCRATCH: "#689a6a",
}
"""In stacking order: what stays lies at the bottom, what comes and goes on top."""

INK: Final = "#263238"
"""Text and lines."""

ALERT: Final = "#b3261e"
"""The capacity, and what goes beyond it."""

OTHER: Final = "#bec1c7"
"""What is no role of SRAM: holes, gaps, what lies in flash alone."""


def color(name: str) -> str:
    """Return the color of a role by its name; that of ``OTHER`` for anything else."""
    return next((shade for role, shade in ROLE_COLORS.items() if role == name), OTHER)


def ink_on(shade: str) -> str:
    """Return the ink that is read best on a colour: white or that of texts."""
    red, green, blue = (int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return INK if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.26 else "#ffffff"
