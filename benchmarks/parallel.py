"""What cores make of a study.

    python benchmarks/parallel.py [--workers 2] [--steps 20000] [--turns 1] [--dask]

The same runs one after the other, in processes, and with ``--dask`` on workers of a local cluster: efficiency
is the time of the first over that of the others times the workers. Each begins with compiled kernels and data
that are kept. A process takes some seconds to start, so the fewer steps, the less there is to see; and
efficiency on a machine that others use too is theirs as well: the load is printed beside it. With
several turns each way has its turn in each of them, and what is told is the median.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from machine import machine

import mcusim


def study(runs: int, steps: int) -> dict[str, Any]:
    """Return a study of equal runs."""
    return {
        "name": "parallel",
        "base": {
            "model": "synthetic-mbv2", "board": "nrf52840", "data": "synthetic", "update": "dynamic",
            "training": {
                "epochs": max(1, steps // 4000), "limit": min(steps, 4000), "trace": "off", "evaluate": "end",
            },
        },
        "axes": {"seed": list(range(runs))},
    }  # fmt: skip


def seconds(wanted: dict[str, Any], **where: Any) -> float:
    """Return how long the study takes in a new folder."""
    with tempfile.TemporaryDirectory() as folder:
        started = perf_counter()
        found = mcusim.sweep(wanted, Path(folder) / "study", **where)
        taken = perf_counter() - started
    if found.count("done") != len(wanted["axes"]["seed"]):
        raise SystemExit("not every run was done")
    return taken


def on_dask(wanted: dict[str, Any], workers: int) -> float:
    """Return how long it takes on a local cluster that has started."""
    import dask
    from distributed import LocalCluster

    # Scheduler, nannies and workers share these cores; each looks fifty times a second whether it is late.
    seldom = {"distributed.admin.tick.interval": "1s"}
    with (
        dask.config.set(seldom),
        LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster,
    ):
        return seconds(wanted, scheduler=cluster.scheduler_address)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, help="runs of the study; four a worker if not given")
    parser.add_argument("--steps", type=int, default=20_000, help="of a run")
    parser.add_argument("--dask", action="store_true", help="on a local cluster too")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    wanted = study(arguments.runs or 4 * arguments.workers, arguments.steps)
    seconds(study(1, 10))  # compiles, and unpacks the data
    ways: dict[str, Callable[[], float]] = {
        "one process": lambda: seconds(wanted),
        f"{arguments.workers} processes": lambda: seconds(wanted, workers=arguments.workers),
    }
    if arguments.dask:
        ways[f"Dask, {arguments.workers} workers"] = lambda: on_dask(wanted, arguments.workers)
    turns = [{where: measured() for where, measured in ways.items()} for _ in range(arguments.turns)]
    taken = {where: median(turn[where] for turn in turns) for where in ways}
    alone = taken["one process"]
    found = {
        where: {"seconds": round(time, 2), "efficiency": round(alone / time / arguments.workers, 3)}
        for where, time in taken.items()
        if where != "one process"
    }
    if arguments.json:
        print(json.dumps({**machine(), "one process": {"seconds": round(alone, 2)}, **found}))
        return
    print(f"{machine()['cpu']}, load {machine()['load']}\n| where | s | efficiency |\n|---|---:|---:|")
    print(f"| one process | {alone:.1f} | |")
    for where, row in found.items():
        print(f"| {where} | {row['seconds']:.1f} | {row['efficiency']:.2f} |")


if __name__ == "__main__":
    main()
