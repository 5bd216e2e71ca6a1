"""Mutated CSV problems through the reader: refused with a reason, or read; never anything else.

Short by default. The long run: ``python tests/fuzz/test_fuzz_csv.py 100000 [SEED]``.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from time import perf_counter

from mcusim.core import BadProblem
from mcusim.memory.csv import format_csv, parse
from mcusim.memory.planners import PLANNERS
from mcusim.memory.problem import Problem

SEED_TEXT = (
    "id,lower,upper,size,alignment,role,shrinks,offset\n"
    'b1,0,3,40,4,feature,,0\n"b,2",3,9,4,8,error,,8\nb3,0,9,400,1,activation,3:100 5:25,16\n'
    "b4,9,21,46116860184273,2,weight,,32\nb5,-3,21,0,16,mask,,0\n"
)
PIECES = (
    ",", '"', "\n", "\r", "\0", "-", "+", " ", ":", "1e9", "9" * 30, "9223372036854775808", "nan", "é", "١",
    "\ufeff", "id", "size", "0", "\t", "'", "b1,0,3,40,4,feature,,0\n", "4294967296", ";", "x" * 500,
)  # fmt: skip
MOST_BYTES = 30 * 2**20
MOST_SECONDS = 5.0


def mutated(rng: random.Random) -> str:
    """Return a text with one to eight random edits, more often few."""
    text = SEED_TEXT
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5, 8])):
        at, length = rng.randrange(len(text) + 1), rng.choice([0, 1, 2, 8])
        match rng.randrange(5):
            case 0:
                text = text[:at] + rng.choice(PIECES) + text[at:]
            case 1:
                text = text[:at] + text[at + length :]
            case 2:
                text = text[:at] + chr(rng.randrange(1, 0x300)) + text[at + 1 :]
            case 3:
                text = text[:at] + text[at : at + 40] * rng.choice([2, 50]) + text[at + 40 :]
            case _:
                text = text[:at] + rng.choice(PIECES) + text[at + length :]
    return text


def fuzz(count: int, seed: int) -> tuple[int, float]:
    """Return how many of ``count`` mutations were readable, and the longest time one took."""
    rng = random.Random(seed)
    readable, slowest = 0, 0.0
    for _ in range(count):
        text = mutated(rng)
        began = perf_counter()
        try:
            problem, offsets = parse(text, "fuzz")
        except BadProblem as error:
            if len(str(error)) > 2000:
                raise AssertionError(f"a message of {len(str(error))} characters for {text!r}") from error
        else:
            readable += 1
            again = parse(format_csv(problem, offsets), "again")[0]
            # The alignment of a problem is written into its blocks; all else must come back.
            if again != Problem(problem.blocks):
                raise AssertionError(f"not read again as written: {text!r}")
            PLANNERS["greedy_by_size"](problem)
        slowest = max(slowest, perf_counter() - began)
    return readable, slowest


def test_mutated_csv_files_are_read_or_refused() -> None:
    tracemalloc.start()
    try:
        readable, _ = fuzz(1500, seed=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert readable > 30
    assert peak < MOST_BYTES


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    readable, slowest = fuzz(count, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(f"{count:,} mutations: {readable:,} readable, the others refused; slowest {slowest * 1e3:.1f} ms")
    sys.exit(slowest > MOST_SECONDS)
