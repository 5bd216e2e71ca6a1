"""From executed instructions to cycles: exact counts by class, times what the core's manual says of each."""

from __future__ import annotations

from collections.abc import Mapping

from mcusim.core import Figure, Provenance
from mcusim.mcu.core import Core
from mcusim.mcu.cycles.band import ends

EXACT = "instruction-exact, cycle-modelled"
"""What is said of such figures."""


def instruction_cycles(counts: Mapping[str, int], core: Core) -> Figure | None:
    """Return the cycles of executed instructions; ``None`` if the core's file has no cycles of instructions.

    The counts are exact, the cycles of each are modelled: memory without wait states, branches taken as
    often as not. No firmware of ours ran on silicon, so the band is the range that manuals give.

    Args:
        counts: instructions by class: load, store, multiply, divide, branch, float, float_divide, other.
        core: where they run.
    """
    if core.instructions is None:
        return None
    cycles = sum(getattr(core.instructions, name) * count for name, count in counts.items())
    source = f"{EXACT}: {core.instructions.source}"
    return Figure(cycles, "cycles", Provenance.MODELLED, source, *ends(cycles, core.instructions.spread))
