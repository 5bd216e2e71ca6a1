"""Carry out an accuracy study and keep its curves: ``python benchmarks/accuracy/run.py NAME.toml``.

The files here are studies as ``mcusim sweep`` takes them, with one axis ``run`` of named runs, to be carried
out from the root of the repository. This program does so in ``runs/accuracy/NAME``, goes on there if it was
killed, and writes what a reader wants to see into the CSV of the same name: a row for each run, seed and
epoch. ``--only RUN`` takes some of the runs, ``--recount`` renews what a plan alone says of finished ones,
after a change of planning. ``boards/unlimited.toml`` is no device, but an upper bound.

Some runs start from networks of this project's own making, in ``runs/models``. ``--prune`` makes the pruned
one; the fit goes through the machine's matrix products, so its last bits, and a few rounded weights, may be
others elsewhere. ``mbv2-long-0.npz`` is a copy of ``model.npz`` in the folder of ``mbv2-long``, seed 0.
``analysis`` holds the gradient norms by which ``mcusim search`` chose the layers of some runs
(``--data cifar10 --steps 1000``).
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import mcusim
from mcusim.core.files import replacing
from mcusim.session.experiment import Experiment
from mcusim.studies.axes import Space

HERE = Path(__file__).parent
RUNS = Path(os.environ.get("MCUSIM_RUNS", "runs"))
PRUNED = "mobilenetv2-1.0-224-160-0.3-512-256.npz"
"""Network, side of the pictures, part that is cut away, examples of the refit and of the calibration."""
AXIS = "run"


def read(path: Path, only: Sequence[str] = ()) -> mcusim.Study:
    """Return a study, with the named runs alone if some are named.

    Raises:
        UnknownName: if there is no such run; suggests the nearest.
    """
    study = mcusim.Study.read(path)
    runs = study.axes[AXIS]
    assert isinstance(runs, list)
    known = {run["label"]: run for run in runs}
    for name in only:
        if name not in known:
            raise mcusim.UnknownName("run", name, known)
    return study.model_copy(update={"axes": {**study.axes, AXIS: [known[n] for n in only or known]}})


def experiments(study: mcusim.Study) -> dict[str, Experiment]:
    """Return the experiment of each run, with the first seed."""
    space = Space(study)
    return {each.values[AXIS]: each.experiment(space.seeds[0]) for each in space.grid()}


def pruned(path: Path, refit: int = 512, calibration: int = 256) -> None:
    """Make MobileNetV2 1.0 at 160 pixels with 30 % of its inner channels pruned, in int8, without labels."""
    from mcusim.compress.quantize.fold import fold
    from mcusim.data import Preprocessor
    from mcusim.files.npz import save

    whole = fold(mcusim.load("mobilenetv2-1.0-224", resolution=160))
    train = mcusim.data.cifar10().train
    prepare = Preprocessor(whole, train.image_shape, train.images.dtype.name)
    images = prepare(train.sample(max(refit, calibration), 0).images)
    small = mcusim.prune(whole, 0.3, residual=False, inputs=images[:refit])
    path.parent.mkdir(parents=True, exist_ok=True)
    save(mcusim.quantize(small, images[:calibration]), path)


def costs(plan: mcusim.Plan) -> dict[str, Any]:
    """Return what a plan alone says of a run: memory, and the time of a step on the device."""
    found = plan.as_dict()
    return {
        "peak_bytes": found["sram"]["peak_bytes"],
        **{f"{role}_bytes": count for role, count in found["sram"]["by_role"].items()},
        "residency": found["sram"]["residency"], "patches": found["sram"]["patches"],
        "step_ms": "" if found["time"] is None else round(found["time"]["step_ms"]["value"], 3),
        "ratio": round(found["weights"]["ratio"], 6),
        "feature_reduction": round(found["features"]["reduction"], 6),
    }  # fmt: skip


def carry_out(study: mcusim.Study, out: Path, workers: int = 1) -> list[dict[str, Any]]:
    """Train what is missing and return a row for each run, seed and epoch."""
    found = mcusim.sweep(study, out, workers=workers, extend=True)
    rows = []
    for point in found.points:
        if point.status != "done" or point.plan is None:
            print(f"{point.values[AXIS]} seed {point.seed}: {point.status} {point.reason}")
            continue
        same = {"run": point.values[AXIS], "seed": point.seed}
        spent = {"wall_s": round(point.wall_s)}
        rows += [{**same, **row, **costs(point.plan), **spent} for row in point.rows]
    return rows


def recount(path: Path) -> None:
    """Plan every run of a result file anew; what was learned and how long it took here stays as it is."""
    wanted = experiments(mcusim.Study.read(path))
    for name, rows in by_run(path.with_suffix(".csv")).items():
        counted = costs(wanted[name].session().plan())
        merge(path.with_suffix(".csv"), [{**row, **counted} for row in rows])


def by_run(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a result file by the run they are of; none if there is no such file."""
    found: dict[str, list[dict[str, Any]]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                found.setdefault(row[AXIS], []).append(row)
    return found


def merge(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Replace the rows of the same runs and seeds in a result file; those of one run stay together."""
    made = {(row[AXIS], str(row["seed"])) for row in rows}
    kept = [row for old in by_run(path).values() for row in old if (row[AXIS], row["seed"]) not in made]
    columns = list(dict.fromkeys(name for row in (*rows, *kept) for name in row))
    places = {name: number for number, name in enumerate(dict.fromkeys(r[AXIS] for r in (*kept, *rows)))}
    ordered = sorted((*kept, *rows), key=lambda row: (places[row[AXIS]], int(row["seed"]), int(row["epoch"])))
    with replacing(path) as file:
        lines = [columns, *([_cell(row.get(name, "")) for name in columns] for row in ordered)]
        file.write("\n".join(",".join(line) for line in lines).encode() + b"\n")


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace(",", ";")


def main(arguments: Iterable[str] | None = None) -> None:
    """Carry out a study and merge its rows into the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?")
    parser.add_argument("--only", action="append", default=[], help="only this run; may be repeated")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--recount", action="store_true", help="renew what a plan says of finished runs")
    parser.add_argument("--prune", action="store_true", help="only make the pruned network")
    given = parser.parse_args(None if arguments is None else list(arguments))
    if given.prune:
        pruned(RUNS / "models" / PRUNED)
        return
    if given.study is None:
        parser.error("which study?")
    path = given.study if given.study.exists() else HERE / given.study
    if given.recount:
        recount(path)
        return
    study = read(path, given.only)
    merge(path.with_suffix(".csv"), carry_out(study, RUNS / "accuracy" / study.name, given.workers))


if __name__ == "__main__":
    main()
