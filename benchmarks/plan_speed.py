"""How long a full plan with cycles takes after import: lowering, placing, work counts, time.

MCUSIM_DATA=… python benchmarks/plan_speed.py [--json]

Also how planning grows: the network with one of its residual blocks repeated, on a board where all fits.
Those are seconds of processor time, the best of three, the first of which may compile.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time

import mcusim

MODEL, BOARDS, UPDATES = "mbv2-w0.35", ("stm32f746", "stm32h743", "stm32l4r5"), ("head", "last-3", "dynamic")
WANTED_MS = 50
BLOCK = "blocks.15."
"""Prefix of the ops that are repeated: pointwise, depthwise, pointwise, addition."""
GROWTH = {(541, "dense"): 1.0, (541, "dynamic"): 1.0, (1981, "dynamic"): 2.0}
"""Ops of the network and scheme -> seconds wanted."""


def main() -> None:
    """Print the median time of a plan for each scheme, in milliseconds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    model = mcusim.load(MODEL, classes=10)
    found = {}
    for update in UPDATES:
        times = []
        for _ in range(arguments.rounds):
            for board in BOARDS:
                start = perf_counter()
                plan = mcusim.Session(model, mcusim.board(board), update).plan()
                assert plan.estimate is not None
                times.append(perf_counter() - start)
        found[update] = {"first_ms": times[0] * 1000, "median_ms": median(times) * 1000}
    grown = {f"{ops} ops, {update}": _grown(model, ops, update) for ops, update in GROWTH}
    if arguments.json:
        plans = {"model": MODEL, "wanted_ms": WANTED_MS, "plans": found, "growth_s": grown}
        print(json.dumps(plans, indent=1))
        return
    for update, row in found.items():
        first, middle = row["first_ms"], row["median_ms"]
        print(f"{update:10} first {first:6.1f} ms, median {middle:6.1f} ms   (wanted: {WANTED_MS})")
    for (name, seconds), wanted in zip(grown.items(), GROWTH.values(), strict=True):
        print(f"{name:20} {seconds:6.2f} s   (wanted: {wanted})")


def _grown(model: mcusim.Model, ops: int, update: str) -> float:
    """Return the seconds of a plan of the network with ``BLOCK`` repeated until it has so many ops."""
    count = sum(op.name.startswith(BLOCK) for op in model.ops)
    grown = deepened(model, (ops - len(model.ops)) // count)
    assert len(grown.ops) == ops
    board = mcusim.board("stm32h743")
    large = 64 * 1024**2
    sectors = (replace(board.flash.sectors[0], count=large // board.flash.sectors[0].bytes),)
    board = replace(
        board,
        sram=(replace(max(board.sram, key=lambda region: region.bytes), bytes=large),),
        flash=replace(board.flash, bytes=large, sectors=sectors),
    )
    times = []
    for _ in range(3):
        start = process_time()
        plan = mcusim.Session(grown, board, update).plan()
        times.append(process_time() - start)
        assert plan.fits
    return min(times)


def deepened(model: mcusim.Model, times: int) -> mcusim.Model:
    """Return the network with the residual block ``BLOCK`` repeated ``times`` more times."""
    tensors = dict(model.tensors)
    block = [op for op in model.ops if op.name.startswith(BLOCK)]
    where = model.ops.index(block[-1]) + 1
    source, result, added = block[0].inputs[0], block[-1].output, []
    last = result
    for number in range(times):
        names = {source: last}
        for op in block:
            for name in (*op.inputs[1:], op.output):
                if name not in names:
                    names[name] = f"{name}+{number}"
                    tensors[names[name]] = replace(tensors[name], name=names[name])
            inputs = tuple(names[name] for name in op.inputs)
            added.append(replace(op, name=f"{op.name}+{number}", inputs=inputs, output=names[op.output]))
        last = added[-1].output
    rest = [
        replace(op, inputs=tuple(last if name == result else name for name in op.inputs))
        for op in model.ops[where:]
    ]
    return replace(model, ops=(*model.ops[:where], *added, *rest), tensors=tensors)


if __name__ == "__main__":
    main()
