"""Seven int8 networks beside LiteRT with XNNPACK, bit-exact ``tflite`` profile, batch 1, one thread.

    MCUSIM_DATA=… python benchmarks/xnnpack.py [--json]

The contestants take turns; the ratio of the shortest times is what survives a busy machine best. Each is
given its input anew in every call and leaves the output where it can be read.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, median
from time import perf_counter

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from machine import machine

import mcusim
from mcusim.engine.inference import Inference

MODELS = (
    "mlperftiny_kws_ref_model",
    "mlperftiny_ic_pretrainedResnet_quant",
    "mlperftiny_vww_96_int8",
    "mlperftiny_ad01_int8",
    "tinytraining_mbv2-w0.35_128_int8",
    "tflm_mobilenet_v2_quantized_1x3x224x224",
    "tinyengine_mcunetv2_large",
)
WANTED = 1.2
"""Geometric mean of XNNPACK's time over mcusim's."""
SHORT_S = 0.01
"""What a contestant calls in one turn takes about so long."""


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    before = machine()
    found = {name: measure(name, arguments.rounds) for name in MODELS}
    mean = geometric_mean(row["ratio_of_minima"] for row in found.values())
    if arguments.json:
        print(json.dumps({"machine": before, "models": found, "geometric_mean": mean}, indent=1))
        return
    for name, row in found.items():
        print(f"{name:42}" + "".join(f"  {key} {value:.2f}" for key, value in row.items()))
    print(f"geometric mean {mean:.2f} (wanted: {WANTED}); {before}")


def measure(name: str, rounds: int) -> dict[str, float]:
    """Return times in microseconds, and how many times faster than XNNPACK mcusim is."""
    path = Path(os.environ["MCUSIM_DATA"]) / "tflite" / f"{name}.tflite"
    model, rng = mcusim.load(str(path)), np.random.default_rng(0)
    x = rng.integers(-128, 128, model.input.shape).astype(model.input.dtype)
    ours = Inference(model, batch=1)
    theirs = Interpreter(str(path), num_threads=1)
    theirs.allocate_tensors()
    given = theirs.get_input_details()[0]
    index, value = given["index"], x.astype(given["dtype"]).reshape(given["shape"])

    def run_theirs() -> None:
        theirs.set_tensor(index, value)
        theirs.invoke()

    runs: dict[str, Callable[[], object]] = {"mcusim": lambda: ours(x), "xnnpack": run_theirs}
    times: dict[str, list[float]] = {key: [] for key in runs}
    for key, run in runs.items():
        run()
        times[key].append(_timed(run))
    turns = {key: max(1, int(SHORT_S / found[0])) for key, found in times.items()}
    for _ in range(rounds):
        for key, run in runs.items():
            times[key] += [_timed(run) for _ in range(turns[key])]
    low = {key: min(found) * 1e6 for key, found in times.items()}
    middle = {key: median(found) * 1e6 for key, found in times.items()}
    return {
        "mcusim_us": middle["mcusim"],
        "xnnpack_us": middle["xnnpack"],
        "ratio": middle["xnnpack"] / middle["mcusim"],
        "ratio_of_minima": low["xnnpack"] / low["mcusim"],
    }


def _timed(run: Callable[[], object]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


if __name__ == "__main__":
    main()
