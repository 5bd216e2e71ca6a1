"""How long a full plan with cycles takes after import: lowering, placing, work counts, time.

MCUSIM_DATA=… python benchmarks/plan_speed.py [--json]
"""

from __future__ import annotations

import argparse
import json
from statistics import median
from time import perf_counter

import mcusim

MODEL, BOARDS, UPDATES = "mbv2-w0.35", ("stm32f746", "stm32h743", "stm32l4r5"), ("head", "last-3", "dynamic")
WANTED_MS = 50


def main() -> None:
    """Print the median time of a plan for each scheme, in milliseconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    model = mcusim.load(MODEL, classes=10)
    found = {}
    for update in UPDATES:
        times = []
        for _ in range(arguments.rounds):
            for board in BOARDS:
                start = perf_counter()
                plan = mcusim.Session(model, mcusim.board(board), update).plan()
                assert plan.estimate is not None
                times.append(perf_counter() - start)
        found[update] = {"first_ms": times[0] * 1000, "median_ms": median(times) * 1000}
    if arguments.json:
        print(json.dumps({"model": MODEL, "wanted_ms": WANTED_MS, "plans": found}, indent=1))
        return
    for update, row in found.items():
        first, middle = row["first_ms"], row["median_ms"]
        print(f"{update:10} first {first:6.1f} ms, median {middle:6.1f} ms   (wanted: {WANTED_MS})")


if __name__ == "__main__":
    main()
