"""The RP2040's per-layer rows: pointwise and depthwise, each with its own constants."""

from __future__ import annotations

import csv

import numpy as np
from sets import DATA, model_works

from mcusim.core import Work
from mcusim.mcu.cycles.form import Constant, op_form, weigh
from mcusim.mcu.cycles.hierarchy import Constants
from mcusim.mcu.cycles.shrunk import Shrunk, left_out, shrink

CORE, CHIP, BOARD = "cortex-m0plus", "RP2040", "rp2040"
SUPPOSED = {"macs": 10.0, "outputs": 50.0, "weight_bytes": 10.0}
"""Cycles on a core without SIMD, to begin with: a factor of e either way is as likely."""
FORMS: dict[str, tuple[Constant, ...]] = {
    kind: op_form(kind, tuple(SUPPOSED), SUPPOSED) for kind in ("pointwise", "depthwise")
}
OTHER_KERNEL = {
    0: "depth multiplier 8: another kernel",
    28: "one output pixel: a row of 0.2 ms, mostly overhead",
}
"""Layers that run another code path; they are shown, not fitted."""

Layer = tuple[str, Work, float]


def layers() -> tuple[dict[str, list[Layer]], list[Layer]]:
    """Return the layers fitted, by kind, and those of other kernels: name, work, cycles."""
    with (DATA / "silicon" / "per_layer_measured.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["chip"] == CHIP]
    fitted: dict[str, list[Layer]] = {kind: [] for kind in FORMS}
    others: list[Layer] = []
    for row, work in zip(rows, model_works("tflite/tflm_person_detect"), strict=True):
        layer = (f"{row['layer']}: {row['op']} {row['cin']}->{row['cout']}", work, float(row["cycles"]))
        own = fitted.get(work.kind) if int(row["layer"]) not in OTHER_KERNEL else None
        (others if own is None else own).append(layer)
    return fitted, others


def fit_layers(kind: str, rows: list[Layer]) -> tuple[Shrunk, list[tuple[float, float]]]:
    """Fit the layers of a kind; return the fit, and each layer's residual and deviation when left out."""
    form = FORMS[kind]
    counts = np.array([weigh([work], form, 0.0) for _, work, _ in rows])
    cycles = np.array([c for _, _, c in rows])
    supposed = Constants(
        np.log([constant.cycles for constant in form]), np.diag([constant.spread**2 for constant in form])
    )
    names = [name for name, _, _ in rows]
    lefts = left_out(counts, cycles, np.zeros(len(rows)), supposed, names)
    return shrink(counts, cycles, np.zeros(len(rows)), supposed), [pair for pair in lefts if pair is not None]
