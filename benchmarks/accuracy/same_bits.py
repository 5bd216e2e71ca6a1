"""Do rewrites, overlap and in-place ops change a bit of what the accuracy runs learn? None may.

    MCUSIM_DATA=… python benchmarks/accuracy/same_bits.py [--limit 16] [--only RUN …] [--write]

Every run of every study here trains on a few examples, planned in each of the ways of ``WAYS``, in as much
SRAM as that takes, and then answers as many test images. Losses and trained networks of all ways have to be
the same, bit for bit; a line a run says so, and the exit code is 1 if one differs. ``--write`` keeps them in
``same_bits.csv`` beside this file. ``tests/session`` has the short form, over small networks and all schemes.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path

from run import HERE, experiments, read

import mcusim
from mcusim.session.experiment import Experiment

WAYS = {
    "as planned by default": {},
    "no rewrites": {"simplify": "off"},
    "no overlap": {"overlap": False},
    "nothing in place": {"in_place": False},
    "nothing fused": {"fuse": False},
    "none of these": {"simplify": "off", "overlap": False, "in_place": False, "fuse": False},
}
TABLE = HERE / "same_bits.csv"
HEADER = ("study", "run", "examples", "verdict")
UNLIMITED = str(HERE / "boards" / "unlimited.toml")


def verdict(wanted: Experiment, few: Few, limit: int) -> str:
    """Return which ways learn something else than the first; empty if none does."""
    wanted = replace(wanted, board=UNLIMITED, sram=None, planner="greedy_by_size")
    network = wanted.network()
    data = few(wanted, network.model)
    runs = {}
    for name, way in WAYS.items():
        session = wanted.session(network._replace(settings=replace(network.settings, **way)))
        runs[name] = session.train(data, limit=limit, epochs=1)
    first, *_ = runs.values()
    return ", ".join(name for name, run in runs.items() if not same(first, run))


class Few:
    """A few test images of each data set, which is opened once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[tuple[object, ...], mcusim.data.Dataset] = {}

    def __call__(self, wanted: Experiment, model: mcusim.Model) -> mcusim.data.Dataset:
        """Return the data of an experiment."""
        key = (wanted.data, wanted.front_end, model.input.shape)
        if key not in self._known:
            data = wanted.dataset(model)
            self._known[key] = replace(data, test=data.test.sample(self._limit, 0))
        return self._known[key]


def same(one: mcusim.Run, other: mcusim.Run) -> bool:
    """True if losses, metric and every bit of the trained networks are the same."""
    losses = one.history["loss"].tolist() == other.history["loss"].tolist()
    return losses and one.metric_after == other.metric_after and one.model.same_as(other.model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    wrong, few = 0, Few(chosen.limit)
    rows = [HEADER]
    for path in sorted(HERE.glob("*.toml")):
        for name, wanted in experiments(read(Path(path))).items():
            if chosen.only and name not in chosen.only:
                continue
            try:
                differ = verdict(wanted, few, chosen.limit)
                said = f"other bits: {differ}" if differ else "same bits"
            except mcusim.McusimError as error:
                differ, said = "", f"left out: {error}"
            wrong += bool(differ)
            print(f"{path.stem:14} {name:32} {said}", flush=True)
            rows.append((path.stem, name, str(chosen.limit), said))
            if chosen.write:
                with TABLE.open("w", newline="") as file:
                    csv.writer(file, lineterminator="\n").writerows(rows)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
