"""Two models of one step: executed instructions of our firmware, and the profile of a kernel library."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from mcusim import board
from mcusim.core import Work
from mcusim.mcu import estimate
from mcusim.mcu.core import core
from mcusim.mcu.cycles.terms import COUNTS
from mcusim.mcu.instructions import instruction_cycles

FIRMWARE = Path(__file__).parents[1] / "firmware"
TWINS = {
    **{
        f"synthetic-mbv2-{scheme}-{core}": home
        for core, home in (
            ("cortex-m0plus", "rp2040"), ("cortex-m33", "stm32u575"), ("cortex-m4", "stm32l4r5"),
            ("cortex-m7", "stm32f746"),
        )
        for scheme in ("dense", "dynamic")
    },
    "mbv2-w0.35-dynamic-256KiB-cortex-m7": "stm32f746",
}  # fmt: skip
"""Twin -> a board of its core; its default profile is the other model."""
CLASSES = ("load", "store", "multiply", "divide", "branch", "float", "float_divide", "other")


def both_models() -> list[dict[str, object]]:
    """Return, for every twin and kind of op, the cycles of both models and where the band ends."""
    found: list[dict[str, object]] = []
    for twin, name in TWINS.items():
        home = board(name)
        with (FIRMWARE / f"{twin}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        by_kind: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            by_kind[row["kind"]].append(row)
        for kind, own in by_kind.items():
            counts = {c: sum(int(row[c]) for row in own) for c in CLASSES}
            executed = instruction_cycles(counts, core(home.core))
            works = [Work(kind, **{c: int(row[c]) for c in COUNTS}) for row in own]
            modelled = estimate(works, home).total_cycles
            if executed is None or not executed.value:
                continue
            found.append({
                "twin": twin, "kind": kind, "ops": len(own), "instructions": sum(counts.values()),
                "instruction_model": round(executed.value), "profile_model": modelled,
                "profile_by_instruction": round(modelled / executed.value, 3),
            })  # fmt: skip
    return found
