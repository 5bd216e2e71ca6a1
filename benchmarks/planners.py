"""The default planner on the training steps of the public networks, beside Vela's hill climb.

    MCUSIM_DATA=… python benchmarks/planners.py [--iterations 500] [--write]

Every network under every scheme, the image as a ``whole`` and, where that needs more than 256 KB, in
``patches`` if any fit. ``height`` and ``bound`` are those of the step as it runs, where an in-place op
may shrink its block. Vela knows no shrinking blocks, so both planners also get the same live ranges at
full size: ``ours`` and ``vela``, with ``flat_bound`` below both. ``--write`` renews ``planners.csv``
beside this file.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import mcusim
from mcusim import Settings
from mcusim.lowering.step import ALIGNMENT
from mcusim.memory.bound import lower_bound
from mcusim.memory.planners import best
from mcusim.memory.problem import Problem
from mcusim.planning.placement import make_plan
from mcusim.update.schemes.static import CONFIGURATIONS

NETWORKS = ("mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3")
SCHEMES = (
    "head", "bias", "bias-12", "last-3", "last-6", "last-12", "dynamic", "dynamic:ratio=0.1", "tinytrain",
    "trady", "medyate", "tinyprop", "dense",
)  # fmt: skip
ERRORS = ("float32", "int8")
BOARD, SRAM = "stm32f746", 262_144
TABLE = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Row:
    """One training step. Sizes in bytes."""

    network: str
    scheme: str
    error: str
    image: str
    blocks: int
    bound: int
    height: int
    winner: str
    flat_bound: int
    ours: int
    vela: int


class Range:
    """A live range as Vela wants it: its end inclusive, its size a multiple of the alignment."""

    def __init__(self, start: int, end: int, size: int, align: int) -> None:
        self.start_time, self.end_time = start, end - 1
        self.size = -(-size // align) * align
        self._align = align

    def get_alignment(self) -> int:
        """Return what offsets are a multiple of."""
        return self._align


def vela_height(problem: Problem, iterations: int) -> int:
    """Return the height Vela's allocator reaches for the blocks of a problem, all at full size."""
    from ethosu.vela.hillclimb_allocation import HillClimbAllocator

    align = problem.align
    ranges = [Range(b.lifetime.start, b.lifetime.end, b.bytes, align) for b in problem.blocks]
    # It goes on for 500 rounds without gain in any case, and up to `iterations` while above the limit.
    allocator = HillClimbAllocator(ranges, iterations, lower_bound(problem).padded_bytes)
    offsets = allocator.allocate()
    return max(o + b.bytes for o, b in zip(offsets, problem.blocks, strict=True))


def flat(problem: Problem) -> Problem:
    """Return a problem whose blocks keep their full size, and none without bytes."""
    blocks = tuple(replace(b, shrinks=()) for b in problem.blocks if b.bytes)
    return Problem(blocks, align=problem.align)


def cases(networks: tuple[str, ...] = NETWORKS) -> Iterator[tuple[str, str, str, str, Problem]]:
    """Yield network, scheme, error format, how the image is taken, and the placement problem of a step."""
    for name in networks:
        model = mcusim.load(name, classes=10)
        family = name.partition("-")[0]
        static = [f"static:{c}" for c in CONFIGURATIONS if c.startswith(family)]
        for scheme in (*SCHEMES, *static):
            for error in ERRORS:
                formats = mcusim.Formats(error=error)
                settings = Settings(update=scheme, sram=SRAM, formats=formats, overlap=False)  # as Vela
                whole = _plan(model, replace(settings, patches=None, residency="sram"))
                yield name, scheme, error, "whole", whole.problem
                if not whole.fits and (auto := _plan(model, settings)).settings.patches is not None:
                    yield name, scheme, error, "patches", auto.problem


def _plan(model: mcusim.Model, settings: Settings) -> mcusim.Plan:
    return make_plan(model, mcusim.board(BOARD), mcusim.scheme(settings.update), settings)


def measure(network: str, scheme: str, error: str, image: str, problem: Problem, iterations: int) -> Row:
    """Return what both planners reach."""
    problem = problem.with_capacity(None)
    solution, whole = best(problem), flat(problem)
    return Row(
        network, scheme, error, image, len(whole.blocks), lower_bound(problem).bytes, solution.height,
        solution.winner, lower_bound(whole).bytes, best(whole).height, vela_height(whole, iterations),
    )  # fmt: skip


def summary(rows: list[Row]) -> str:
    """Return how often the default planner is at the bound, and how it compares."""
    align = ALIGNMENT
    better = [row for row in rows if row.ours < row.vela]
    much = [row for row in better if row.vela - row.ours >= align]
    near = sum(r.height - r.bound < align for r in rows)
    lines = [
        f"{len(rows)} training steps: at the lower bound, or within one alignment of it, in {near}; "
        f"at most {max(r.height / r.bound - 1 for r in rows):.2%} above it",
        f"on the same live ranges as Vela: better in {len(better)} ({len(much)} by {align} B or more), equal "
        f"in {sum(r.ours == r.vela for r in rows)}, worse in {sum(r.ours > r.vela for r in rows)}",
    ]
    if much:
        most = max(much, key=lambda r: r.vela - r.ours)
        where = ", ".join((most.network, most.scheme, most.error, most.image))
        lines.append(f"most saved: {most.vela - most.ours:,} B ({where})")
    return "\n".join(lines)


def main() -> None:
    """Print a line a step as it comes, and the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=500, help="rounds of Vela's search above the bound")
    parser.add_argument("--write", action="store_true", help=f"renew {TABLE.name}")
    arguments = parser.parse_args()
    rows = []
    header = [field.name for field in fields(Row)]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    for case in cases():
        rows.append(measure(*case, arguments.iterations))
        writer.writerow(astuple(rows[-1]))
        sys.stdout.flush()
    if arguments.write:
        with TABLE.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(map(astuple, rows))
    print(summary(rows))


if __name__ == "__main__":
    main()
