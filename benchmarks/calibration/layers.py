"""The RP2040's per-layer rows: pointwise and depthwise, each with its own form."""

from __future__ import annotations

import csv

from sets import DATA, model_works

from mcusim.mcu.cycles.form import CycleForm, op_form
from mcusim.mcu.cycles.measurement import Measurement

CORE, CHIP = "cortex-m0plus", "RP2040"
FORMS: dict[str, CycleForm] = {"pointwise": op_form("pointwise"), "depthwise": op_form("depthwise")}
OTHER_KERNEL = {
    0: "depth multiplier 8: another kernel",
    28: "one output pixel: a row of 0.2 ms, mostly overhead",
}
"""Layers of the two kinds that run another code path; they are shown, not fitted."""


def layers() -> tuple[dict[str, list[Measurement]], list[Measurement]]:
    """Return the rows fitted, by kind, and the rows of other kernels."""
    with (DATA / "silicon" / "per_layer_measured.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["chip"] == CHIP]
    works = model_works("tflm_person_detect")
    fitted: dict[str, list[Measurement]] = {kind: [] for kind in FORMS}
    others = []
    for row, work in zip(rows, works, strict=True):
        layer = int(row["layer"])
        name = f"{layer}: {row['op']} {row['cin']}->{row['cout']}"
        measurement = Measurement(name, name, CHIP, CORE, (work,), float(row["cycles"]))
        if work.kind in FORMS and layer not in OTHER_KERNEL:
            fitted[work.kind].append(measurement)
        else:
            others.append(measurement)
    return fitted, others
