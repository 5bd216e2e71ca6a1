"""Activation memory of ST's model zoo, beside what ST publishes of X-CUBE-AI.

    MCUSIM_DATA=… python benchmarks/zoo_memory.py

Theirs is the column "activation RAM" of the zoo, ours the peak of an inference as it is planned by default:
input, output and scratch of kernels counted, stack and statics not (ST lists those as runtime RAM).
``apart`` is the same where no output grows over its input. The last column says what is live at our
peak: the op, whole tensors, less what they share, and scratch. The last lines are the medians of families.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from statistics import median
from typing import NamedTuple

import mcusim
from mcusim.core import Role
from mcusim.lowering.lower import lower_inference
from mcusim.lowering.step import Step
from mcusim.memory.planners import PLANNERS
from mcusim.simplify import simplified


class Row(NamedTuple):
    """One file under one version of X-CUBE-AI; boards do not matter."""

    file: str
    version: str
    theirs: int
    ours: int
    apart: int
    peak: str

    @property
    def more(self) -> float:
        """How much more ours is, as a fraction; negative if it is less."""
        return self.ours / self.theirs - 1

    @property
    def family(self) -> str:
        """Kind of network, by the name of its file."""
        name = self.file.removeprefix("st_").split("_v1")[0].partition("_")[0]
        return name.removesuffix("v1.1")


def needed(path: Path) -> tuple[int, int, str]:
    """Return the bytes that an inference needs without runtime, those without overlap, and the peak."""
    model = simplified(mcusim.load(path)).model
    steps = [lower_inference(model, overlap=overlap) for overlap in (True, False)]
    ours, apart = (PLANNERS["best"](step.problem()) for step in steps)
    return ours.height, apart.height, peak(steps[0], ours)


def peak(step: Step, solution: mcusim.Solution) -> str:
    """Return what is live when most is: whole tensors, less what they share, and scratch."""
    profile = step.live_profile(solution.offsets)
    time = profile.index(max(profile))
    op = step.ops[time]
    tensors = [t for t in step.tensors.values() if time in t.lifetime]
    scratch = sum(t.bytes for t in tensors if t.role is Role.SCRATCH)
    whole = sorted((t.bytes for t in tensors if t.role is not Role.SCRATCH), reverse=True)
    shared = scratch + sum(whole) - profile[time]
    kind = op.work.kind if op.pool is None else f"{op.work.kind} with pool"
    parts = " + ".join(f"{count:,}" for count in whole) + (f" - {shared:,}" if shared else "")
    return f"{kind}: {parts}" + (f" + scratch {scratch:,}" if scratch else "")


def rows(data: Path) -> list[Row]:
    """Return a row for each file and version in the published table, in its order."""
    with (data / "silicon" / "zoo_measured.csv").open(newline="") as file:
        published = list(csv.DictReader(file))
    ours: dict[str, tuple[int, int, str]] = {}
    found: dict[Row, None] = {}
    for cells in published:
        name = cells["file"]
        if name not in ours:
            ours[name] = needed(data / "zoo" / name)
        theirs = round(float(cells["activation_ram_kib"]) * 1024)
        found[Row(name, cells["stm32cubeai_version"], theirs, *ours[name])] = None
    return list(found)


def table(found: list[Row]) -> str:
    """Return the rows in Markdown, and what they come to."""
    lines = [
        "| network | X-CUBE-AI | theirs, B | ours, B | | apart, B | ours at its peak |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    lines += [
        f"| {r.file.removesuffix('.tflite')} | {r.version} | {r.theirs:,} | {r.ours:,} | {r.more:+.1%} "
        f"| {r.apart:,} | {r.peak} |"
        for r in found
    ]
    shares = [r.more for r in found]
    least, most = min(shares), max(shares)
    lines += ["", f"{len(found)} rows: median {median(shares):+.1%}, most {most:+.1%}, least {least:+.1%}"]
    for family in dict.fromkeys(r.family for r in found):
        mine = [r for r in found if r.family == family]
        by_version = {
            v: median(r.more for r in mine if r.version == v) for v in dict.fromkeys(r.version for r in mine)
        }
        listed = ", ".join(f"{share:+.1%} with {version}" for version, share in by_version.items())
        lines.append(f"{family}: median {median(r.more for r in mine):+.1%}; {listed}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(rows(Path(os.environ["MCUSIM_DATA"]))))
