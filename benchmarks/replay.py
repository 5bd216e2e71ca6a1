"""How fast traces are recorded and replayed: events a second, beside plain Python in the same run.

    python benchmarks/replay.py [--steps 5000] [--json]

Medians of several rounds, one process, one thread. The trace is a session whose step sizes change
every step, so no round can remember another. The plain Python replay is the ledger, event by
event, on the first steps of the same trace.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mcusim import Trace, TraceFile, replay
from mcusim.core import Interval, Role
from mcusim.events import EventKind, EventTable, Header, NullSink, Sink, TableSink
from mcusim.memory import PLANNERS, Block, Ledger, Problem, heap_replay
from mcusim.traces import OpSpan, Recorder, StepTemplate, step_template
from mcusim.traces.reallocating import heap_events
from mcusim.traces.source import Source

OPS = 120
PLANS = 32
ROUNDS = 5
PYTHON_EVENTS = 100_000


def plans(seed: int = 0) -> list[StepTemplate]:
    """Return templates of a training step's shape: a forward chain, saved features, a backward chain."""
    rng = np.random.default_rng(seed)
    spans = [OpSpan(f"op{i}", "forward" if i < OPS // 2 else "backward", 1000) for i in range(OPS)]
    templates = []
    for _ in range(PLANS):
        blocks = []
        for op in range(OPS):
            role = Role.ACTIVATION if op < OPS // 2 else Role.ERROR
            size = int(rng.integers(500, 60_000))
            blocks.append(Block(f"t{op}", size, Interval(op, min(op + 2, OPS)), role))
            if op < OPS // 2:
                size = int(rng.integers(50, 2_000))
                blocks.append(Block(f"f{op}", size, Interval(op, OPS - op), Role.FEATURE))
        problem = Problem(tuple(blocks), align=8)
        solution = PLANNERS["greedy_by_size"](problem)
        templates.append(step_template(problem, solution, spans))
    return templates


def session(templates: list[StepTemplate], steps: int, sink: Sink) -> None:
    """Write ``steps`` steps, another plan each."""
    for step in range(steps):
        sink.write(templates[step % PLANS].step, step, step * 1000 * OPS)


def plain_python(events: EventTable) -> None:
    """Replay event by event, with the ledger."""
    ledger = Ledger(1 << 40)
    for event in events:
        if event.event == EventKind.ALLOC:
            ledger.alloc(event.tensor, Role(event.role), event.bytes, offset=event.offset)
        elif event.event == EventKind.FREE:
            ledger.free(event.tensor)


def seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median time of some rounds, after one that compiles."""
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(steps: int, folder: Path) -> dict[str, float]:
    """Return events a second of every way, and microseconds a step of every sink."""
    templates = plans()
    sink = TableSink()
    session(templates, steps, sink)
    trace = Trace(Header(sram_bytes=1 << 20), sink.table())
    events, count = trace.events, len(trace.events)
    some = events[:PYTHON_EVENTS]
    path = trace.save(folder / "trace.parquet")

    def record() -> None:
        with Recorder(folder / "recorded.parquet", trace.header) as recorder:
            session(templates, steps, recorder)

    def write() -> None:
        recorder = Recorder(folder / "written.parquet", trace.header)
        session(templates, steps, recorder)
        recorder.discard()

    heap, _ = heap_events(Source(trace), count)
    figures: dict[str, float] = {
        "events": count,
        "null sink, us a step": seconds(lambda: session(templates, steps, NullSink())) / steps * 1e6,
        "recorder while running, us a step": seconds(write) / steps * 1e6,
        "recorder and file, us a step": seconds(record) / steps * 1e6,
        "file, bytes an event": path.stat().st_size / count,
        "plain python, events/s": len(some) / seconds(lambda: plain_python(some)),
        "as recorded, events/s": count / seconds(lambda: replay(trace)),
        "as recorded from the file, events/s": count / seconds(lambda: replay(TraceFile(path))),
        "first fit, events/s": count / seconds(lambda: replay(trace, allocator="first_fit")),
        "tlsf, events/s": count / seconds(lambda: replay(trace, allocator="tlsf")),
        **{
            f"{name} heap alone, allocs and frees/s": len(heap.kind)
            / seconds(lambda name=name: heap_replay.replay(name, 1 << 20, heap))
            for name in ("first_fit", "best_fit", "tlsf")
        },
        "planned again, events/s": count / seconds(lambda: replay(trace, planner="greedy_by_size"), 1),
    }
    for name in ("as recorded", "as recorded from the file", "first fit", "tlsf", "planned again"):
        figures[f"{name}, times plain python"] = (
            figures[f"{name}, events/s"] / figures["plain python, events/s"]
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.steps, Path(folder))
    if arguments.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            print(f"{name:<48} {value:>16,.2f}" if value < 1000 else f"{name:<48} {value:>13,.0f}")


if __name__ == "__main__":
    main()
