"""How long the first training takes where no kernel was ever compiled, and the second.

    MCUSIM_DATA=… python benchmarks/startup.py [--json]

``step``: a process of its own that loads MobileNetV2-w0.35, plans, and takes three steps of ``dynamic``;
``demo``: the whole of ``mcusim demo``. The first of each has an empty folder for machine code. Of each the
seconds that went by, and those of the processor, helpers included: what others do on the machine counts less
there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from machine import machine

WANTED_S = 7.0
STEPS = """
import numpy as np
import mcusim
from mcusim.engine.state import State
from mcusim.session.stages import Stages

model = mcusim.load("mbv2-w0.35", classes=10)
session = mcusim.Session(model, mcusim.board("stm32f746"), "dynamic", sram="256KiB")
plan = session.plan()
stages = Stages(plan, session.scheme, State.of(model, plan.step.scope, plan.settings.formats))
x = np.zeros(model.input.shape, np.int8)
for iteration in range(3):
    stages.program(iteration).run(x, 3)
"""
PROGRAMS = {"step": ["-c", STEPS], "demo": ["-m", "mcusim", "demo", "--json"]}


def main() -> None:
    """Print both times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    before = machine()
    found: dict[str, Any] = {"machine": before, "wanted_s": WANTED_S}
    for name, program in PROGRAMS.items():
        with TemporaryDirectory() as folder:
            found[name] = {turn: _seconds(program, folder) for turn in ("first", "second")}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name in PROGRAMS:
        for turn, (wall, processor) in found[name].items():
            print(f"{turn:7} {name}: {wall:.1f} s, of the processor {processor:.1f} s")
    print(f"wanted for the first demo: {WANTED_S} s; {before}")


def _seconds(program: list[str], folder: str) -> tuple[float, float]:
    """Return the seconds that went by, and those of the processor."""
    environment = os.environ | {"NUMBA_CACHE_DIR": folder}
    before, start = getrusage(RUSAGE_CHILDREN), perf_counter()
    subprocess.run([sys.executable, *program], env=environment, capture_output=True, check=True)
    wall, after = perf_counter() - start, getrusage(RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
