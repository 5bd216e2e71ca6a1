"""Alloc and free events a second of the compiled heaps, beside their plain Python twins.

    python benchmarks/allocators.py [--events N] [--json]

Two workloads: ``training``, the allocs and frees of a made-up training step repeated many times
(activations die in order, saved features come back last in, first out), and ``churn``, sizes and
lifetimes drawn at random with about 100 blocks live. Median of five runs after one for compilation,
in seconds of this process, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
from statistics import median
from time import process_time

import numpy as np

from mcusim.memory.heap_replay import ALLOC, FREE, HeapEvents, replay, replay_slowly

CAPACITY = 1 << 20
ALLOCATORS = ("first_fit", "best_fit", "tlsf")
RUNS = 5
TWIN_EVENTS = 50_000


def training(count: int) -> HeapEvents:
    """Return the events of a step of 50 layers, repeated."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(64, 6000, 50)
    rows: list[tuple[int, int, int]] = []
    for layer, size in enumerate(sizes):
        rows += [(ALLOC, 3 * layer, size), (ALLOC, 3 * layer + 1, 2048), (FREE, 3 * layer + 1, 0)]
        rows.append((ALLOC, 3 * layer + 2, size // 8))  # the saved feature
        if layer:
            rows.append((FREE, 3 * layer - 3, 0))
    rows.append((FREE, 3 * 49, 0))
    for layer in range(49, -1, -1):
        rows += [(ALLOC, 150, sizes[layer]), (ALLOC, 151, 512), (FREE, 151, 0)]
        rows += [(FREE, 3 * layer + 2, 0), (FREE, 150, 0)]
    return _events(rows * (count // len(rows) + 1), count)


def churn(count: int) -> HeapEvents:
    """Return random events with about 100 blocks live; half of the frees hit the youngest block."""
    rng = np.random.default_rng(1)
    rows: list[tuple[int, int, int]] = []
    spare, live = list(range(200)), []
    draws, picks = rng.random(count), rng.random(count)
    sizes = rng.integers(16, 4000, count)
    for i in range(count):
        if live and (len(live) >= 100 or draws[i] < 0.45):
            block = live.pop(-1 if picks[i] < 0.5 else int(picks[i] * len(live)))
            spare.append(block)
            rows.append((FREE, block, 0))
        else:
            live.append(spare.pop())
            rows.append((ALLOC, live[-1], int(sizes[i])))
    return _events(rows, count)


def _events(rows: list[tuple[int, int, int]], count: int) -> HeapEvents:
    table = np.array(rows[:count], np.int64)
    return HeapEvents(table[:, 0].astype(np.int8), table[:, 1].astype(np.int32), table[:, 2].copy())


def measure(allocator: str, events: HeapEvents) -> dict[str, float]:
    """Return millions of events a second of both twins, and their ratio."""
    few = HeapEvents(events.kind[:TWIN_EVENTS], events.block[:TWIN_EVENTS], events.size[:TWIN_EVENTS])
    fast, slow = [], []
    replay(allocator, CAPACITY, few)
    for _ in range(RUNS):
        began = process_time()
        replay(allocator, CAPACITY, events)
        fast.append(process_time() - began)
        began = process_time()
        replay_slowly(allocator, CAPACITY, few)
        slow.append(process_time() - began)
    compiled = len(events.kind) / median(fast) / 1e6
    plain = len(few.kind) / median(slow) / 1e6
    return {"compiled_meps": compiled, "python_meps": plain, "ratio": compiled / plain}


def main() -> None:
    """Print one line a workload and allocator, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {}
    for workload in (training, churn):
        events = workload(options.events)
        for allocator in ALLOCATORS:
            row = found[f"{workload.__name__}.{allocator}"] = measure(allocator, events)
            if not options.json:
                print(
                    f"{workload.__name__:9s} {allocator:10s} {row['compiled_meps']:7.2f} M events/s "
                    f"compiled, {row['python_meps']:6.3f} plain: {row['ratio']:5.0f} times"
                )
    if options.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
