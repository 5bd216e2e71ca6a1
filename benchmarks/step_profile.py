"""Where a training step goes: ``python benchmarks/step_profile.py [--update dense] [--error int8] [--json]``.

One step of MobileNetV2-w0.35 in SRAM that is large enough, row by row of the table that compiled code walks:
microseconds by action and kind of op, the tenth percentile of many steps, without the call of the row itself.
Beside it stands what the products alone would take: int8 at 16 lanes of four a cycle; float32 multiplied and
then added, each rounded, as the device does it, at 16 lanes a cycle.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from dataclasses import replace
from time import perf_counter
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
from machine import machine

import mcusim
from mcusim.engine.program import Program
from mcusim.engine.state import State
from mcusim.kernels.compiled.driver import _Run
from mcusim.kernels.compiled.fused_prepare import Guarded
from mcusim.kernels.compiled.rows import Rows
from mcusim.lowering.action import Action
from mcusim.lowering.step import StepOp
from mcusim.session.stages import Stages

STEPS, EARLY = 300, 10
LARGE = 4 * 1024**2
"""Bytes of SRAM in which every scheme fits."""
INT8, FLOAT = 236.0, 59.0
"""Products a nanosecond of one core at 3.7 GHz."""


def program(update: str, error: str) -> tuple[Program, Any]:
    """Return a bound step and an input for it."""
    model, board = mcusim.load("mbv2-w0.35", classes=10), mcusim.board("stm32h743")
    region = replace(max(board.sram, key=lambda region: region.bytes), bytes=LARGE)
    session = mcusim.Session(
        model, replace(board, sram=(region,)), update, sgd=mcusim.Sgd(lr=1e-9),
        formats=mcusim.Formats(error=error),
    )  # fmt: skip
    plan = session.plan()
    stages = Stages(plan, session.scheme, State.of(model, plan.step.scope, plan.settings.formats))
    x = np.random.default_rng(0).integers(-128, 128, model.input.shape, np.int8)
    found = stages.program(0)
    found.calibrate(x, 3, tail=False)
    return found, x


def named(bound: Program) -> list[list[str]]:
    """Return for each call of the table what its rows are."""

    def name(op: StepOp, part: int) -> str:
        update = ", update" if part and op.action is not Action.LOSS else ""
        return f"{op.action}{update} {op.source.kind if op.source else ''}".strip()

    single = [
        (row, name(op, part))
        for call, op in zip(bound._quick, bound.step.ops, strict=True)
        for part, row in enumerate(call.rows if isinstance(call, Rows) else (call,))
    ]
    left = iter(single)
    found = []
    for call in bound._whole._calls:
        rows = []
        for each in call.calls if isinstance(call, _Run) else [call]:
            row, label = next(left)
            assert row is each
            guarded = isinstance(getattr(each, "func", None), Guarded)
            rows += [f"{label}, pack", label] if guarded else [label]
        found.append(rows)
    return found


def measure(update: str, error: str) -> dict[str, dict[str, float]]:
    """Return rows and microseconds of each kind."""
    bound, x = program(update, error)
    labels, times = named(bound), []
    for _ in range(STEPS):
        bound._give(x)
        bound._aim(3)
        taken = []
        for call in bound._whole._calls:
            for at in range(call._count if isinstance(call, _Run) else 1):
                start = perf_counter()
                call._walk(at, at + 1) if isinstance(call, _Run) else call()
                taken.append(perf_counter() - start)
        bound._count()
        times.append(taken)
    walk = next(call._walk for call in bound._whole._calls if isinstance(call, _Run))
    empty = []
    for _ in range(1000):
        start = perf_counter()
        walk(0, 0)
        empty.append(perf_counter() - start)
    each = (np.percentile(times, EARLY, axis=0) - np.median(empty)) * 1e6
    found: dict[str, dict[str, float]] = defaultdict(lambda: {"rows": 0, "us": 0.0})
    for label, us in zip((label for rows in labels for label in rows), each, strict=True):
        found[label]["rows"] += 1
        found[label]["us"] += float(us)
    return dict(sorted(found.items(), key=lambda item: -item[1]["us"]))


def products(update: str, error: str) -> float:
    """Return the microseconds that a step's products would take at the rate of the core."""
    works = [op.work for op in program(update, error)[0].step.ops]
    return sum(work.macs / INT8 + work.float_macs / FLOAT for work in works) / 1000


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", default="dynamic")
    parser.add_argument("--error", default="float32")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    busy, found = machine(), measure(arguments.update, arguments.error)
    whole, least = sum(row["us"] for row in found.values()), products(arguments.update, arguments.error)
    if arguments.json:
        print(json.dumps({**busy, "us": whole, "products_us": least, "kinds": found}))
        return
    for name, row in found.items():
        print(f"{name:40}{row['rows']:5.0f}{row['us']:10.1f} us")
    print(f"{'all':45}{whole:10.1f} us, of it products at the rate of the core {least:.0f} us\n{busy}")


if __name__ == "__main__":
    main()
