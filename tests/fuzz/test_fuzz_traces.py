"""Mutated trace files and journals through the readers and the replay: read or refused, nothing else.

Short by default. The long run: ``python tests/fuzz/test_fuzz_traces.py 100000 [SEED]``.
"""

from __future__ import annotations

import random
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

from traces_plans import planned, session, small_problem

from mcusim.core import BadTrace, OutOfSram
from mcusim.events import Header
from mcusim.traces import Recorder, TraceFile, read_trace, write_trace
from mcusim.traces.recorder import part_of
from mcusim.traces.replay import replay

PIECES = (
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b",", b'"', b"\n", b"-", b"9" * 30, b"9223372036854775808", b"-1", b"alloc", b"free", b"1e9", b"\xc3",
    b"x" * 5000, b"PAR1", b'"rows": 99', b"\x15\x80\x80\x80\x80\x10",
)  # fmt: skip
MOST_MIB = 700
"""Of the process, with numpy, numba and pyarrow in it; it has about 300 before the first mutation."""
MOST_SECONDS = 10.0


def originals(folder: Path) -> list[Path]:
    """Write a Parquet trace, a CSV trace and a journal, and return them."""
    events = session([planned(small_problem(), resident=["w"], ops=4)] * 3)
    header = Header(model="net", sram_bytes=4096, align=8)
    paths = [write_trace(folder / f"trace.{kind}", events, header) for kind in ("parquet", "csv")]
    recorder = Recorder(folder / "journal.csv", header)
    for step in range(3):
        recorder.write(events[events.step == step], step, 0)
        recorder.position()
    recorder._file.close()
    return [*paths, part_of(recorder.path)]


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Return the bytes with one to eight random edits, more often few; at times only in the last part."""
    low = rng.choice([0, 0, max(len(data) - 4000, 0), max(len(data) - 64, 0)])
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5, 8])):
        at, length = rng.randrange(low, len(data) + 1), rng.choice([0, 1, 2, 8])
        match rng.randrange(6):
            case 0:
                data = data[:at] + rng.choice(PIECES) + data[at:]
            case 1:
                data = data[:at] + data[at + length :]
            case 2:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 3:
                data = data[:at] + data[at : at + 40] * rng.choice([2, 50]) + data[at + 40 :]
            case 4:
                data = (
                    data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
                    if data[at:]
                    else data
                )
            case _:
                data = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data[::-1][::-1]
        if not data:
            break
        low = min(low, len(data))
    return data


def use_trace(path: Path) -> None:
    """Read, replay every way, and go through the groups one by one."""
    trace = read_trace(path)
    for how in ({}, {"planner": "greedy_by_size"}, {"allocator": "first_fit", "sram": 1 << 16}):
        with suppress(OutOfSram):
            replay(trace, **how)
    sum(len(table) for table in TraceFile(path))


def use_journal(part: Path) -> None:
    """Resume and finish the recording."""
    recorder = Recorder.resume(part.with_name(part.name.removesuffix(".part")))
    try:
        read_trace(recorder.close())
    finally:
        recorder._file.close()


def fuzz(count: int, seed: int, folder: Path) -> tuple[int, float]:
    """Return how many of ``count`` mutations were readable, and the longest time one took."""
    rng = random.Random(seed)
    readable, slowest = 0, 0.0
    work = folder / "work"
    seeds = [(path.name, path.read_bytes()) for path in originals(folder)]
    for _ in range(count):
        work.mkdir(exist_ok=True)
        name, data = rng.choice(seeds)
        path = work / name
        path.write_bytes(mutated(rng, data))
        use: Callable[[Path], None] = use_journal if name.endswith(".part") else use_trace
        began = perf_counter()
        try:
            use(path)
        except BadTrace as error:
            if len(str(error)) > 2000:
                raise AssertionError(f"a message of {len(str(error))} characters") from error
        except BaseException:
            shutil.copy(path, Path(tempfile.gettempdir()) / f"crash-{name}")
            raise
        else:
            readable += 1
        slowest = max(slowest, perf_counter() - began)
        shutil.rmtree(work)
    return readable, slowest


def test_mutated_traces_are_read_or_refused(tmp_path: Path) -> None:
    readable, _ = fuzz(250, 0, tmp_path)
    assert readable > 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 < 4 * MOST_MIB


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        readable, slowest = fuzz(count, int(sys.argv[2]) if len(sys.argv) > 2 else 0, Path(folder))
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:,} mutations: {readable:,} readable, the others refused; "
        f"slowest {slowest * 1e3:.1f} ms, {mib:,.0f} MiB at most"
    )
    sys.exit(slowest > MOST_SECONDS or mib > MOST_MIB)
