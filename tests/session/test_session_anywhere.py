"""The same bits wherever a training runs: in threads side by side, in a process that was spawned."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from test_session_folder import content
from test_session_training import session, tiny_data


def trained(place: str) -> dict[str, bytes]:
    session().train(tiny_data(24), out=place, trace="all")
    return content(Path(place))


def test_two_threads_and_spawned_processes_give_the_same_bits(tmp_path: Path) -> None:
    expected = trained(str(tmp_path / "alone"))
    spawn = multiprocessing.get_context("spawn")
    pools: dict[str, Executor] = {
        "thread": ThreadPoolExecutor(2), "process": ProcessPoolExecutor(2, mp_context=spawn),
    }  # fmt: skip
    for name, pool in pools.items():
        with pool:
            found = list(pool.map(trained, [str(tmp_path / f"{name} {i}") for i in range(2)]))
        assert found == [expected, expected], name
