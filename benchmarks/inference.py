"""Inference of a large network beside LiteRT: MobileNetV2 1.0 at 224x224, batch 1, one thread.

Loads the file, runs all ops with mcusim, LiteRT with XNNPACK and LiteRT's built-in reference kernels in
turns, and prints medians and ratios. Needs ``MCUSIM_DATA`` and the package ``ai-edge-litert``:

    python benchmarks/inference.py [--json] [--model NAME] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import mcusim
from mcusim.engine.inference import Inference
from mcusim.files.load import find

MODEL = "coral_tf2_mobilenet_v2_1.0_224_ptq"
WANTED = {"reference kernels / mcusim": 20.0, "XNNPACK / mcusim": 1 / 2.5}
TURN = 5


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    found = measure(arguments.model, arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{arguments.model}: loaded in {found['load_s']:.2f} s")
    for name, value in found["ms"].items():
        print(f"{name:28}{value:10.3f} ms")
    for name, value in found["ratios"].items():
        print(f"{name:28}{value:10.2f} x   (wanted: {WANTED[name]:.2f} or more)")
    print(f"outputs equal LiteRT's reference kernels: {found['equal']}")


def measure(name: str, rounds: int) -> dict[str, object]:
    """Return the loading time, median milliseconds, ratios, and whether outputs are equal."""
    path = find(name)
    started = perf_counter()
    model = mcusim.load(str(path))
    load_s = perf_counter() - started
    rng = np.random.default_rng(0)
    ours = Inference(model, batch=1)
    raw = rng.integers(0, 256, model.input.shape, np.uint8)
    # uint8 networks become int8 ones on the way in, by subtracting 128.
    x = (raw.astype(np.int16) - 128).astype(np.int8) if model.input.dtype == "int8" else raw
    reference = _litert(path, OpResolverType.BUILTIN_REF)
    contestants: dict[str, Callable[[], np.ndarray]] = {
        "mcusim": lambda: ours(x),
        "LiteRT XNNPACK": _bound(_litert(path, OpResolverType.AUTO), raw, x),
        "LiteRT reference kernels": _bound(reference, raw, x),
    }
    wanted = contestants["LiteRT reference kernels"]().astype(np.int16)
    shift = 128 if wanted.dtype != ours(x).dtype and wanted.max() > 127 else 0
    equal = bool((ours(x).astype(np.int16).reshape(-1) + shift == wanted.reshape(-1)).all())
    times: dict[str, list[float]] = {key: [] for key in contestants}
    for turn in range(rounds):
        for key, run in contestants.items():
            for _ in range(1 if "reference" in key else TURN):
                start = perf_counter()
                run()
                if turn:
                    times[key].append(perf_counter() - start)
    ms = {key: median(values) * 1000 for key, values in times.items()}
    return {
        "model": name,
        "load_s": load_s,
        "ms": ms,
        "ratios": {
            "reference kernels / mcusim": ms["LiteRT reference kernels"] / ms["mcusim"],
            "XNNPACK / mcusim": ms["LiteRT XNNPACK"] / ms["mcusim"],
        },
        "equal": equal,
    }


def _litert(path: object, resolver: OpResolverType) -> Interpreter:
    interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


def _bound(interpreter: Interpreter, raw: np.ndarray, x: np.ndarray) -> Callable[[], np.ndarray]:
    given = interpreter.get_input_details()[0]
    output = interpreter.get_output_details()[0]["index"]
    value = raw if given["dtype"] is np.uint8 else x

    def run() -> np.ndarray:
        interpreter.set_tensor(given["index"], value)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(output))

    return run


if __name__ == "__main__":
    main()
