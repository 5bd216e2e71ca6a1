"""How fast the engine is, against PyTorch and LiteRT: one process, one thread, medians, ratios in one run.

    MCUSIM_DATA=… python benchmarks/engine.py [--json]

Measures MobileNetV2-w0.35 at 128x128, batch 1, and a step of ``dynamic`` on the last 7 blocks in the
arena of 256 KiB. The contestants take turns, so that a change of clock or load meets all of them.
LiteRT runs the same network from its ``.tflite`` file, with XNNPACK.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import numpy as np
import torch
from machine import machine
from torch_twin import TorchTwin

import mcusim
from mcusim.engine.inference import Inference
from mcusim.engine.state import State
from mcusim.session.stages import Stages

MODEL, BOARD, SRAM, UPDATE = "mbv2-w0.35", "stm32f746", "256KiB", "dynamic"
LARGE = 4 * 1024**2
"""Bytes of SRAM in which the steps of other schemes fit."""
TFLITE = "tflite/tinytraining_mbv2-w0.35_128_int8.tflite"
SCHEMES = ("static:mbv2-99kb", "dense", "trady")
"""Other schemes whose steps are compared, in SRAM that is large enough for each."""
RATE = 1e-9
"""So small that the one example, seen thousands of times, is not learned: errors would become denormal."""
WANTED = {"forward_vs_torch": 15.0, "forward_vs_litert": 1.6, "step_vs_torch": 28.0} | {
    f"step_vs_torch, {scheme}": 25.0 for scheme in SCHEMES
}
LONG = 2000
TURN = 20
"""Calls in a row before the next contestant's turn: training, too, runs step after step with warm caches."""


def main() -> None:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for name, value in found["ms"].items():
        print(f"{name:34}{value:10.3f} ms")
    for name, value in found["ratios"].items():
        print(f"{name:34}{value:10.2f} x   (wanted: {WANTED[name]:.2f} or more)")
    for name, value in found["long_run"].items():
        print(f"{name:34}{value:10.3f}")
    print(f"{'evaluation of 10,000 images':34}{found['evaluation_of_10000_images_s']:10.2f} s")
    print(found["machine"])
    print(f"{'largest difference of logits':34}{found['largest_difference_of_logits']:10.2g}")
    print(f"{'times faster than the device':34}{found['times_faster_than_device']:10.0f}")


def measure(rounds: int) -> dict[str, object]:
    """Return medians in milliseconds, ratios (above 1: mcusim is faster) and how steady a long run is."""
    torch.set_num_threads(1)
    busy = machine()
    model = mcusim.load(MODEL, classes=10)
    session = mcusim.Session(model, mcusim.board(BOARD), UPDATE, sram=SRAM, sgd=mcusim.Sgd(lr=1e-4))
    plan = session.plan()
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, model.input.shape, np.int8)
    planes = torch.from_numpy(x.transpose(0, 3, 1, 2).astype(np.float32)).contiguous()

    inference = Inference(model, batch=1)
    stages = Stages(plan, session.scheme, State.of(model, plan.step.scope, plan.settings.formats))
    front = Inference(model, model.ops[: _front(plan)], batch=1)
    boundary = front(x).copy()
    plain = TorchTwin(model).eval()
    learning = TorchTwin(model, session.scheme.select(model, 0, 0))
    label = torch.tensor([3])
    state = stages.program(0).state

    def step() -> None:
        stages.program(state.iteration).run(x, 3)

    def tail() -> None:
        stages.program(state.iteration).run_tail(boundary, 3)

    with torch.no_grad():
        agree = np.abs(inference(x) - plain(planes).numpy()).max()
    contestants = {
        "forward, mcusim": lambda: inference(x),
        "forward, PyTorch fake-quant": torch.no_grad()(lambda: plain(planes)),
        "forward, LiteRT XNNPACK": _litert(x),
        "step in the arena, mcusim": step,
        "step, PyTorch autograd": lambda: learning.step(planes, label, 1e-4),
        "step from cached features, mcusim": tail,
    }
    for scheme in SCHEMES:
        contestants |= _steps(model, scheme, x, planes, label)
    times = take_turns(contestants, rounds)
    ms = {name: median(values) for name, values in times.items()}

    def ratio(peer: str, ours: str) -> float:
        """Return the median of the ratios of the rounds: others on the machine slow both of a round."""
        return median(one / other for one, other in zip(times[peer], times[ours], strict=True))

    steady = long_run(tail)
    seconds = plan.estimate.seconds if plan.estimate is not None else float("nan")
    many = np.repeat(x, 640, axis=0)
    batches = Inference(model)
    batches(many[:16])
    start = perf_counter()
    batches.run(many)
    return {
        "model": MODEL,
        "machine": busy,
        "evaluation_of_10000_images_s": (perf_counter() - start) * 10_000 / len(many),
        "largest_difference_of_logits": float(agree),
        "ms": ms,
        "ratios": {
            "forward_vs_torch": ratio("forward, PyTorch fake-quant", "forward, mcusim"),
            "forward_vs_litert": ratio("forward, LiteRT XNNPACK", "forward, mcusim"),
            "step_vs_torch": ratio("step, PyTorch autograd", "step in the arena, mcusim"),
        }
        | {
            f"step_vs_torch, {scheme}": ratio(f"{scheme} step, PyTorch", f"{scheme} step, mcusim")
            for scheme in SCHEMES
        },
        "long_run": steady,
        "device_ms": seconds * 1000,
        "times_faster_than_device": seconds * 1000 / ms["step in the arena, mcusim"],
    }


def _steps(
    model: mcusim.Model, scheme: str, x: np.ndarray, planes: torch.Tensor, label: torch.Tensor
) -> dict[str, Callable[[], object]]:
    """Return a step of another scheme, and PyTorch's of what the scheme chooses at first."""
    board = mcusim.board("stm32h743")
    region = replace(max(board.sram, key=lambda region: region.bytes), bytes=LARGE)
    session = mcusim.Session(model, replace(board, sram=(region,)), scheme, sgd=mcusim.Sgd(lr=RATE))
    plan = session.plan()
    stages = Stages(plan, session.scheme, State.of(model, plan.step.scope, plan.settings.formats))
    state = stages.program(0).state
    peer = TorchTwin(model, session.scheme.select(model, 0, 0))
    return {
        f"{scheme} step, mcusim": lambda: stages.program(state.iteration).run(x, 3),
        f"{scheme} step, PyTorch": lambda: peer.step(planes, label, RATE),
    }


def take_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the median time of each in each round in milliseconds; a round calls each a few times."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        for _ in range(5):
            run()
    for _ in range(rounds):
        for name, run in contestants.items():
            found = []
            for _ in range(TURN):
                start = perf_counter()
                run()
                found.append(perf_counter() - start)
            times[name].append(median(found) * 1000)
    return times


def long_run(step: Callable[[], None]) -> dict[str, float]:
    """Return how the last quarter of a long run compares with the first, and what the process grew by."""
    times, before = [], _resident()
    for _ in range(LONG):
        start = perf_counter()
        step()
        times.append(perf_counter() - start)
    quarter = LONG // 4
    return {
        "last quarter / first quarter": median(times[-quarter:]) / median(times[:quarter]),
        "process grew by MiB": (_resident() - before) / 1024,
    }


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _front(plan: mcusim.Plan) -> int:
    names = [op.output for op in plan.step.model.ops]
    return names.index(plan.step.boundary) + 1 if plan.step.boundary else 0


def _litert(x: np.ndarray) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    path = Path(os.environ["MCUSIM_DATA"]) / TFLITE
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]
    interpreter.set_tensor(place["index"], x.astype(place["dtype"]))
    return interpreter.invoke


if __name__ == "__main__":
    main()
