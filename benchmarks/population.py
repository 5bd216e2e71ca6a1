"""What sessions of one front save: ``python benchmarks/population.py [--seeds 4] [--steps 2000] [--json]``.

``dynamic`` on MobileNetV2-w0.35 by several seeds: each by itself, with nothing kept; each by itself, with
features that are on the disk; and as a population. Milliseconds for each image of each session, its share of
evaluation included, in one process; they take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from machine import machine

import mcusim
from mcusim.session import features

ROUNDS = 3


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    busy, seeds, steps = machine(), range(arguments.seeds), arguments.steps
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (steps, 32, 32, 3), np.uint8), rng.integers(0, 10, steps)
    data = mcusim.data.from_arrays(images, labels, images[:100], labels[:100])
    model = mcusim.load("mbv2-w0.35", classes=10)
    rest = {"sram": "256KiB", "trace": "off", "evaluate": "end", "sgd": mcusim.Sgd(lr=1e-3)}

    def alone() -> None:
        for seed in seeds:
            mcusim.train(model, "stm32f746", data, 1, "dynamic", seed=seed, **rest)

    def together() -> None:
        mcusim.population(model, "stm32f746", data, 1, seeds=list(seeds), **rest)

    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        ways: dict[str, Callable[[], None]] = {
            "each alone, nothing kept": without_disk(alone),
            "each alone, features on disk": alone,
            "a population": without_disk(together),
        }
        for run in ways.values():
            run()
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, run in ways.items():
                start = perf_counter()
                run()
                times[name].append((perf_counter() - start) * 1000 / steps / len(seeds))
    found = {name: round(median(values), 3) for name, values in times.items()}
    if arguments.json:
        print(json.dumps({**busy, "seeds": len(seeds), "steps": steps, "ms": found}))
        return
    for name, value in found.items():
        print(f"{name:32}{value:8.3f} ms an image and session")
    print(busy)


def without_disk(run: Callable[[], None]) -> Callable[[], None]:
    """Return the same with no features kept on disk."""

    def wrapped() -> None:
        known, features.cache_dir = features.cache_dir, lambda: None  # type: ignore[assignment, return-value]
        try:
            run()
        finally:
            features.cache_dir = known

    return wrapped


if __name__ == "__main__":
    main()
