"""A whole training step of others, by op family: SpeechNet in float32, simulated on eight RISC-V cores.

``silicon/traindeeploy_speechnet_cycles.csv`` has cycles of each family; eight cores with their own memories
are no microcontroller, so only *shares* of the step are compared. The network is the parametric SpeechNet of
that project: convolutions along time over 14 electrodes, each with batch norm, ReLU and max pooling. The
first activation takes 314,048 bytes there, which gives the length; blocks four and five are small.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass

from sets import DATA

from mcusim import board
from mcusim.core import Work
from mcusim.mcu import estimate

ELECTRODES = 14
BOARDS = ("stm32f746", "stm32l4r5")
FAMILIES = {
    "Conv": "convolution", "ConvGradX": "gradient of inputs", "ConvGradW": "gradient of weights",
    "ConvGradB": "gradient of biases", "BatchNormInternal": "batch norm, forward",
    "BatchNormalizationGrad": "batch norm, backward", "Relu": "ReLU, forward", "ReluGrad": "ReLU, backward",
    "MaxPool": "pooling, forward", "MaxPoolGrad": "pooling, backward",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """A convolution along time: channels in and out, taps, and how many instants it gives."""

    into: int
    out: int
    taps: int
    instants: int

    @property
    def outputs(self) -> int:
        """Elements of its output."""
        return self.out * ELECTRODES * self.instants

    @property
    def macs(self) -> int:
        """Multiply-accumulates of its forward pass."""
        return self.outputs * self.into * self.taps


BLOCKS = (Block(1, 4, 4, 1402), Block(4, 16, 16, 176), Block(16, 16, 8, 45))


def works() -> dict[str, list[Work]]:
    """Return the work of one sample by family, in counts of float32 arithmetic."""
    found: defaultdict[str, list[Work]] = defaultdict(list)
    for i, block in enumerate(BLOCKS):
        n, macs = block.outputs, block.macs
        columns = 4 * macs // block.out
        found["Conv"].append(Work("conv", float_macs=macs, outputs=n, im2col_bytes=columns))
        found["ConvGradW"].append(Work("grad_weight.conv", float_macs=macs, im2col_bytes=columns))
        found["ConvGradB"].append(Work("grad_bias", float_ops=n))
        if i:
            found["ConvGradX"].append(Work("grad_input.conv", float_macs=macs, float_ops=n))
        for family, operations in (
            ("BatchNormInternal", 2), ("BatchNormalizationGrad", 4), ("Relu", 1), ("ReluGrad", 1),
            ("MaxPool", 1), ("MaxPoolGrad", 2),
        ):  # fmt: skip
            found[family].append(Work("float", float_ops=operations * n))
    return found


def shares() -> list[dict[str, object]]:
    """Return the share of each family: simulated there, and by the default terms of two cores."""
    with (DATA / "silicon" / "traindeeploy_speechnet_cycles.csv").open(encoding="utf-8") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        cycles = {r["what"].removeprefix("family:"): float(r["compute_cycles"] or 0) for r in rows}
    counted = works()
    modelled = {
        name: {family: estimate(counted[family], board(name)).total_cycles for family in FAMILIES}
        for name in BOARDS
    }
    return [
        {"family": family, "what": what, "simulated": _share(cycles, family)}
        | {board(name).core: _share(modelled[name], family) for name in BOARDS}
        for family, what in FAMILIES.items()
    ]


def _share(of: dict[str, float] | dict[str, int], family: str) -> float:
    return round(of[family] / sum(of[each] for each in FAMILIES), 4)
