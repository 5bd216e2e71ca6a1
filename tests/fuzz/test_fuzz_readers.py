"""Mutated files through every reader: read, or refused in one line; no crash, hang, traceback or gigabyte.

Each reader runs in a process of its own, so that its memory can be told and a crash of it is seen. Short
here; by command ``python tests/fuzz/test_fuzz_readers.py [READER …] [--count 10000] [--rounds 10]``, each
round with the next seed. A file that shows a fault is kept in the folder that the message names;
``--record`` adds a row to ``outcomes.csv`` for each round that ended without one.
"""

from __future__ import annotations

import argparse
import csv
import faulthandler
import json
import os
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / name) for name in ("fuzz", ".", "files", "session")]

import pytest  # noqa: E402
from readers import READERS, Files  # noqa: E402

from mcusim.core import McusimError  # noqa: E402

SHORT = 1000
"""Mutations of each kind in the test suite."""
LONG = 100_000
"""Mutations of each kind by command, some time."""
MOST_MIB = 1024
MOST_SECONDS = 20
"""Of work: other programs on the machine do not count."""
LONGEST_WAIT = 600
"""Seconds until something that does not even work is stopped."""
MEMORY = Path("/dev/shm")
"""A disk would be the slowest part."""
LONGEST = 2000
"""Characters of a message."""
OUTCOMES = Path(__file__).with_name("outcomes.csv")
"""What the rounds of the long form ended in, a row each."""
NEEDS = {"tflite": "flatbuffers", "onnx": "onnx", "pt2": "torch", "pictures": "PIL"}


class Hangs(BaseException):
    """One file takes too long; no reader catches this."""


def _hangs(*_: object) -> None:
    raise Hangs


def fuzz(name: str, count: int, seed: int) -> dict[str, Any]:
    """Return how many of ``count`` mutations were read, the longest time and the memory of the process."""
    reader, rng = READERS[name], random.Random(f"{name} {seed}")
    read, slowest = 0, 0.0
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, _hangs)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as place:
        (Path(place) / "seeds").mkdir()
        os.environ["XDG_CACHE_HOME"] = str(Path(place) / "cache")
        seeds = reader.seeds(Path(place) / "seeds")
        for files in seeds:
            reader.use(_written(Path(place) / "work", files, next(iter(files.values()))))
        for number in range(count):
            files = rng.choice(seeds)
            path = _written(Path(place) / "work", files, reader.mutate(rng, next(iter(files.values()))))
            began = process_time()
            signal.alarm(LONGEST_WAIT)
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
            try:
                reader.use(path)
                read += 1
            except McusimError as error:
                if len(str(error)) > LONGEST or not str(error).isprintable():
                    raise AssertionError(
                        f"{_kept(path, name, number)}: says {str(error)[:LONGEST]!r}"
                    ) from error
            except BaseException as error:
                raise AssertionError(f"{_kept(path, name, number)}: {error!r:.500}") from error
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
            slowest = max(slowest, process_time() - began)
    mib = _highest_kib() / 1024
    return {"reader": name, "read": read, "refused": count - read, "slowest_s": slowest, "mib": mib}


def _highest_kib() -> int:
    """Return the most memory this process has held; ``ru_maxrss`` counts what its parent held at the fork."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.read_text("ascii").partition("VmHWM:")[2].split()[0])


def _written(folder: Path, files: Files, first: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for left in folder.iterdir():  # of the reader
        if left.name not in files:
            left.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    path = folder / next(iter(files))
    path.write_bytes(first)
    return path


def _kept(path: Path, name: str, number: int) -> Path:
    place = Path(tempfile.gettempdir()) / f"fuzz-{name.replace(' ', '-')}-{number}"
    shutil.rmtree(place, ignore_errors=True)
    return shutil.copytree(path.parent, place) / path.name


@pytest.mark.parametrize("name", READERS)
def test_mutated_files_are_read_or_refused(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    words = [sys.executable, __file__, name, "--count", str(SHORT), "--rounds", "1", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["mib"] < MOST_MIB
    assert found["read"] > 0
    assert found["refused"] > SHORT // 20


def test_every_type_of_model_file_is_among_them() -> None:
    from mcusim.files.load import IMPORTERS

    assert {"npz", "tflite", "onnx", "pkl", "pt2"} == {*IMPORTERS.names()} - {"json"} <= {*READERS}


def test_the_long_form_has_been_recorded_of_every_reader() -> None:
    mutations: Counter[str] = Counter()
    with OUTCOMES.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            mutations[row["reader"]] += int(row["mutations"])
    assert {name: mutations[name] >= LONG for name in READERS} == dict.fromkeys(READERS, True)


def _record(found: dict[str, Any], seed: int) -> None:
    import numpy

    day = datetime.now(UTC).date().isoformat()
    row = {
        "reader": found["reader"], "seed": seed, "mutations": found["read"] + found["refused"],
        "read": found["read"], "refused": found["refused"], "slowest_ms": round(found["slowest_s"] * 1e3),
        "mib": round(found["mib"]), "python": platform.python_version(), "numpy": numpy.__version__,
        "day": day,
    }  # fmt: skip
    new = not OUTCOMES.exists()
    with OUTCOMES.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    faulthandler.enable()
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="*", default=[*READERS])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    for name in given.readers:
        for seed in range(given.seed, given.seed + given.rounds):
            found = fuzz(name, given.count, seed)
            if given.json:
                print(json.dumps(found))
                continue
            print(
                f"{name}, seed {seed}: {found['read']:,} of {given.count:,} read, the others refused; "
                f"slowest {found['slowest_s'] * 1e3:.0f} ms; {found['mib']:,.0f} MiB",
                flush=True,
            )
            assert found["mib"] < MOST_MIB, name
            if given.record:
                _record(found, seed)
