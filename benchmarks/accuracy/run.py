"""Rerun any accuracy run: ``python benchmarks/accuracy/run.py NAME.toml [--seed N]``.

A run is a run file, as ``mcusim plan`` and ``mcusim train`` read it too; its result is a CSV of the same name
with one row an epoch and seed. Runs are resumable: checkpoints lie under ``runs/accuracy/NAME-SEED``, which
is not committed. ``--plan`` trains nothing and says what the run would need; ``--recount`` renews what a plan
alone says of finished runs, after a change of planning. The table ``[tool.accuracy]`` holds what only this
program reads: seeds, and what is done to the network first. ``unconstrained = true``
there gives the board unlimited memory, so that ``sram`` may be more than it has: an upper bound, no device.
``analysis`` holds the gradient norms by which ``mcusim search`` chose the layers of some runs
(``--data cifar10 --steps 1000``).
"""

from __future__ import annotations

import argparse
import csv
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

import mcusim
from mcusim.core.files import replacing
from mcusim.planning.unconstrained import unconstrained
from mcusim.session.experiment import Experiment

HERE = Path(__file__).parent
RUNS = Path(os.environ.get("MCUSIM_RUNS", "runs"))


class Pruning(BaseModel):
    """How a float network is made smaller and then int8, without labels: ``mcusim prune``, ``quantize``."""

    model_config = ConfigDict(extra="forbid")
    ratio: float
    residual: bool = False
    refit_images: int = 512
    calibration_images: int = 256


class Own(BaseModel):
    """What a run file says to this program alone, in its table ``[tool.accuracy]``."""

    model_config = ConfigDict(extra="forbid")
    seeds: list[int] = Field(default_factory=lambda: [0])
    prune: Pruning | None = None
    after: str = ""
    """Name of a run whose trained network, of the same seed, this one goes on with: a second session."""
    unconstrained: bool = False


def read(path: Path) -> tuple[Experiment, Own]:
    """Return what a run file holds."""
    tools = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    return Experiment.from_dict(Experiment.read(path)), Own(**tools.get("accuracy", {}))


def prepared(wanted: Experiment, own: Own, seed: int) -> Experiment:
    """Return the experiment of one seed, on the network that was pruned, or trained before.

    A pruned network is made once and kept with the runs. The fit goes through the machine's matrix products,
    so its last bits, and a few rounded weights, may be others elsewhere; the file that is made says what a
    run was made with.
    """
    wanted = replace(wanted, seed=seed)
    if own.after:
        trained = RUNS / "accuracy" / f"{own.after}-{seed}" / "model.npz"
        if not trained.exists():
            raise SystemExit(f"{trained} is missing: run {own.after}.toml --seed {seed} first")
        return replace(wanted, model=str(trained), classes=None, head=None, resolution=None)
    if own.prune is None:
        return wanted
    prune = own.prune
    name = f"{wanted.model}-{wanted.resolution}-{prune.ratio:g}-{prune.refit_images}"
    path = RUNS / "models" / f"{name}-{prune.calibration_images}{'-residual' if prune.residual else ''}.npz"
    if not path.exists():
        from mcusim import prune as pruned
        from mcusim import quantize
        from mcusim.compress.quantize.fold import fold
        from mcusim.data import Preprocessor
        from mcusim.files.npz import save

        whole = fold(mcusim.load(str(wanted.model), resolution=wanted.resolution))
        train = wanted.dataset(whole).train
        prepare = Preprocessor(whole, train.image_shape, train.images.dtype.name)
        images = prepare(train.sample(max(prune.refit_images, prune.calibration_images), 0).images)
        small = pruned(whole, prune.ratio, residual=prune.residual, inputs=images[: prune.refit_images])
        path.parent.mkdir(parents=True, exist_ok=True)
        save(quantize(small, images[: prune.calibration_images]), path)
    return replace(wanted, model=str(path), resolution=None)


def session(wanted: Experiment, own: Own, seed: int) -> mcusim.Session:
    """Return the session of one seed."""
    ready = prepared(wanted, own, seed)
    board = unconstrained(ready.target()) if own.unconstrained else ready.target()
    return mcusim.Session(ready.network().model, board, settings=ready.settings)


def run(path: Path, seed: int, quiet: bool) -> list[dict[str, Any]]:
    """Train one seed, from its checkpoint if there is one, and return its rows."""
    wanted, own = read(path)
    current = session(wanted, own, seed)
    out = RUNS / "accuracy" / f"{path.stem}-{seed}"
    started = time.perf_counter()

    def tell(counts: dict[str, Any]) -> None:
        if counts["position"] == 0 and not quiet:
            print(
                f"{path.stem} seed {seed} epoch {counts['epoch']}/{counts['epochs']} "
                f"train {counts['train']:.4f} test {counts['test']:.4f} "
                f"{time.perf_counter() - started:.0f} s",
                flush=True,
            )

    resume = (out / "checkpoint.npz").exists()
    result = current.train(
        wanted.dataset(current.model), recipe=wanted.training, out=out, resume=resume, progress=tell
    )
    wall = {"wall_s": round(time.perf_counter() - started)}
    return [{"seed": seed, **row, **costs(result.plan), **wall} for row in result.rows]


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


def recount(path: Path) -> None:
    """Plan every seed of a result file anew; what was learned and how long it took here stays as it is."""
    wanted, own = read(path)
    own = own.model_copy(update={"after": ""})  # what was learned before changes no plan
    with path.with_suffix(".csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for seed in {int(row["seed"]) for row in rows}:
        counted = costs(session(wanted, own, seed).plan())
        mine = [row for row in rows if row["seed"] == str(seed)]
        merge(path.with_suffix(".csv"), [{**row, **counted, "wall_s": row["wall_s"]} for row in mine])


def main() -> None:
    """Run the seeds asked for and merge their rows into the CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--seed", type=int, action="append", help="only this seed; may be repeated")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--plan", action="store_true", help="only say what a step needs, and whether it fits")
    parser.add_argument("--recount", action="store_true", help="renew what a plan says of finished runs")
    arguments = parser.parse_args()
    path = arguments.config if arguments.config.exists() else HERE / arguments.config
    wanted, own = read(path)
    seeds = arguments.seed or own.seeds
    if arguments.plan:
        print(f"{path.stem}: {session(wanted, own, seeds[0]).plan()!r}")
        return
    if arguments.recount:
        recount(path)
        return
    for seed in seeds:
        merge(path.with_suffix(".csv"), run(path, seed, arguments.quiet))


def merge(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace the rows of the same seeds in a result file."""
    seeds = {str(row["seed"]) for row in rows}
    kept: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [row for row in csv.DictReader(file) if row["seed"] not in seeds]
    with replacing(path) as file:
        lines = [",".join(rows[0])]
        lines += [
            ",".join(_cell(row.get(key, "")) for key in rows[0])
            for row in sorted([*kept, *rows], key=lambda r: (int(r["seed"]), int(r["epoch"])))
        ]
        file.write("\n".join(lines).encode() + b"\n")


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace(",", ";")


if __name__ == "__main__":
    main()
