"""How long a simulated day takes on a device that never rests, beside the same hour event by event.

    python benchmarks/timeline.py [--json]

A step takes longer than the time between frames, so that no moment is like another; `every` steps the
learned parameters are written back, with and without read-while-write.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from time import perf_counter

from mcusim import board
from mcusim.mcu.timeline.device import Device
from mcusim.mcu.timeline.scenario import Scenario
from mcusim.mcu.timeline.timeline import simulate

SECOND = 10**9
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
WANTED_S = 2.0
CASES = {
    "one buffer": {"buffers": 1, "every": 1000, "read_while_write": False},
    "two buffers": {"buffers": 2, "every": 1000, "read_while_write": False},
    "three buffers, slow DMA": {"buffers": 3, "every": 100, "read_while_write": False, "dma_ns": 20_000_003},
    "flash always busy": {"buffers": 2, "every": 10, "read_while_write": True},
}


def a_scenario(buffers: int, every: int, read_while_write: bool, dma_ns: int = 1_000_003) -> Scenario:
    """Return the scenario of a case, an hour long."""
    home = board("stm32l4r5")
    home = replace(home, flash=replace(home.flash, read_while_write=read_while_write))
    return Scenario(
        home, step_ns=45_123_457, period_ns=33_333_333, duration_ns=HOUR, dma_ns=dma_ns, buffers=buffers,
        write_back_ns=813_456_789, write_back_every=every,
    )  # fmt: skip


def main() -> None:
    """Print the time of a day, and how much faster an hour is than event by event."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    simulate(a_scenario(**CASES["one buffer"]), window_s=0)  # compiles, or loads what was compiled
    rows = {}
    for name, choices in CASES.items():
        hour = a_scenario(**choices)
        start = perf_counter()
        slow = Device(hour, 0)
        slow.run()
        middle = perf_counter()
        fast = simulate(hour, window_s=0)
        end = perf_counter()
        assert asdict(fast.totals) == asdict(slow.totals), name
        day = simulate(replace(hour, duration_ns=DAY))
        rows[name] = {
            "steps_a_day": day.totals.steps, "day_s": perf_counter() - end,
            "hour_event_by_event_s": middle - start, "times_faster": (middle - start) / (end - middle),
        }  # fmt: skip
    if arguments.json:
        print(json.dumps({"wanted_s": WANTED_S, "days": rows}, indent=1))
        return
    for name, row in rows.items():
        print(
            f"{name:24} {row['steps_a_day']:>9,} steps: a day in {row['day_s']:.3f} s (< {WANTED_S:g}); "
            f"an hour event by event in {row['hour_event_by_event_s']:.2f} s, "
            f"{row['times_faster']:,.0f} times slower"
        )


if __name__ == "__main__":
    main()
