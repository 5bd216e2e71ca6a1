"""How much of a float network survives in its int8 twin."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcusim.compress.quantize.forward import Array, groups, run
from mcusim.compress.quantize.int8 import Int8Network, real_values
from mcusim.graph import Model
from mcusim.sections.kinds import Column, Headline, Section, Table
from mcusim.sections.shown import Shown

COLUMNS = (
    Column("tensor"), Column("signal to noise", "dB", "number"), Column("at the ends", "", "share", digits=2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One tensor of the int8 network against the float one, everything before it quantised too."""

    name: str
    snr_db: float
    """10 log10(Σ y² / Σ (y - ŷ)²) over all values of all examples."""
    clipped: float
    """Fraction of values that lie at an end of the int8 range."""


@dataclass(frozen=True, slots=True)
class Report(Shown):
    """The comparison of a float network and its int8 twin on some examples."""

    model: str
    examples: int
    agreement: float
    """Fraction of examples of which the largest score of every output is the same."""
    output_snr_db: float
    """The same ratio as of a layer, over all outputs."""
    layers: tuple[LayerReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; an infinite ratio is None."""
        plain = asdict(self)
        for layer in (plain, *plain["layers"]):
            for key in ("snr_db", "output_snr_db"):
                if layer.get(key) in (inf, -inf):
                    layer[key] = None
        return plain

    def sections(self) -> list[Section]:
        """Return one row a tensor, and how often both networks say the same."""
        said = (
            f"top-1 agreement with the float network {self.agreement:.1%} on {self.examples} examples, "
            f"output signal to noise {self.output_snr_db:.1f} dB"
        )
        rows = [(layer.name, f"{layer.snr_db:.1f}", layer.clipped) for layer in self.layers]
        return [Headline(self.model, said), Table(COLUMNS, rows)]


def compare(floating: Model, quantised: Model, inputs: Array) -> Report:
    """Run float ``inputs`` ``[N, ...]`` through both networks and compare all tensors they both have."""
    shared = [op.output for op in quantised.ops if op.output in floating.tensors]
    sums = {name: np.zeros(3) for name in shared}
    same, network, outputs = 0, Int8Network(quantised), floating.outputs
    for group in groups(floating, inputs):
        found, agree = network(group), np.ones(len(group), bool)

        def visit(
            name: str, y: Array, found: dict[str, NDArray[Any]] = found, agree: NDArray[np.bool_] = agree
        ) -> None:
            if name in outputs:
                mine = real_values(quantised.tensors[name], found[name]).reshape(len(y), -1)
                agree &= mine.argmax(1) == y.reshape(len(y), -1).argmax(1)
            if name in sums:
                tensor = quantised.tensors[name]
                error = np.square(y - real_values(tensor, found[name])).sum(dtype=np.float64)
                ends = (-128, 127) if tensor.dtype == "int8" else ()
                clipped = sum(int((found[name] == end).sum()) for end in ends) / y.size
                sums[name] += (np.square(y).sum(dtype=np.float64), error, clipped * len(y))

        run(floating, group, visit)
        same += int(agree.sum())
    layers = tuple(LayerReport(n, _decibel(*sums[n][:2]), float(sums[n][2] / len(inputs))) for n in shared)
    signal, noise = (sum(float(sums[name][i]) for name in outputs) for i in range(2))
    return Report(quantised.name, len(inputs), same / len(inputs), _decibel(signal, noise), layers)


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal > 0 else -inf
