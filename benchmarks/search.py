"""What ``mcusim search --train`` chooses on seven tasks, and what it costs.

    python benchmarks/search.py [TASK …] [--workers 2] [--runs FOLDER]

MobileNetV2-w0.35 in 256 KiB. Each search is one command, printed as it is run: gradient norms, plans, and
trainings compared on validation examples, with choices by hand beside them. No test example is looked
at. ``search.csv`` keeps what was tried and what it took; the studies ``searched.toml``, ``searched-160.toml``
and ``searched-sets.toml`` train the winners to the end beside the choices by hand. A search goes on where it
was stopped.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

TABLE = Path(__file__).with_suffix(".csv")
EVERY = "-m mbv2-w0.35 --sram 256KiB --errors int16 --weights int8+res8 --bias int32+res8"
SMALL = (
    "-b nrf52840 --resolution 64 --patches off --planner greedy_by_size --residency flash --blocks 12"
    " --bias-blocks 0,6,12 --epochs 2 --limit 750 --warmup 0.1 --validation 0.2 --seeds 3"
    " --most 8 --rates 0.002,0.003,0.005"
    " --also dynamic:ratio=0.1,stage=200,trady,last-3"
)
"""As the study ``table.toml``; its best schemes by hand are beside them. Few pictures, so three seeds."""
CIFAR = (
    "-b stm32f746 --data cifar10 --classes 10 --residency flash --planner greedy_by_size --blocks 10"
    " --bias-blocks 0,9,12 --stage 10000 --head-rate 1.5 --warmup 0.5 --flip --shift 3 --variants 1000"
    " --most 8 --around 4 --also static:mbv2-99kb"
)
TASKS = {
    "CIFAR-10": f"{CIFAR} --patches 3:blocks.1.pointwise2 --epochs 9 --limit 12000 --rates 0.001,0.0014",
    "CIFAR-10 at 160": f"{CIFAR} --pixels 32 --resolution 160 --epochs 8 --rates 0.001",
    "CIFAR-10 at 64": f"{SMALL} --data cifar10 --classes 10",
    "people in fog": f"{SMALL} --data vww-1000?corruption=fog --classes 2",
    "shapes in noise": f"{SMALL} --data synthetic?corruption=gaussian-noise --classes 10",
    "people": f"{SMALL} --data vww-1000 --classes 2",
    "shapes": f"{SMALL} --data synthetic --classes 10",
}
HEADER = (
    "task", "choice", "update", "lr", "status", "seeds", "epochs", "validation", "peak_bytes", "step_ms",
    "cpu_s",
)  # fmt: skip


def searched(task: str, folder: Path, workers: int) -> list[dict[str, Any]]:
    """Run the search of a task; return a row for each choice that was trained, the best first."""
    name = task.replace(" ", "-").lower()
    where = f"--analysis {folder / name}.json --train {folder / name}"
    line = f"mcusim search {EVERY} {TASKS[task]} --workers {workers} {where} --json"
    print(line, flush=True)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    done = subprocess.run([sys.executable, "-m", *shlex.split(line)], check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{perf_counter() - started:.0f} s, {cpu:.0f} of a core", flush=True)
    rows = ranked(task, json.loads(done.stdout)["trained"]["points"], folder / name)
    rows[0]["cpu_s"] = round(cpu)
    return rows


def ranked(task: str, points: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return a row for each choice, the mean of its seeds, the best first."""
    alike: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for row in points:
        alike.setdefault((row["choice"], row["lr"]), []).append(row)
    rows = [
        {
            "task": task, "choice": choice, "update": _update(folder / mine[0]["folder"]), "lr": lr,
            "status": mine[0]["status"], "seeds": len(mine), "epochs": mine[0]["epochs"],
            "validation": fmean(row["chosen"] or 0 for row in mine), "peak_bytes": mine[0]["peak_bytes"],
            "step_ms": mine[0]["step_ms"],
        }
        for (choice, lr), mine in alike.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row["status"] != "done", -row["epochs"], -row["validation"]))


def _update(folder: Path) -> str:
    """Return the scheme of a run."""
    update: str = json.loads((folder / "point.json").read_text())["experiment"]["update"]
    return update


def main() -> None:
    """Search, and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; all if not given")
    parser.add_argument(
        "--runs", type=Path, default=Path("runs/search"), help="folder that keeps the trainings"
    )
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    for task in arguments.tasks:
        if task not in TASKS:
            parser.error(f"no task {task!r}; there are {', '.join(TASKS)}")
    arguments.runs.mkdir(parents=True, exist_ok=True)
    kept: dict[str, list[dict[str, Any]]] = {}
    if TABLE.exists():
        with TABLE.open(newline="") as file:
            for row in csv.DictReader(file):
                kept.setdefault(row["task"], []).append(row)
    for task in arguments.tasks or TASKS:
        kept[task] = searched(task, arguments.runs, arguments.workers)
        with TABLE.open("w", newline="") as file:
            table = csv.DictWriter(file, HEADER, lineterminator="\n")
            table.writeheader()
            table.writerows(row for name in TASKS for row in kept.get(name, []))
        best = kept[task][0]
        print(
            f"{task}: {best['choice']}, {best['update']}, lr {best['lr']}: {best['validation']:.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
