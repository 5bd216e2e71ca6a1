"""How fast single kernels are: one thread, batch 1, medians of CPU time.

    MCUSIM_DATA=… python benchmarks/kernels.py [--json] [--model mbv2-w0.35]

Measures the forward of every op of a public network, forward and backward of its last blocks as a
learning tail, and what a call from Python costs beyond the arithmetic.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import thread_time

os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np

from mcusim.files.graph_json import load_graph_json
from mcusim.graph import CONVOLUTIONS, Arithmetic, Op, OpKind, Quant, Tensor
from mcusim.kernels import backward
from mcusim.kernels.compiled.prepared import Workspace
from mcusim.kernels.forward import forward

TAIL_CONVOLUTIONS = 21
"""The last seven blocks: three convolutions each."""


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", default="mbv2-w0.35")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    path = Path(os.environ["MCUSIM_DATA"]) / "models" / f"{arguments.model}-int8.json"
    found = measure(path, arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found.items():
        print(f"{name:44}{value:10.1f} us")


def microseconds(call: Callable[[], object], rounds: int) -> float:
    """Return the median CPU time of a call."""
    times = []
    for _ in range(rounds):
        start = thread_time()
        call()
        times.append(thread_time() - start)
    return median(times) * 1e6


def measure(path: Path, rounds: int) -> dict[str, float]:
    """Return medians in microseconds by name."""
    model, workspace = load_graph_json(path), Workspace()
    rng = np.random.default_rng(0)
    values = {model.inputs[0]: rng.integers(-128, 128, model.input.shape).astype(np.int8)}
    calls: list[tuple[Op, Callable[[], object]]] = []
    for op in model.ops:
        values[op.output] = np.empty(model.tensors[op.output].shape, np.int8)
        inputs = tuple(values[n] for n in op.inputs if n in values)
        kernel = forward(op, model.tensors, model.arithmetic, workspace=workspace)
        output = values[op.output]
        calls.append((op, lambda kernel=kernel, inputs=inputs, output=output: kernel(inputs, output)))

    def everything() -> None:
        for _, call in calls:
            call()

    everything()
    found = {"forward, all ops": microseconds(everything, rounds)}
    by_kind: dict[str, float] = defaultdict(float)
    for op, call in calls:
        kind = str(op.kind)
        if op.weight is not None and model.tensors[op.weight].shape[1:3] == (1, 1):
            kind = "pointwise"
        by_kind[kind] += microseconds(call, rounds)
    found |= {f"forward, {kind}": time for kind, time in sorted(by_kind.items())}
    convolutions = [op for op in model.ops if op.kind in CONVOLUTIONS and op.name != model.head]
    tail: dict[str, float] = defaultdict(float)
    for op in convolutions[-TAIL_CONVOLUTIONS:]:
        for name, call in learning(op, model, values, workspace).items():
            call()
            tail[name] += microseconds(call, rounds)
    found |= {f"learning tail, {name}": time for name, time in tail.items()}
    found["one call from Python"] = overhead(rounds)
    return found


def learning(op: Op, model, values, workspace) -> dict[str, Callable[[], object]]:
    """Return the calls of one learning layer: forward with a mask, and its three gradients."""
    x, y, t = values[op.inputs[0]], values[op.output], model.tensors
    weight, bias = (t[n].data.copy() for n in op.inputs[1:])
    depthwise = weight.shape[0] == 1 and t[op.inputs[1]].quant.axis == 3
    mask = np.zeros(-(-y.size // 8), np.uint8)
    channels = np.arange(max(1, x.shape[-1] // 8), dtype=np.int32)
    features = np.ascontiguousarray(x[..., channels])
    g = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    g_x, g_b = np.empty(x.shape, np.float32), np.empty(y.shape[-1], np.float32)
    g_w = np.empty((len(channels), *weight.shape[1:3], 1 if depthwise else y.shape[-1]), np.float32)
    run = forward(op, t, model.arithmetic, frozen=False, workspace=workspace)
    to_input, to_weight, to_bias = (
        make(op, t, model.arithmetic, workspace=workspace)
        for make in (backward.grad_input, backward.grad_weight, backward.grad_bias)
    )
    return {
        "forward": lambda: run((x, weight, bias), y, mask),
        "grad_input": lambda: to_input(g, 1.0, mask, (weight,), g_x, 1.0, False),
        "grad_weight, 1/8 of the channels": lambda: to_weight(g, 1.0, mask, features, channels, g_w),
        "grad_bias": lambda: to_bias(g, 1.0, mask, g_b),
    }


def overhead(rounds: int) -> float:
    """Return the time of a call that has nearly nothing to compute."""
    tensors = {n: Tensor(n, (1, 16), "int8", Quant.of(1.0)) for n in "abc"}
    kernel = forward(Op("add", OpKind.ADD, ("a", "b"), "c"), tensors, Arithmetic.FLOAT)
    a, b, c = (np.zeros((1, 16), np.int8) for _ in range(3))
    inputs = (a, b)

    def many() -> None:
        for _ in range(1000):
            kernel(inputs, c)

    many()
    return microseconds(many, rounds) / 1000


if __name__ == "__main__":
    main()
