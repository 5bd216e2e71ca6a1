"""How long an epoch takes, and how much two runs side by side slow each other: ratios of one run.

    MCUSIM_DATA=… python benchmarks/training.py [--steps 10000] [--json]

``dynamic`` in the last 7 blocks of MobileNetV2-w0.35, 2 % of the weights, batch 1, in the arena, from cached
features of the frozen front. Each run is a process of its own with one thread. First one runs alone, then two
at the same time, then one alone again. The pace is that of the training loop; compiling and evaluating are
left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from statistics import fmean
from time import perf_counter
from typing import Any

EPOCH = 50_000
WANTED_S, WANTED_RATIO = 90.0, 1.25


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        print(train(arguments.steps, arguments.worker))
        return
    together(1, 1)  # compiles, and fills the cache of the test images
    together(2, arguments.steps)  # fills the caches of both workers' training images
    first, pair, second = (together(count, arguments.steps) for count in (1, 2, 1))
    alone = fmean([*first, *second])
    found = {
        "epoch_s": alone * EPOCH / arguments.steps,
        "step_ms": 1000 * alone / arguments.steps,
        "side_by_side_vs_alone": max(pair) / alone,
        "alone_again_vs_alone": second[0] / first[0],
    }
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"an epoch of {EPOCH:,} steps    {found['epoch_s']:8.1f} s   (wanted: {WANTED_S:.0f} or less)")
    print(f"a step                     {found['step_ms']:8.3f} ms")
    print(
        f"two side by side           {found['side_by_side_vs_alone']:8.2f} x of one alone "
        f"(wanted: {WANTED_RATIO} or less)"
    )
    print(f"one alone, once more       {found['alone_again_vs_alone']:8.2f} x, the noise of this machine")


def together(count: int, steps: int) -> list[float]:
    """Return the seconds that each of ``count`` runs started at once takes for its steps."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    call = [sys.executable, __file__, "--steps", str(steps), "--worker"]
    running = [
        subprocess.Popen([*call, str(seed)], stdout=subprocess.PIPE, text=True, env=environment)
        for seed in range(count)
    ]
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit("a run failed; see above")
    return [float(output.split()[-1]) for output in outputs]


def train(steps: int, seed: int) -> float:
    """Return the seconds that ``steps`` training steps take, by the pace between two reports."""
    import mcusim
    from mcusim.data import cifar10

    data = cifar10()
    data = replace(
        data, test=replace(data.test, images=data.test.images[:100], labels=data.test.labels[:100])
    )
    model = mcusim.load("mbv2-w0.35", classes=10, seed=seed)
    session = mcusim.Session(model, mcusim.board("stm32f746"), update="dynamic", sram="256KiB", seed=seed)
    marks: list[tuple[int, float]] = []

    def tell(counts: dict[str, Any]) -> None:
        if counts["position"]:
            marks.append((counts["position"], perf_counter()))

    session.train(
        data,
        1,
        limit=max(steps, 1000),
        augmentation=mcusim.Augmentation(flip=True),
        trace="off",
        progress=tell,
    )
    (first, started), (last, ended) = marks[0], marks[-1]
    return (ended - started) * steps / (last - first)


if __name__ == "__main__":
    main()
