"""Measured ops that nobody measured: three kinds, some of them slower than their counts tell."""

from __future__ import annotations

from mcusim.core import Work
from mcusim.mcu.cycles.measurement import Measurement


def some_rows() -> list[Measurement]:
    """Return 24 ops of a core, whose cycles stray by up to a fifth from what their work costs."""
    rows = []
    for i in range(24):
        kind, cost = (("conv", 3.0), ("pointwise", 2.0), ("depthwise", 9.0))[i % 3]
        macs, outputs = 900 * (i * i % 17 + 2), 40 * (i % 5 + 1)
        cycles = (cost * macs + 30 * outputs) * (1 + 0.2 * ((7 * i % 11) / 5 - 1))
        name = f"blocks.{i // 3}.{kind}"
        rows.append(
            Measurement(name, name, "", "cortex-m4", (Work(kind, macs=macs, outputs=outputs),), cycles)
        )
    return rows
