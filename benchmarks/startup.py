"""How long a first training takes where no kernel was ever compiled, and the second.

    MCUSIM_DATA=… python benchmarks/startup.py [--json]

Each is a process of its own that loads MobileNetV2-w0.35, plans, and takes three steps of ``dynamic``; the
first has an empty folder for machine code. Seconds of the processor: what others do there counts less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from machine import machine

WANTED_S = 7.0
STEPS = """
from time import process_time
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
print(process_time())
"""


def main() -> None:
    """Print both times."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    before = machine()
    with TemporaryDirectory() as folder:
        first, second = (_seconds(folder) for _ in range(2))
    found = {"machine": before, "first_s": first, "second_s": second, "wanted_s": WANTED_S}
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"first {first:.1f} s, second {second:.1f} s (wanted for the first: {WANTED_S}); {before}")


def _seconds(folder: str) -> float:
    environment = os.environ | {"NUMBA_CACHE_DIR": folder}
    run = subprocess.run(
        [sys.executable, "-c", STEPS], env=environment, capture_output=True, text=True, check=True
    )
    return float(run.stdout)


if __name__ == "__main__":
    main()
