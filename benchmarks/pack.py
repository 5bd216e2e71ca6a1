"""The default planner on problems without a byte to spare: MiniMalloc's eleven, and tilings made here.

    MCUSIM_DATA=… python benchmarks/pack.py [--tilings] [--seeds 1] [--write]

``theirs`` are the seconds MiniMalloc's own solver took on a loaded machine of two cores, as measured once
for this project; ``ours`` are those of ``mcusim pack`` with its default planner, the search compiled before,
and ``cpu`` those for which it had a core.
Each may take 100 s. ``--write`` renews ``pack.csv`` beside this file.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path
from time import perf_counter, process_time

import mcusim
from mcusim.memory.csv import read_csv
from mcusim.memory.planners import branch_and_bound
from mcusim.memory.problem import Problem
from mcusim.memory.tilings import tiling

CAPACITY = 1_048_576
THEIRS = {
    "A": 30.9, "B": 17.5, "C": 3.4, "D": 12.8, "E": 13.4, "F": 17.9, "G": 3.8, "H": 5.6, "I": 12.9,
    "J": 3.4, "K": 1.6,
}  # fmt: skip
TILINGS = (50, 100, 200, 500, 1000)
SECONDS = 100.0
LINE = "{:15} {:>6} {:>4} {:>5} {:>8} {:>8} {:>8} {}"
COLUMNS = ("problem", "blocks", "seed", "fits", "ours_s", "ours_cpu_s", "theirs_s", "winner")
TABLE = Path(__file__).with_suffix(".csv")


def solved(problem: Problem, seed: int) -> tuple[mcusim.Solution, float, float]:
    """Return the placement of the default planner, the seconds it took, and those of the processor."""
    began, worked = perf_counter(), process_time()
    solution = mcusim.pack(problem, seed=seed, time_limit_s=SECONDS)
    return solution, perf_counter() - began, process_time() - worked


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tilings", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    branch_and_bound(tiling(20, 0))  # compiles
    rows = []
    problems = {}
    if folder := os.environ.get("MCUSIM_DATA"):
        for name in THEIRS:
            file = Path(folder) / "minimalloc" / f"{name}.{CAPACITY}.csv"
            problems[name] = read_csv(file, capacity=CAPACITY)
    if chosen.tilings:
        problems |= {f"tiling of {count}": tiling(count, 0) for count in TILINGS}
    head = ("problem", "blocks", "seed", "fits", "ours s", "cpu s", "theirs s", "winner")
    print(LINE.format(*head))
    for name, problem in problems.items():
        for seed in range(chosen.seeds):
            solution, seconds, worked = solved(problem, seed)
            row = (name, len(problem.blocks), seed, "yes" if solution.fits else "no", f"{seconds:.2f}",
                   f"{worked:.2f}",
                   THEIRS.get(name, ""), solution.winner)  # fmt: skip
            print(LINE.format(*row), flush=True)
            rows.append(row)
    if chosen.write:
        with TABLE.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(rows)


if __name__ == "__main__":
    main()
