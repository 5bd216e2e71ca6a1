"""What X-CUBE-AI takes of SRAM and flash for itself, fitted over the ops of a network.

    MCUSIM_DATA=… python benchmarks/library_fit.py

Prints the two lines of ``mcusim/mcu/library.py`` and their mean relative errors: on all rows, on rows left
out one by one, on families of networks left out, and those of the fixed allowances of a board.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import mcusim
from mcusim.mcu.board import Runtime
from mcusim.simplify import simplified

Array = npt.NDArray[np.float64]
FIXED = {"runtime": Runtime().bytes, "code": Runtime().code_bytes}


def rows(data: Path) -> tuple[list[str], Array, dict[str, Array]]:
    """Return the family of each published row, the ops of its network, and KiB of runtime and of code."""
    with (data / "silicon" / "zoo_measured.csv").open(newline="") as file:
        published = list(csv.DictReader(file))
    known = {name: len(simplified(mcusim.load(data / "zoo" / name)).model.ops) for name in
             dict.fromkeys(row["file"] for row in published)}  # fmt: skip
    families = [row["file"].removeprefix("st_").partition("_")[0].partition("v1.1")[0] for row in published]
    ops = np.array([known[row["file"]] for row in published], float)
    runtime, code = (
        np.array([float(row[f"{name}_kib"]) for row in published]) for name in ("runtime_ram", "code_flash")
    )
    return families, ops, {"runtime": runtime, "code": code}


def line(ops: Array, kib: Array) -> Array:
    """Return base and slope with the least sum of squared relative errors."""
    design = np.stack([1 / kib, ops / kib], 1)
    return np.asarray(np.linalg.lstsq(design, np.ones(len(kib)), rcond=None)[0], np.float64)


def left_out(groups: Sequence[object], ops: Array, kib: Array) -> float:
    """Return the mean relative error on groups of rows, each left out of the fit that predicts it."""
    errors = []
    for group in dict.fromkeys(groups):
        out = np.array([other == group for other in groups])
        base, slope = line(ops[~out], kib[~out])
        errors += np.abs((base + slope * ops[out]) / kib[out] - 1).tolist()
    return float(np.mean(errors))


def main() -> None:
    families, ops, measured = rows(Path(os.environ["MCUSIM_DATA"]))
    print(f"{len(ops)} rows, {len({*families})} families")
    for name, kib in measured.items():
        base, slope = line(ops, kib)
        fixed = np.mean(np.abs(FIXED[name] / 1024 / kib - 1))
        print(
            f"{name:8} {base:+.4f} KiB {slope:+.4f} KiB an op; mean error "
            f"{np.mean(np.abs((base + slope * ops) / kib - 1)):.1%}, rows left out "
            f"{left_out(range(len(ops)), ops, kib):.1%}, families left out "
            f"{left_out(families, ops, kib):.1%}, a fixed allowance {fixed:.1%}"
        )


if __name__ == "__main__":
    main()
